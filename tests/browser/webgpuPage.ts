/** What runs in the page: kernels on its WebGPU device, as `bench` of the other backends runs them. */

import type { Kernel } from "../../packages/core/src/codegen/kernel.ts";
import { reductionIdentity } from "../../packages/core/src/codegen/kernel.ts";
import { createGpuExecutor } from "../../packages/core/src/webgpu/executor.ts";

/** What a run works on; streams hold `count` numbers each. */
export interface GpuInputs {
  readonly count: number;
  readonly streams: readonly Float32Array[];
  readonly scalars: readonly number[];
  /** Elements from a 256-byte boundary to the start of each stream; default 0. */
  readonly offset?: number;
  /** Runs the kernel piece by piece, in one batch: elements a piece; default all at once. */
  readonly piece?: number;
  /** The array each stream stands for, where several stand for one; default its own. */
  readonly arrays?: readonly number[];
}

export interface GpuOutcome {
  /** Elements [0, count) of each stream. */
  readonly streams: readonly Float32Array[];
  readonly reductions: readonly number[];
  /** Address of the first word that changed though no result belongs there, or "none". */
  readonly trespass: number | "none";
}

const api = {
  async adapter(): Promise<string | null> {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter === null ? null : `${adapter.info.vendor} ${adapter.info.architecture}`;
  },

  /** One kernel over a memory of its own, case after case. */
  async outcomes(
    kernel: Kernel,
    workgroupSize: number,
    cases: readonly GpuInputs[],
  ): Promise<GpuOutcome[]> {
    const device = await openDevice();
    const gap = 64;
    const capacity = Math.max(...cases.map(({ count, offset = 0 }) => count + offset));
    const stride = 4 * (Math.ceil((capacity + gap) / 64) * 64);
    const bytes = gap * 4 + Math.max(kernel.streams.length, 1) * stride;
    const executor = await createGpuExecutor(device, {
      kernels: [kernel],
      arenas: [bytes],
      workgroupSize,
    });
    const results: GpuOutcome[] = [];
    for (const { count, streams, scalars, offset = 0, piece = count, arrays } of cases) {
      const places = kernel.streams.map((_, s) => 4 * (gap + offset) + (arrays?.[s] ?? s) * stride);
      // A pattern that no result has: what is written shows, and so does what is read beyond the streams.
      const before = new Float32Array(new Uint32Array(bytes / 4).fill(0xa5a5a5a5).buffer);
      streams.forEach((values, s) => before.set(values.subarray(0, count), places[s]! / 4));
      executor.write(before, 0);
      const starts = [0];
      for (let start = piece; start < count; start += piece) {
        starts.push(start);
      }
      const reductions = await executor.run(
        starts.map((start) => ({
          kernel,
          count: Math.min(piece, count - start),
          pointers: places.map((place) => place + 4 * start),
          scalars,
        })),
      );
      const after = await executor.read(0, bytes / 4);
      const [words, expected] = [new Uint32Array(after.buffer), new Uint32Array(before.buffer)];
      for (const { stream } of kernel.stores) {
        const at = places[stream]! / 4;
        expected.set(words.subarray(at, at + count), at);
      }
      const changed = words.findIndex((word, i) => word !== expected[i]);
      results.push({
        streams: places.map((place) => after.slice(place / 4, place / 4 + count)),
        reductions: kernel.reductions.map(({ kind }, r) =>
          reductions.reduce(
            (all, { [r]: each }) => (kind === "sum" ? all + each! : Math.max(all, each!)),
            reductionIdentity(kind),
          ),
        ),
        trespass: changed < 0 ? "none" : 4 * changed,
      });
    }
    executor.destroy();
    return results;
  },
};

async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) {
    throw new Error("webgpu: the page must find an adapter, got none");
  }
  return adapter.requestDevice();
}

export type PageApi = typeof api;

Object.assign(globalThis, { adastra: api });
