/** What runs in the page: kernels on its WebGPU device, as `bench` runs them on the other backends, and mishaps. */

import { DRAWS, kernelOf } from "../../packages/core/src/codegen/conformance.ts";
import { isBf16, type Kernel, reductionIdentity } from "../../packages/core/src/codegen/kernel.ts";
import { bf16Operations } from "../../packages/core/src/expr/bf16.ts";
import type {
  Leaves,
  Optimizer,
  OptimizerState,
  Statistics,
} from "../../packages/core/src/index.ts";
import { adam } from "../../packages/core/src/index.ts";
import { CATALOGUE } from "../../packages/core/src/testCatalogue.ts";
import {
  type ArithmeticTraits,
  createGpuExecutor,
  type GpuExecutor,
  probeArithmetic,
} from "../../packages/core/src/webgpu/index.ts";
import { compileOnDevice, type GpuOptimizer } from "../../packages/core/src/webgpu/optimizer.ts";
import { OPTIMIZERS, problem, SEED } from "./gpuOptimizers.ts";

/** What a run works on. */
export interface GpuInputs {
  readonly count: number;
  /** At least `count` numbers for each stream. */
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
  /** Address of the first two bytes that changed though no result belongs there, or "none". */
  readonly trespass: number | "none";
}

/** Elements between arrays, where a kernel has no business. */
const GAP = 64;

let opened: Promise<GPUDevice> | undefined;

/** The device of this page. */
function device(): Promise<GPUDevice> {
  opened ??= openDevice();
  return opened;
}

async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) {
    throw new Error("openDevice: the page must find a WebGPU adapter, got none");
  }
  return adapter.requestDevice();
}

async function outcome(
  executor: GpuExecutor,
  kernel: Kernel,
  words: number,
  { count, streams, scalars, offset = 0, piece = Math.max(count, 1), arrays }: GpuInputs,
): Promise<GpuOutcome> {
  const stride = (words - GAP) / kernel.streams.length;
  const width = (s: number): 2 | 4 => (isBf16(kernel, s) ? 2 : 4);
  const places = kernel.streams.map(
    (_, s) => 4 * (GAP + (arrays?.[s] ?? s) * stride) + width(s) * offset,
  );
  const { nearest, upper, widen } = bf16Operations();
  // A pattern that no result has: what is written shows, and so does what is read beyond the streams.
  const before = new Uint16Array(2 * words).fill(0xa5a5);
  streams.forEach((values, s) => {
    const [place, given] = [places[s]! / width(s), values.subarray(0, count)];
    if (isBf16(kernel, s)) {
      before.set(
        Array.from(given, (x) => upper(nearest(x))),
        place,
      );
    } else {
      new Float32Array(before.buffer).set(given, place);
    }
  });
  executor.write(new Float32Array(before.buffer), 0);
  const pieces = Array.from({ length: Math.max(1, Math.ceil(count / piece)) }, (_, i) => i * piece);
  const ran = executor.run(
    pieces.map((start) => ({
      kernel,
      count: Math.min(piece, count - start),
      pointers: places.map((place, s) => place + width(s) * start),
      scalars,
      base: DRAWS.base + start,
      key: DRAWS.key,
    })),
  );
  const numbers = await executor.read(0, words);
  const reductions = await ran;
  const after = new Uint16Array(numbers.buffer);
  for (const { stream } of kernel.stores) {
    const at = places[stream]! / 2;
    before.set(after.subarray(at, at + (width(stream) / 2) * count), at);
  }
  const changed = after.findIndex((half, i) => half !== before[i]);
  return {
    streams: places.map((place, s) =>
      isBf16(kernel, s)
        ? Float32Array.from(after.subarray(place / 2, place / 2 + count), widen)
        : numbers.slice(place / 4, place / 4 + count),
    ),
    reductions: kernel.reductions.map(({ kind }, r) =>
      reductions.reduce(
        (all, { [r]: one }) => (kind === "sum" ? all + one! : Math.max(all, one!)),
        reductionIdentity(kind),
      ),
    ),
    trespass: changed < 0 ? "none" : 2 * changed,
  };
}

/** What became of a promise: its value, or the fields of its error. */
async function told(promise: Promise<unknown>): Promise<object> {
  try {
    return { value: await promise };
  } catch (error) {
    const { name, message, code, kind, kernel, reason, batches } = error as Record<string, unknown>;
    return { name, message, code, kind, kernel, reason, batches };
  }
}

const negate = kernelOf("neg");
const run = { kernel: negate, count: 4, pointers: [0, 0, 0], scalars: [] };
const FOUR = Float32Array.of(1, 2, 3, 4);

export interface OptimizerOutcome {
  readonly params: Leaves;
  readonly evaluation: Leaves;
  readonly state: OptimizerState;
  readonly unbroken: OptimizerState;
}

export interface RowOutcome {
  readonly halfway: OptimizerState;
  readonly first: OptimizerState;
  /** At the end, after the state half-way was loaded. */
  readonly state: OptimizerState;
  readonly evaluation: Leaves;
  readonly stateBytes: number;
}

export interface InspectedOutcome {
  readonly statistics: readonly (Statistics | undefined)[];
  readonly state: OptimizerState;
  readonly plain: OptimizerState;
}

async function described(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "no error";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const api = {
  async adapter(): Promise<string | undefined> {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter === null ? undefined : `${adapter.info.vendor} ${adapter.info.architecture}`;
  },

  async probe(): Promise<ArithmeticTraits> {
    return probeArithmetic(await device());
  },

  /** One kernel over a memory of its own, case after case; none waits for the one before. */
  async outcomes(
    kernel: Kernel,
    workgroupSize: number,
    cases: readonly GpuInputs[],
  ): Promise<GpuOutcome[]> {
    const capacity = Math.max(...cases.map(({ count, offset = 0 }) => count + offset));
    const stride = Math.ceil((capacity + GAP) / GAP) * GAP;
    const words = GAP + kernel.streams.length * stride;
    const options = { kernels: [kernel], arenas: [4 * words], workgroupSize };
    const executor = await createGpuExecutor(await device(), options);
    try {
      return await Promise.all(cases.map((each) => outcome(executor, kernel, words, each)));
    } finally {
      executor.destroy();
    }
  },

  /** What a kernel that only draws stores, for each base and key: all in one batch, each with arrays of its own. */
  async draws(
    kernel: Kernel,
    count: number,
    places: readonly { readonly base: number; readonly key: number }[],
  ): Promise<Float32Array[][]> {
    const width = kernel.streams.length;
    const arenas = [4 * count * width * places.length];
    const executor = await createGpuExecutor(await device(), { kernels: [kernel], arenas });
    const at = (p: number, s: number): number => 4 * count * (p * width + s);
    await executor.run(
      places.map((place, p) => ({
        ...place,
        kernel,
        count,
        pointers: kernel.streams.map((_, s) => at(p, s)),
        scalars: [],
      })),
    );
    const drawn = await Promise.all(
      places.map((_, p) =>
        Promise.all(kernel.streams.map((__, s) => executor.read(at(p, s), count))),
      ),
    );
    executor.destroy();
    return drawn;
  },

  /** Steps of an optimizer on the device: parameters, those to evaluate with, and the state half-way and at the end. */
  async optimizer(name: string, steps: number): Promise<OptimizerOutcome> {
    const device = await openDevice();
    const make = OPTIMIZERS[name] as () => Optimizer;
    const { params, gradients } = problem(steps);
    const options = { params, learningRate: 0.05, inspect: false } as const;
    const first = await compileOnDevice(device, make(), options);
    for (const each of gradients.slice(0, steps / 2)) {
      await first.step(each);
    }
    const halfway = await first.save();
    first.destroy();
    const second = await compileOnDevice(device, make(), options);
    await second.load(halfway);
    for (const each of gradients.slice(steps / 2)) {
      await second.step(each);
    }
    const unbroken = await compileOnDevice(device, make(), options);
    for (const each of gradients) {
      await unbroken.step(each);
    }
    const outcome = {
      params: await second.readParams(),
      evaluation: await second.evaluationParams(),
      state: await second.save(),
      unbroken: await unbroken.save(),
    };
    second.destroy();
    unbroken.destroy();
    return outcome;
  },

  /**
   * Steps of a row of the catalogue, the second half twice: after the first, the state saved half-way is loaded. What
   * `compileOnDevice` says where it refuses.
   */
  async row(name: string, steps: number): Promise<RowOutcome | string> {
    const [, optimizer, learningRate] = CATALOGUE.find(([row]) => row === name)!;
    const { params, gradients } = problem(steps);
    let made: GpuOptimizer;
    try {
      made = await compileOnDevice(await device(), optimizer, { params, learningRate, seed: SEED });
    } catch (error) {
      return String(error);
    }
    for (const each of gradients.slice(0, steps / 2)) {
      await made.step(each);
    }
    const halfway = await made.save();
    const finish = async (): Promise<OptimizerState> => {
      for (const each of gradients.slice(steps / 2)) {
        await made.step(each);
      }
      return made.save();
    };
    const first = await finish();
    await made.load(halfway);
    const outcome = {
      state: await finish(),
      first,
      halfway,
      evaluation: await made.evaluationParams(),
      stateBytes: made.stateBytes,
    };
    made.destroy();
    return outcome;
  },

  /** Statistics of every step of a row of the catalogue, and its state; and the state without inspection. */
  async inspected(name: string, steps: number): Promise<InspectedOutcome> {
    const [, optimizer, learningRate] = CATALOGUE.find(([row]) => row === name)!;
    const { params, gradients } = problem(steps);
    const options = { params, learningRate, seed: SEED, inspect: true };
    const [made, plain] = await Promise.all(
      [1, 2].map(async () => compileOnDevice(await device(), optimizer, options)),
    );
    const statistics: (Statistics | undefined)[] = [];
    for (const each of gradients) {
      statistics.push((await made!.step(each, { inspect: true })).statistics);
      await plain!.step(each);
    }
    const outcome = { statistics, state: await made!.save(), plain: await plain!.save() };
    made!.destroy();
    plain!.destroy();
    return outcome;
  },

  /** What bad gradients, and a device that goes away, do to an optimizer. */
  async optimizerMishaps(): Promise<Record<string, unknown>> {
    const device = await openDevice();
    const { params, gradients } = problem(3);
    const [good] = gradients as [(typeof gradients)[number]];
    const bad = { ...good, bias: good.bias.map((x, i) => (i === 3 ? Number.NaN : x)) };
    const options = { params, learningRate: 0.05 } as const;
    const skipping = await compileOnDevice(device, adam(), { ...options, nonFinite: "skip" });
    const skipped = await skipping.step(bad);
    const untouched = await skipping.readParams();
    const throwing = await compileOnDevice(device, adam(), { ...options, nonFinite: "throw" });
    const thrown = await described(throwing.step(bad));
    const stranger = await described(throwing.step({ other: new Float32Array(1) }));
    const saved = await throwing.save();
    device.destroy();
    await device.lost;
    const lost = await described(throwing.step(good));
    const after = await described(throwing.step(good));
    return { skipped, untouched, thrown, stranger, count: saved.count, lost, after };
  },

  /** A shader that does not compile, an arena that is gone; and that what surrounds them is as it was. */
  async refusals(): Promise<{ uncaptured: string[]; events: object[] }> {
    const own = await openDevice();
    const uncaptured: string[] = [];
    own.addEventListener("uncapturederror", ({ error }) => uncaptured.push(error.message));
    const broken: Kernel = { ...negate, name: "broken", stores: [{ stream: 9, value: 0 }] };
    const events = [
      await told(createGpuExecutor(own, { kernels: [negate, broken], arenas: [64] })),
    ];
    const executor = await createGpuExecutor(own, { kernels: [negate], arenas: [64, 64] });
    executor.write(FOUR, 0);
    executor.arenas[1]?.destroy();
    events.push(
      await told(executor.run([run, { ...run, arena: 1 }])),
      await told(executor.read(0, 4)),
      await told(executor.read(0, 4, 1)),
      await told(executor.run([run])),
      await told(executor.read(0, 4)),
    );
    const pending = told(executor.run([run]));
    executor.destroy();
    events.push(await pending, await told(executor.read(0, 4)));
    own.destroy();
    return { uncaptured, events };
  },

  /** The device ends while a batch and a read wait, by the program itself. */
  async destroyed(): Promise<object[]> {
    const own = await openDevice();
    const executor = await createGpuExecutor(own, { kernels: [negate], arenas: [64] });
    await executor.run([run]);
    const waiting = [told(executor.run([run])), told(executor.read(0, 4))];
    own.destroy();
    return [
      ...(await Promise.all(waiting)),
      await told(executor.run([run])),
      await told(createGpuExecutor(own, { kernels: [negate], arenas: [64] })),
    ];
  },

  /** Runs one batch after the other until one fails; `ready` stands in the title once the first has run. */
  async untilLost(): Promise<{ complete: number; events: object[] }> {
    const executor = await createGpuExecutor(await device(), { kernels: [negate], arenas: [64] });
    for (let complete = 0; ; complete++) {
      const event = await told(executor.run([run]));
      if (!("value" in event)) {
        return { complete, events: [event, await told(executor.read(0, 4))] };
      }
      document.title = "ready";
    }
  },
};

export type PageApi = typeof api;

Object.assign(globalThis, { adastra: api });
