/**
 * Threads over shared memory: each runs the same kernel on its share of the elements.
 *
 *     caller     fills in a frame for each thread, gives the order, runs its own share, waits
 *     thread     waits for an order, runs its share, says that it is done
 *
 * Elements are independent, and a maximum is the same in any order, so the numbers are those of one thread, bit for
 * bit. A sum is not: its kernels, and runs too short to share, stay with the caller.
 *
 * For use without ONNX Runtime: its Node binding does not take arrays on shared memory.
 */

import {
  type Backend,
  type BackendMemory,
  type DType,
  type Frame,
  frameAddresses,
  frameAt,
  frameBytes,
  type Kernel,
  type LoadedKernel,
  streamBytes,
} from "../codegen/kernel.ts";
import { compileModule } from "../codegen/wasm/backend.ts";
import { allocateWasm, loadModule } from "../codegen/wasm/instance.ts";
import { requireCount, requireThat } from "../errors.ts";
import { CONTROL, type ThreadStart } from "./worker.ts";

/** A thread that runs `WORKER_SOURCE`. */
export interface StartedThread {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

export interface ThreadOptions {
  /** Threads in all, the caller's among them; at least 1. */
  readonly count: number;
  /** Starts one: `() => nodeThread(Worker)` in Node, `() => webThread(globalThis)` in a browser. */
  readonly start: () => StartedThread;
  /** Elements from which on a run is shared, at least 1, default 32768: waking a thread costs microseconds. */
  readonly least?: number;
}

/** A backend for one optimizer. */
export interface Threads extends Backend {
  readonly name: "wasm";
  /** Ends the threads; steps go on on the caller's. */
  end(): void;
}

/** Bytes that each thread's frames may take. */
const FRAMES = 2 ** 18;

/** A share is a multiple of these elements: a cache line of either dtype, and whole rounds of partials. */
const GRAIN = 16;

/**
 * Starts threads for one optimizer.
 *
 * @throws RangeError for options out of range, or where memory cannot be shared.
 * @example
 * const threads = startThreads({ count: 2, start: () => nodeThread(Worker) });
 * const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3, backend: threads });
 */
export function startThreads({ count, start, least = 32_768 }: ThreadOptions): Threads {
  requireCount("startThreads", "count", count);
  requireCount("startThreads", "least", least);
  requireThat(
    typeof SharedArrayBuffer !== "undefined",
    "startThreads",
    "memory must be shared between threads",
    "no SharedArrayBuffer",
    "serve the page with Cross-Origin-Opener-Policy same-origin and Cross-Origin-Embedder-Policy require-corp",
  );
  const control = new Int32Array(new SharedArrayBuffer(16));
  const workers = Array.from({ length: count - 1 }, start);
  let ended = false;
  let loaded = false;
  let bytesUsed = 0;

  const load = (
    kernels: readonly Kernel[],
    dtype: DType,
    memory: BackendMemory,
    scratch: number,
  ): LoadedKernel[] => {
    requireThat(
      !loaded,
      "startThreads",
      "threads must serve one optimizer",
      "a second one",
      "start others for it",
    );
    const size = frameBytes(kernels);
    requireThat(size <= FRAMES, "startThreads", `frames must fit ${FRAMES} bytes`, size);
    loaded = true;
    const { bytes, names } = compileModule(kernels, dtype, true);
    const own = loadModule(bytes, names, kernels, memory, scratch);
    const places = workers.map((_, thread) => frameAddresses(kernels, bytesUsed + thread * FRAMES));
    workers.forEach((worker, thread) => {
      const frames = places[thread] as number[];
      // Memory of WebAssembly is what `allocate` made.
      const wasm = memory.wasm as WebAssembly.Memory;
      worker.postMessage({ bytes, names, memory: wasm, frames, control } satisfies ThreadStart);
    });
    return own.map((each, k) => {
      const kernel = kernels[k] as Kernel;
      const frames = places.map((at) => frameAt(kernel, memory.buffer, at[k] as number));
      const widths = kernel.streams.map((_, s) => streamBytes(kernel, s, dtype));
      const shares = kernel.reductions.every(({ kind }) => kind === "max");
      const share = sharing(each, k, frames, control, widths);
      return {
        frame: each.frame,
        run: () =>
          shares && !ended && (each.frame.count[0] as number) >= least ? share() : each.run(),
      };
    });
  };
  return {
    name: "wasm",
    allocate: (bytes) => {
      bytesUsed = Math.ceil(bytes / 64) * 64;
      return allocateWasm(bytesUsed + (count - 1) * FRAMES, true);
    },
    load,
    end: () => {
      ended = true;
      Atomics.store(control, CONTROL.kernel, -1);
      Atomics.add(control, CONTROL.order, 1);
      Atomics.notify(control, CONTROL.order);
      for (const worker of workers) {
        worker.terminate();
      }
    },
  };
}

/** Runs a kernel on all threads: the first shares go to the others, the last one to the caller. */
function sharing(
  own: LoadedKernel,
  kernel: number,
  others: readonly Frame[],
  control: Int32Array,
  /** Bytes of an element of each stream. */
  widths: readonly number[],
): () => void {
  const { frame } = own;
  return () => {
    const count = frame.count[0] as number;
    const share = Math.floor(count / (others.length + 1) / GRAIN) * GRAIN;
    others.forEach((other, thread) => {
      other.count[0] = share;
      // Draws go by the place of an element in its leaf; both are empty where a kernel draws nothing.
      other.key.set(frame.key);
      other.base.set(frame.base.map((base) => base + thread * share));
      other.scalars.set(frame.scalars);
      other.partials.fill(Number.NEGATIVE_INFINITY);
      for (let s = 0; s < frame.pointers.length; s++) {
        other.pointers[s] = (frame.pointers[s] as number) + thread * share * (widths[s] as number);
      }
    });
    Atomics.store(control, CONTROL.pending, others.length);
    Atomics.store(control, CONTROL.kernel, kernel);
    Atomics.add(control, CONTROL.order, 1);
    Atomics.notify(control, CONTROL.order);

    const taken = others.length * share;
    const base = frame.base.slice();
    frame.base.set(base.map((at) => at + taken));
    frame.count[0] = count - taken;
    for (let s = 0; s < frame.pointers.length; s++) {
      frame.pointers[s] = (frame.pointers[s] as number) + taken * (widths[s] as number);
    }
    own.run();
    // Not `Atomics.wait`: a browser's main thread must not sleep, and the others end at about the same time.
    while (Atomics.load(control, CONTROL.pending) > 0);
    frame.count[0] = count;
    frame.base.set(base);
    for (let s = 0; s < frame.pointers.length; s++) {
      frame.pointers[s] = (frame.pointers[s] as number) - taken * (widths[s] as number);
    }
    for (const { partials } of others) {
      for (let i = 0; i < partials.length; i++) {
        frame.partials[i] = Math.max(frame.partials[i] as number, partials[i] as number);
      }
    }
  };
}
