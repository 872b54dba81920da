/** An optimizer bound to parameters: the arena, the kernels over it, and the step. */

import {
  type ArenaLayout,
  bytesOf,
  type Extent,
  layOut,
  leavesOf,
  viewOf,
  WARMUP_ELEMENTS,
} from "./arena.ts";
import { chooseBackend } from "./codegen/backends.ts";
import { runHost } from "./codegen/host.ts";
import {
  type Backend,
  type BackendMemory,
  type DType,
  foldPartials,
  frameBytes,
  type Kernel,
  type LoadedKernel,
  reductionIdentity,
} from "./codegen/kernel.ts";
import { GRADIENT, PARAMS, type Pass, type Plan, plan, type Variant } from "./codegen/plan.ts";
import { refreshRange } from "./codegen/windows.ts";
import type { CompiledOptimizer, CompileOptions, StepResult } from "./compiledOptimizer.ts";
import type { Leaf, Leaves, NumericArray } from "./contracts.ts";
import { NonFiniteError, requireOneOf, requireThat, ShapeMismatchError, show } from "./errors.ts";
import { type Optimizer, requireOptimizer, toProgram } from "./optimizer.ts";
import type { Schedule } from "./schedules/schedules.ts";
import { checkState, type LeafState, type OptimizerState } from "./state.ts";
import { flatten, isNumericArray, sizeOf, type Tree } from "./tree.ts";

/**
 * Binds an optimizer to parameters and compiles it.
 *
 * @throws TypeError for parameters without leaves or whose data does not fit their shape; RangeError for an
 * option out of range, or for more parameters than one memory holds.
 * @example
 * const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3 });
 * optimizer.gradients["dense1/kernel"].data.set(gradient);
 * optimizer.step();
 */
export function compileOptimizer<D extends DType = "float32">(
  optimizer: Optimizer,
  options: CompileOptions<D>,
): CompiledOptimizer<D> {
  // The arena holds arrays of the dtype that `options` name, float32 where they name none.
  return new Compiled(optimizer, options) as CompiledOptimizer as CompiledOptimizer<D>;
}

/** Instructions over elements after which V8 has started to optimise any kernel, 1.6 times what was measured. */
const WARMUP_INSTRUCTIONS = 1e6;

/** Runs over tensors first..last, neighbours in the arena. */
type Run = readonly [first: number, last: number];

class Compiled implements CompiledOptimizer {
  readonly name: string;
  readonly backend: Backend["name"];
  readonly dtype: DType;
  readonly params: Leaves;
  readonly plan: Plan;

  private readonly learningRate: Schedule;
  private readonly nonFinite: "propagate" | "skip" | "throw";
  private readonly memory: BackendMemory;
  private readonly layout: ArenaLayout;
  private readonly loaded: ReadonlyMap<Kernel, LoadedKernel>;
  private readonly guard: LoadedKernel;
  /** The leaves of each slot of the gradient's ring. */
  private readonly gradientSlots: readonly Leaves[];
  private steps = 0;
  /** Tensors by path. */
  private readonly tensorAt: ReadonlyMap<string, number>;
  /** Steps taken, tensor by tensor. */
  private readonly counts: number[];
  /** Host values, tensor by tensor. */
  private readonly values: readonly Float64Array[];
  /** Host queues: `[tensor][queue]`, ring by step number. */
  private readonly queues: readonly (readonly Float64Array[])[];
  /** Whether host values must be kept for every tensor, not only for the first of a run. */
  private readonly hasTensorState: boolean;
  private readonly reducesAll: boolean;

  constructor(
    optimizer: Optimizer,
    {
      params,
      learningRate,
      backend = "auto",
      dtype = "float32",
      nonFinite = "propagate",
    }: CompileOptions,
  ) {
    requireOptimizer("compileOptimizer", "`optimizer`", optimizer);
    const leaves = checkParams(params);
    requireOneOf("compileOptimizer", "dtype", dtype, ["float32", "float64"]);
    requireOneOf("compileOptimizer", "nonFinite", nonFinite, ["propagate", "skip", "throw"]);
    if (typeof learningRate !== "number" && typeof learningRate !== "function") {
      throw new TypeError(
        `compileOptimizer: \`learningRate\` must be a number or a schedule, got ${show(learningRate)}`,
      );
    }
    this.learningRate = typeof learningRate === "number" ? () => learningRate : learningRate;
    requireLearningRate(this.learningRate(0), 1);

    const chosen = chooseBackend(backend);
    this.name = optimizer.name;
    this.backend = chosen.name;
    this.dtype = dtype;
    this.nonFinite = nonFinite;
    this.plan = plan(toProgram(optimizer), dtype);

    const kernels = [...this.plan.passes.flatMap(variantsOf).map(({ kernel }) => kernel), GUARD];
    this.layout = layOut(leaves, this.plan.arrays, dtype, frameBytes(kernels));
    this.memory = chosen.allocate(this.layout.bytes);
    const loaded = chosen.load(kernels, dtype, this.memory, this.layout.scratch);
    this.loaded = new Map(kernels.map((kernel, i) => [kernel, loaded[i] as LoadedKernel]));
    this.guard = this.loaded.get(GUARD) as LoadedKernel;
    this.warmUp();

    const { extents } = this.layout;
    this.tensorAt = new Map(extents.map(({ path }, tensor) => [path, tensor]));
    this.counts = extents.map(() => 0);
    this.values = extents.map(() => new Float64Array(this.plan.host.slots));
    this.queues = extents.map(() =>
      this.plan.host.queues.map(({ length }) => new Float64Array(length)),
    );
    this.hasTensorState = this.plan.tensorState.length > 0 || this.plan.host.queues.length > 0;
    this.reducesAll = this.plan.reductions.some(({ over }) => over === "all");
    this.params = leavesOf(this.memory, this.layout, dtype, PARAMS, 0);
    this.gradientSlots = Array.from({ length: this.slotsOf(GRADIENT) }, (_, slot) =>
      leavesOf(this.memory, this.layout, dtype, GRADIENT, slot),
    );
    this.initialise(leaves);
  }

  get count(): number {
    return this.steps;
  }

  get gradients(): Leaves {
    const slots = this.counts.map((count) => this.slotAt(GRADIENT, count + 1, 0));
    const first = slots[0] ?? 0;
    if (slots.every((slot) => slot === first)) {
      return this.gradientSlots[first] as Leaves;
    }
    return Object.fromEntries(
      this.layout.extents.map(({ path }, i) => [
        path,
        this.gradientSlots[slots[i] as number]?.[path] as Leaf,
      ]),
    );
  }

  get stateBytes(): number {
    const elements = this.plan.arrays.reduce((sum, { slots }, array) => {
      // The slot that the gradient is written to is the gradient's own.
      return array === PARAMS ? sum : sum + (array === GRADIENT ? slots - 1 : slots);
    }, 0);
    return elements * (this.dtype === "float32" ? 4 : 8);
  }

  step(gradients?: Readonly<Record<string, NumericArray | null | undefined>>): StepResult {
    const learningRate = this.learningRate(this.steps);
    requireLearningRate(learningRate, this.steps + 1);
    const active = gradients === undefined ? this.allTensors() : this.accept(gradients);
    if (this.nonFinite !== "propagate") {
      const culprit = active.find((tensor) => !this.hasFiniteGradient(tensor));
      if (culprit !== undefined) {
        if (this.nonFinite === "throw") {
          throw new NonFiniteError("step", this.steps + 1, this.extent(culprit).path);
        }
        return { status: "skipped" };
      }
    }
    this.begin(active, learningRate);
    if (this.reducesAll) {
      this.plan.passes.forEach((pass, level) => {
        this.runLevel(level, active);
        for (const run of pass.perTensor ? singles(active) : this.merged(active)) {
          this.runPass(pass, run);
        }
        this.shareReductions(pass, active);
      });
      this.runLevel(this.plan.passes.length, active);
    } else {
      const perTensor = this.hasTensorState || this.plan.passes.some((pass) => pass.perTensor);
      for (const run of perTensor ? singles(active) : this.merged(active)) {
        this.plan.passes.forEach((pass, level) => {
          this.runLevel(level, run.slice(0, 1));
          this.runPass(pass, run);
        });
        this.runLevel(this.plan.passes.length, run.slice(0, 1));
      }
    }
    this.commit(active);
    return { status: "stepped" };
  }

  save(): OptimizerState {
    const leaves: Record<string, LeafState> = {};
    this.layout.extents.forEach((extent, tensor) => {
      const count = this.counts[tensor] as number;
      const copy = (array: number, age: number): NumericArray =>
        this.view(array, this.slotAt(array, count, age), extent).slice();
      const arrays: Record<string, readonly NumericArray[]> = {};
      this.plan.arrays.forEach(({ name, slots }, array) => {
        const kept = array === GRADIENT ? slots - 1 : slots;
        if (array !== PARAMS && kept > 0) {
          arrays[name] = Array.from({ length: kept }, (_, i) => copy(array, kept - 1 - i));
        }
      });
      const values = this.values[tensor] as Float64Array;
      leaves[extent.path] = {
        shape: extent.shape,
        count,
        params: copy(PARAMS, 0),
        arrays,
        tensor: Object.fromEntries(
          this.plan.tensorState.map(({ key, slot }) => [key, values[slot] as number]),
        ),
        queues: (this.queues[tensor] as readonly Float64Array[]).map((queue) =>
          Array.from(queue, (_, i) => queue[(count + 1 + i) % queue.length] as number),
        ),
      };
    });
    return {
      format: "adastra-optimizer/1",
      optimizer: this.name,
      dtype: this.dtype,
      count: this.steps,
      leaves,
    };
  }

  load(state: OptimizerState): void {
    checkState("load", state, {
      optimizer: this.name,
      dtype: this.dtype,
      extents: this.layout.extents,
      arrays: this.plan.arrays
        .map(({ name, slots }, array) => ({ name, kept: array === GRADIENT ? slots - 1 : slots }))
        .filter(({ kept }, array) => array !== PARAMS && kept > 0),
      tensor: this.plan.tensorState.map(({ key }) => key),
      queues: this.plan.host.queues.map(({ length }) => length),
    });
    this.steps = state.count;
    this.layout.extents.forEach((extent, tensor) => {
      const saved = state.leaves[extent.path] as LeafState;
      this.counts[tensor] = saved.count;
      this.view(PARAMS, 0, extent).set(saved.params);
      this.plan.arrays.forEach(({ name }, array) => {
        const steps = saved.arrays[name] ?? [];
        steps.forEach((data, i) => {
          const slot = this.slotAt(array, saved.count, steps.length - 1 - i);
          this.view(array, slot, extent).set(data);
        });
      });
      const values = this.values[tensor] as Float64Array;
      for (const { key, slot } of this.plan.tensorState) {
        values[slot] = saved.tensor[key] as number;
      }
      saved.queues.forEach((queue, index) => {
        const ring = this.queues[tensor]?.[index] as Float64Array;
        queue.forEach((value, i) => {
          ring[(saved.count + 1 + i) % ring.length] = value;
        });
      });
    });
  }

  private initialise(leaves: Leaves): void {
    this.layout.extents.forEach((extent, tensor) => {
      this.view(PARAMS, 0, extent).set((leaves[extent.path] as Leaf).data);
      this.plan.arrays.forEach(({ slots, init }, array) => {
        for (let slot = 0; slot < slots && init !== 0; slot++) {
          this.view(array, slot, extent).fill(init);
        }
      });
      const values = this.values[tensor] as Float64Array;
      for (const { slot, value } of this.plan.host.constants) {
        values[slot] = value;
      }
      for (const { slot, init } of this.plan.tensorState) {
        values[slot] = init;
      }
    });
  }

  /**
   * Pays at construction what the first steps would pay: the system hands out a page of fresh memory when it
   * is first touched, and first calls run in WebAssembly's baseline compiler until the optimised one is ready.
   */
  private warmUp(): void {
    const bytes = new Uint8Array(this.memory.buffer);
    for (let page = 0; page < bytes.length; page += 4096) {
      bytes[page] = 0;
    }
    for (const [kernel, loaded] of this.backend === "wasm" ? this.loaded : []) {
      loaded.frame.pointers.fill(this.layout.warmup);
      loaded.frame.count[0] = WARMUP_ELEMENTS;
      const calls = WARMUP_INSTRUCTIONS / kernel.body.length / WARMUP_ELEMENTS;
      for (let call = 0; call < calls; call++) {
        loaded.run();
      }
    }
    bytes.fill(0, this.layout.warmup, this.layout.warmup + WARMUP_ELEMENTS * bytesOf(this.dtype));
  }

  /** Copies gradients into the arena and names the tensors that have one; copies nothing when one is wrong. */
  private accept(gradients: Readonly<Record<string, NumericArray | null | undefined>>): number[] {
    const given: [tensor: number, data: NumericArray][] = [];
    for (const [path, data] of Object.entries(gradients)) {
      const tensor = this.tensorAt.get(path);
      if (tensor === undefined) {
        const paths = [...this.tensorAt.keys()];
        const shown = paths.slice(0, 8).join(", ") + (paths.length > 8 ? ", ..." : "");
        throw new RangeError(
          `step: gradients must belong to leaves, got "${path}"; leaves are ${shown}`,
        );
      }
      if (data === null || data === undefined) {
        continue;
      }
      if (!isNumericArray(data)) {
        throw new TypeError(
          `step: the gradient of leaf "${path}" must be a Float32Array or Float64Array, got ${show(data)}; convert it`,
        );
      }
      const extent = this.extent(tensor);
      if (data.length !== extent.size) {
        throw new ShapeMismatchError("step", path, extent.shape, [data.length]);
      }
      given.push([tensor, data]);
    }
    for (const [tensor, data] of given) {
      const slot = this.slotAt(GRADIENT, (this.counts[tensor] as number) + 1, 0);
      this.view(GRADIENT, slot, this.extent(tensor)).set(data);
    }
    return given.map(([tensor]) => tensor).toSorted((a, b) => a - b);
  }

  private hasFiniteGradient(tensor: number): boolean {
    const { frame } = this.guard;
    const { start, size } = this.extent(tensor);
    const slot = this.slotAt(GRADIENT, (this.counts[tensor] as number) + 1, 0);
    frame.count[0] = size;
    frame.pointers[0] = this.address(GRADIENT, slot, start);
    frame.partials.fill(0);
    this.guard.run();
    return Number.isFinite(foldPartials("max", frame.partials, 0));
  }

  /** Fills in what the host knows before the first pass. */
  private begin(active: readonly number[], learningRate: number): void {
    const total = active.reduce((sum, tensor) => sum + this.extent(tensor).size, 0);
    const { inputs, delays } = this.plan.host;
    for (const tensor of active) {
      const values = this.values[tensor] as Float64Array;
      const t = (this.counts[tensor] as number) + 1;
      const set = (name: string, value: number): void => {
        const slot = inputs.get(name);
        if (slot !== undefined) {
          values[slot] = value;
        }
      };
      set("t", t);
      set("lr", learningRate);
      set("size", this.extent(tensor).size);
      set("totalSize", total);
      for (const { slot, queue, steps } of delays) {
        const ring = this.queues[tensor]?.[queue] as Float64Array;
        values[slot] = ring[(t - steps + ring.length) % ring.length] as number;
      }
    }
  }

  private runLevel(level: number, tensors: readonly number[]): void {
    const instructions = this.plan.host.levels[level] ?? [];
    for (const tensor of tensors) {
      runHost(instructions, this.values[tensor] as Float64Array);
    }
  }

  private runPass(pass: Pass, [first, last]: Run): void {
    const start = this.extent(first).start;
    const end = this.extent(last).start + this.extent(last).size;
    const t = (this.counts[first] as number) + 1;
    const pieces: (readonly [Variant, number, number])[] = [];
    if (pass.refresh === undefined) {
      pieces.push([pass.steady, 0, end - start]);
    } else {
      const refreshed = refreshRange(t, this.layout.elements);
      const [from, to] = refreshed.map((at) => Math.min(Math.max(at, start), end) - start) as [
        number,
        number,
      ];
      pieces.push([pass.steady, 0, from], [pass.refresh, from, to], [pass.steady, to, end - start]);
    }
    let partials: Float64Array | undefined;
    for (const [variant, from, to] of pieces) {
      if (to > from || partials === undefined) {
        partials = this.runVariant(variant, first, t, start + from, to - from, partials);
      }
    }
    pass.reductions.forEach((index, position) => {
      const { kind } = this.plan.reductions[index] as Plan["reductions"][number];
      const slot = this.plan.host.reductions[index] as number;
      (this.values[first] as Float64Array)[slot] = foldPartials(
        kind,
        partials as Float64Array,
        position,
      );
    });
  }

  private runVariant(
    { kernel, streams, scalars }: Variant,
    tensor: number,
    t: number,
    start: number,
    count: number,
    partials: Float64Array | undefined,
  ): Float64Array {
    const loaded = this.loaded.get(kernel) as LoadedKernel;
    const { frame } = loaded;
    const values = this.values[tensor] as Float64Array;
    frame.count[0] = count;
    for (let i = 0; i < streams.length; i++) {
      const { array, delay } = streams[i] as Variant["streams"][number];
      frame.pointers[i] = this.address(array, this.slotAt(array, t, delay), start);
    }
    for (let i = 0; i < scalars.length; i++) {
      frame.scalars[i] = values[scalars[i] as number] as number;
    }
    if (partials === undefined) {
      kernel.reductions.forEach(({ kind }, i) => {
        frame.partials.fill(reductionIdentity(kind), i * 8, i * 8 + 8);
      });
    } else if (partials !== frame.partials) {
      frame.partials.set(partials);
    }
    loaded.run();
    return frame.partials;
  }

  /** Folds reductions over all tensors, in the order of the leaves, and hands the result to each. */
  private shareReductions(pass: Pass, active: readonly number[]): void {
    for (const index of pass.reductions) {
      const { kind, over } = this.plan.reductions[index] as Plan["reductions"][number];
      if (over === "all") {
        const slot = this.plan.host.reductions[index] as number;
        const join = kind === "sum" ? (a: number, b: number): number => a + b : Math.max;
        const total = active.reduce(
          (sum, tensor) => join(sum, this.values[tensor]?.[slot] as number),
          reductionIdentity(kind),
        );
        for (const tensor of active) {
          (this.values[tensor] as Float64Array)[slot] = total;
        }
      }
    }
  }

  /** Moves per-tensor state and queues on, and counts the step. */
  private commit(active: readonly number[]): void {
    for (const tensor of active) {
      const values = this.values[tensor] as Float64Array;
      const t = (this.counts[tensor] as number) + 1;
      this.plan.host.queues.forEach(({ source }, index) => {
        const ring = this.queues[tensor]?.[index] as Float64Array;
        ring[t % ring.length] = values[source] as number;
      });
      // All next values are read before any is written: one state may become another's old value.
      const next = this.plan.tensorState.map((state) => values[state.next] as number);
      this.plan.tensorState.forEach(({ slot }, i) => {
        values[slot] = next[i] as number;
      });
      this.counts[tensor] = t;
    }
    this.steps += 1;
  }

  /** Neighbouring tensors at the same step number, as runs. */
  private merged(active: readonly number[]): Run[] {
    const runs: [number, number][] = [];
    for (const tensor of active) {
      const last = runs.at(-1);
      if (last?.[1] === tensor - 1 && this.counts[last[0]] === this.counts[tensor]) {
        last[1] = tensor;
      } else {
        runs.push([tensor, tensor]);
      }
    }
    return runs;
  }

  private allTensors(): number[] {
    return this.layout.extents.map((_, tensor) => tensor);
  }

  private extent(tensor: number): Extent {
    return this.layout.extents[tensor] as Extent;
  }

  private slotsOf(array: number): number {
    return (this.plan.arrays[array] as Plan["arrays"][number]).slots;
  }

  /** The slot that holds step t − age of an array. */
  private slotAt(array: number, t: number, age: number): number {
    const slots = this.slotsOf(array);
    return (((t - age) % slots) + slots) % slots;
  }

  private address(array: number, slot: number, element: number): number {
    return (
      (this.layout.bases[array] as number) +
      slot * this.layout.slotBytes +
      element * (this.dtype === "float32" ? 4 : 8)
    );
  }

  private view(array: number, slot: number, extent: Extent): NumericArray {
    return viewOf(this.memory, this.layout, this.dtype, array, slot, extent);
  }
}

/** max |g| over a tensor: NaN or infinite exactly when an element is. */
const GUARD: Kernel = {
  name: "guard",
  streams: ["g"],
  scalars: [],
  body: [
    { op: "load", stream: 0 },
    { op: "abs", a: 0 },
  ],
  stores: [],
  reductions: [{ kind: "max", value: 1 }],
};

function variantsOf({ steady, refresh }: Pass): Variant[] {
  return refresh === undefined ? [steady] : [steady, refresh];
}

function singles(active: readonly number[]): Run[] {
  return active.map((tensor) => [tensor, tensor]);
}

function checkParams(params: Tree): Leaves {
  const leaves = flatten(params);
  if (Object.keys(leaves).length === 0) {
    throw new TypeError(
      "compileOptimizer: `params` must hold at least one leaf { shape, data }, got none; pass model parameters",
    );
  }
  for (const [path, { shape, data }] of Object.entries(leaves)) {
    if (data.length !== sizeOf(shape) || shape.some((n) => !(Number.isSafeInteger(n) && n >= 0))) {
      throw new ShapeMismatchError("compileOptimizer", path, shape, [data.length]);
    }
  }
  return leaves;
}

function requireLearningRate(value: number, step: number): void {
  requireThat(
    typeof value === "number" && value >= 0 && value < Number.POSITIVE_INFINITY,
    "step",
    `the learning rate of step ${step} must be finite and at least 0`,
    value,
  );
}
