/**
 * An optimizer on a WebGPU device: parameters, gradients and state live in the device's memory.
 *
 * Plans, the host's part of a step and the format of states are those of `compileOptimizer`. What differs is who runs
 * the passes: they are recorded as dispatches and submitted together, and only a reduction that the host must see before
 * it can go on waits for the device. Adam is one submission a step, AdaShift one with a read of one number a tensor.
 * Numbers of a step are computed in float64 on the host; elements in the device's float32, whose operations may err
 * by what docs/webgpu.md says, so that results are close to those of the other backends, not equal.
 */

import { type ClassLayout, layOut } from "../arena.ts";
import { contentsOf, GUARD, kernelsOf, stateBytesOf } from "../binding.ts";
import { runHost, valuesAt } from "../codegen/host.ts";
import { type Kernel, reductionIdentity } from "../codegen/kernel.ts";
import { EVALUATED, GRADIENT, PARAMS, type Plan, type Stream } from "../codegen/passes.ts";
import { plan } from "../codegen/plan.ts";
import { specialise } from "../codegen/specialise.ts";
import type { Changes, CompileOptions, StepOptions, StepResult } from "../compiledOptimizer.ts";
import type { Leaf, Leaves } from "../contracts.ts";
import { NonFiniteError, requireNonFinite, requireSeed, requireThat } from "../errors.ts";
import { drawsAnything, keepsEightBits, matrixStagesOf, verifyProgram } from "../expr/verify.ts";
import { withStatistics } from "../inspect.ts";
import { type Optimizer, requireOptimizer, toProgram } from "../optimizer.ts";
import { keyOfCall } from "../runtime/draws.ts";
import { acceptGradients, type Gradients, gradientSlot } from "../runtime/gradients.ts";
import { hostMemory } from "../runtime/hostState.ts";
import { allOf, probedBy, probeOf, recordStep, requireInspect } from "../runtime/inspection.ts";
import { Numbers } from "../runtime/numbers.ts";
import type { Piece, Range } from "../runtime/parts.ts";
import { refreshed } from "../runtime/refresh.ts";
import { rowsOf } from "../runtime/rows.ts";
import { commit, levelByLevel, type Part, type PassCall, sequence } from "../runtime/sequence.ts";
import { inFewerBits } from "../runtime/stored.ts";
import { type HostMemory, type Tensor, TensorClass } from "../runtime/tensor.ts";
import {
  checkState,
  encodeBf16,
  loadLeaf,
  type OptimizerState,
  saveLeaf,
  startLeaf,
} from "../state.ts";
import { checkParams, infosOf } from "../tree.ts";
import type { GpuRun } from "./batch.ts";
import type { GpuBuffer, GpuDevice } from "./device.ts";
import { createGpuExecutor, type GpuExecutor } from "./executor.ts";

export type GpuOptimizerOptions = Pick<
  CompileOptions<"float32">,
  "params" | "learningRate" | "hyperparameters" | "nonFinite" | "inspect" | "seed"
>;

/** Numbers of a leaf in the device's memory. */
export interface GpuSlice {
  readonly buffer: GpuBuffer;
  /** Byte offset of the first number, a multiple of 4. */
  readonly offset: number;
  readonly shape: readonly number[];
}

/** An optimizer whose parameters live on a device. Calls are awaited one after the other. */
export interface GpuOptimizer {
  readonly name: string;
  /** Steps taken. */
  readonly count: number;
  /** Calls taken of those that make up a step. */
  readonly phase: number;
  /** Bytes of state a parameter. */
  readonly stateBytes: number;
  /** Hyperparameters of the next step by key, the learning rate as `learningRate`. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Where parameters lie, to be read by other work on the device. */
  readonly params: Readonly<Record<string, GpuSlice>>;
  /** Where the gradient of the next step is expected, to be written by other work on the device. */
  readonly gradients: Readonly<Record<string, GpuSlice>>;
  /**
   * Takes one step with what stands in `gradients`, or with arrays that are uploaded; leaves without one are skipped.
   * Statistics of an inspected step are of all elements, also where a sample was asked for.
   *
   * @throws as `compileOptimizer`'s step before anything changes. GpuRefusalError or GpuDeviceLostError from the device:
   * then how far the step came is not known, and the optimizer takes no further one until a state is loaded.
   */
  step(gradients?: Gradients | null, options?: StepOptions): Promise<StepResult>;
  /** Changes hyperparameters, and `learningRate`, from the next step on. */
  set(changes: Changes): void;
  /** The parameters, copied from the device. */
  readParams(): Promise<Leaves<Float32Array>>;
  /** The parameters to evaluate the model with, copied from the device. */
  evaluationParams(): Promise<Leaves<Float32Array>>;
  /** Parameters and state in the format of every backend. */
  save(): Promise<OptimizerState>;
  /** Continues from a saved state, of this backend or another. */
  load(state: OptimizerState): Promise<void>;
  /** Frees what was allocated on the device. */
  destroy(): void;
}

/**
 * Binds an optimizer to parameters on a device of the caller's.
 *
 * @throws as `compileOptimizer`, and RangeError for leaves of one kind that need more than the device's largest buffer,
 * GpuRefusalError or GpuDeviceLostError from the device. Nothing stays allocated then.
 * @example
 * const device = await (await navigator.gpu.requestAdapter()).requestDevice();
 * const optimizer = await compileOnDevice(device, adam(), { params, learningRate: 1e-3 });
 */
export async function compileOnDevice(
  device: GpuDevice,
  optimizer: Optimizer,
  {
    params,
    learningRate,
    hyperparameters = {},
    nonFinite = "propagate",
    inspect = false,
    seed = 0,
  }: GpuOptimizerOptions,
): Promise<GpuOptimizer> {
  const where = "compileOnDevice";
  requireOptimizer(where, "`optimizer`", optimizer);
  const leaves = checkParams(where, params);
  requireNonFinite(where, nonFinite);
  requireSeed(where, seed);
  const program = withStatistics(toProgram(optimizer), inspect);
  const numbers = new Numbers(where, program.hyperparameters, { ...hyperparameters, learningRate });
  verifyProgram(program);
  requireThat(
    !keepsEightBits(program),
    where,
    `the device has no state in 8 bits, which "${optimizer.name}" needs`,
    optimizer.name,
    "compile it for wasm or js",
  );
  requireThat(
    matrixStagesOf(program) === undefined,
    where,
    `the device has no matrix products, which "${optimizer.name}" needs`,
    optimizer.name,
    "compile it for wasm or js",
  );
  const infos = infosOf(leaves);
  const { classes, sites } = specialise(program, infos);
  const planned = classes.map((each) => ({
    plan: plan(each.program, "float32", sites),
    leaves: each.leaves.map((index) => infos[index] as (typeof infos)[number]),
  }));
  const plans = planned.map((each) => each.plan);
  const memoryOnHost = hostMemory(plans);
  const arenas = planned.map((each) => new GpuArena(each.plan, each.leaves, memoryOnHost));
  const executor = await createGpuExecutor(device, {
    kernels: kernelsOf(plans),
    arenas: arenas.map(({ bytes }) => bytes),
  });
  const bound = new Bound(optimizer.name, executor, arenas, Object.keys(leaves), {
    numbers,
    nonFinite,
    memoryOnHost,
    seed: drawsAnything(program) ? seed : undefined,
  });
  for (const tensor of bound.tensors) {
    startLeaf(tensor, (leaves[tensor.leaf.path] as Leaf).data, encodeBf16);
  }
  bound.upload();
  return bound;
}

/** The memory of one class: on the device, and while states are written or read also here. */
class GpuArena {
  readonly bytes: number;
  readonly tensors: TensorClass;
  /** Where `evaluation` leaves its result. */
  readonly evaluated: number;
  private mirror: ArrayBuffer | undefined;

  constructor(
    classPlan: Plan,
    leaves: ConstructorParameters<typeof TensorClass>[2],
    memoryOnHost: HostMemory,
  ) {
    const { classes, bytes } = layOut([contentsOf(classPlan, leaves)], "float32", 0);
    const layout = classes[0] as ClassLayout;
    this.evaluated = bytes;
    this.bytes =
      bytes + (classPlan.evaluation === undefined ? 0 : (layout.slotBytes[PARAMS] as number));
    const bufferOf = (): ArrayBuffer => (this.mirror ??= new ArrayBuffer(this.bytes));
    const memory = {
      get buffer(): ArrayBuffer {
        return bufferOf();
      },
    };
    this.tensors = new TensorClass(
      classPlan,
      layout,
      leaves,
      "float32",
      memory,
      memoryOnHost,
      inFewerBits,
    );
  }

  /** All numbers, as they stand here. */
  get numbers(): Float32Array {
    return new Float32Array(this.tensors.memory.buffer);
  }

  forget(): void {
    this.mirror = undefined;
  }
}

interface Surroundings {
  readonly numbers: Numbers;
  readonly nonFinite: "propagate" | "skip" | "throw";
  readonly memoryOnHost: HostMemory;
  /** Of draws; undefined where there are none. */
  readonly seed: number | undefined;
}

class Bound implements GpuOptimizer {
  readonly name: string;
  /** In the order of the parameters. */
  readonly tensors: readonly Tensor[];
  private readonly executor: GpuExecutor;
  private readonly arenas: readonly GpuArena[];
  private readonly arenaOf: ReadonlyMap<TensorClass, number>;
  private readonly tensorAt: ReadonlyMap<string, Tensor>;
  private readonly surroundings: Surroundings;
  private seed: number | undefined;
  private steps = 0;
  private calls = 0;
  private broken: unknown;
  /** Dispatches that nobody has to wait for yet. */
  private recorded: GpuRun[] = [];

  constructor(
    name: string,
    executor: GpuExecutor,
    arenas: readonly GpuArena[],
    paths: readonly string[],
    surroundings: Surroundings,
  ) {
    this.name = name;
    this.executor = executor;
    this.arenas = arenas;
    this.surroundings = surroundings;
    this.seed = surroundings.seed;
    this.arenaOf = new Map(arenas.map(({ tensors }, index) => [tensors, index]));
    const all = arenas.flatMap(({ tensors }) => tensors.tensors);
    const byPath = new Map(all.map((tensor) => [tensor.leaf.path, tensor]));
    this.tensors = paths.map((path) => byPath.get(path) as Tensor);
    this.tensorAt = new Map(this.tensors.map((tensor) => [tensor.leaf.path, tensor]));
  }

  get count(): number {
    return this.steps;
  }

  get phase(): number {
    return this.calls;
  }

  get stateBytes(): number {
    return stateBytesOf(this.tensors);
  }

  get hyperparameters(): Readonly<Record<string, number>> {
    const { lr, ...others } = this.surroundings.numbers.at(this.steps);
    return { learningRate: lr as number, ...others };
  }

  get params(): Readonly<Record<string, GpuSlice>> {
    return this.slices(PARAMS, () => 0);
  }

  get gradients(): Readonly<Record<string, GpuSlice>> {
    return this.slices(GRADIENT, gradientSlot);
  }

  async step(
    gradients?: Gradients | null,
    { inspect = false, nonFinite = this.surroundings.nonFinite }: StepOptions = {},
  ): Promise<StepResult> {
    this.requireWhole("step");
    requireNonFinite("step", nonFinite);
    const { numbers } = this.surroundings;
    const values = numbers.at(this.steps);
    const plans = this.arenas.map(({ tensors }) => tensors.plan);
    requireInspect(inspect);
    requireThat(
      !inspect || plans.every(({ inspected }) => inspected !== undefined),
      "step",
      "the optimizer must be compiled to be inspected",
      "`inspect` without",
      "pass inspect: true to compileOnDevice",
    );
    const given =
      gradients === undefined || gradients === null
        ? this.tensors.map((tensor) => [tensor, undefined] as const)
        : acceptGradients("step", gradients, this.tensorAt);
    const result = await this.guarded(async (): Promise<StepResult | NonFiniteError> => {
      for (const [tensor, data] of given) {
        if (data !== undefined) {
          const at = tensor.owner.address(GRADIENT, gradientSlot(tensor), tensor.extent.start);
          this.executor.write(
            Float32Array.from(data),
            at,
            this.arenaOf.get(tensor.owner) as number,
          );
        }
      }
      const active = new Set(given.map(([tensor]) => tensor));
      if (nonFinite !== "propagate") {
        const culprit = await this.firstNonFinite([...active]);
        if (culprit !== undefined && nonFinite === "throw") {
          return new NonFiniteError("step", this.steps + 1, culprit.leaf.path);
        }
        if (culprit !== undefined) {
          return { status: "skipped" };
        }
      }
      const parts = this.arenas.map(({ tensors: owner }): Part => {
        const { before, step, inspected } = owner.plan;
        const phase = before[this.calls] ?? (inspect ? (inspected ?? step) : step);
        return { owner, phase, active: owner.tensors.filter((tensor) => active.has(tensor)) };
      });
      const record = recordStep();
      for (const call of sequence(parts, values, { runHost, levelByLevel })) {
        for (const tensor of probedBy(call)) {
          await this.run(probeOf(call, tensor, allOf(tensor)));
          record.keep(call, tensor, tensor.extent.size);
        }
        await this.run(call);
      }
      await this.flush();
      const status = parts[0]?.phase.status ?? "stepped";
      commit(parts, status === "stepped");
      this.calls = status === "stepped" ? 0 : this.calls + 1;
      this.steps += status === "stepped" ? 1 : 0;
      return inspect && status === "stepped"
        ? {
            status,
            statistics: record.statistics(this.tensors.filter((each) => active.has(each))),
          }
        : { status };
    });
    if (result instanceof NonFiniteError) {
      throw result;
    }
    return result;
  }

  set(changes: Changes): void {
    this.surroundings.numbers.set("set", changes, this.steps);
  }

  async readParams(): Promise<Leaves<Float32Array>> {
    this.requireWhole("readParams");
    return this.read((tensor) => tensor.owner.address(PARAMS, 0, tensor.extent.start));
  }

  async evaluationParams(): Promise<Leaves<Float32Array>> {
    this.requireWhole("evaluationParams");
    const values = this.surroundings.numbers.at(this.steps);
    return this.guarded(async () => {
      for (const { tensors: owner } of this.arenas) {
        const phase = owner.plan.evaluation;
        if (phase !== undefined) {
          const part = { owner, phase, active: owner.tensors };
          for (const call of sequence([part], values, { runHost, levelByLevel })) {
            await this.run(call, -1);
          }
        }
      }
      await this.flush();
      return this.read(({ owner, extent }) => {
        const { evaluated } = this.arenas[this.arenaOf.get(owner) as number] as GpuArena;
        return owner.plan.evaluation === undefined
          ? owner.address(PARAMS, 0, extent.start)
          : evaluated + 4 * extent.start;
      });
    });
  }

  async save(): Promise<OptimizerState> {
    this.requireWhole("save");
    await Promise.all(
      this.arenas.map(async ({ numbers }, arena) => {
        numbers.set(await this.executor.read(0, numbers.length, arena));
      }),
    );
    const { learningRate: _, ...hyperparameters } = this.hyperparameters;
    const { memoryOnHost } = this.surroundings;
    const state: OptimizerState = {
      format: "adastra-optimizer/2",
      optimizer: this.name,
      dtype: "float32",
      count: this.steps,
      phase: this.calls,
      hyperparameters,
      global: memoryOnHost.save(),
      ...(this.seed !== undefined && { seed: this.seed }),
      leaves: Object.fromEntries(
        this.tensors.map((tensor) => [tensor.leaf.path, saveLeaf(tensor)]),
      ),
    };
    this.arenas.forEach((arena) => arena.forget());
    return state;
  }

  async load(state: OptimizerState): Promise<void> {
    const { numbers, memoryOnHost } = this.surroundings;
    checkState("load", state, {
      optimizer: this.name,
      dtype: "float32",
      phases: 1 + (this.arenas[0]?.tensors.plan.before.length ?? 0),
      hyperparameters: numbers.keys,
      global: Object.keys(memoryOnHost.save()),
      tensors: this.tensors,
      draws: this.seed !== undefined,
    });
    numbers.restore("load", state.hyperparameters);
    this.steps = state.count;
    this.calls = state.phase;
    this.seed = state.seed;
    memoryOnHost.load(state.global);
    for (const tensor of this.tensors) {
      loadLeaf(tensor, state.leaves[tensor.leaf.path] as OptimizerState["leaves"][string]);
    }
    this.upload();
    this.broken = undefined;
  }

  destroy(): void {
    this.executor.destroy();
  }

  /** Copies what stands here to the device, and forgets it here. */
  upload(): void {
    this.arenas.forEach((arena, index) => {
      this.executor.write(arena.numbers, 0, index);
      arena.forget();
    });
  }

  /** Records a pass; where it reduces, submits what is recorded and leaves the results in the tensor's values. */
  private async run(call: PassCall, age = 0): Promise<void> {
    const { owner, phase, pass, first, last } = call;
    if (pass.steady.kernel.stores.length + pass.reductions.length === 0) {
      return;
    }
    const arena = this.arenaOf.get(owner) as number;
    const values = first.valuesOf(phase);
    const { columns } = first.matrix;
    const start = first.extent.start;
    const whole = { start, end: last.extent.start + last.extent.size, row: 0 };
    const ranges = call.ranges ?? (pass.perRow ? rowsOf(first) : [whole]);
    if (pass.columns.length > 0) {
      await this.flush();
      pass.columns.forEach(({ role, slot }, index) => {
        const beside =
          role === "read"
            ? Float32Array.from(valuesAt(values, slot))
            : new Float32Array(columns).fill(reductionIdentity(role));
        this.executor.write(beside, owner.layout.columns[index] as number, arena);
      });
    }
    const key = keyOfCall(call, this.seed ?? 0);
    const rowOf: number[] = [];
    for (const range of ranges) {
      const { row } = range;
      for (const piece of this.pieces(first, pass, range)) {
        const { variant, start: begin, end } = piece;
        rowOf.push(row);
        this.recorded.push({
          kernel: variant.kernel,
          arena,
          count: end - begin,
          pointers: variant.streams.map((stream) => this.pointer(arena, first, stream, begin, age)),
          scalars: variant.scalars.map(
            (slot) =>
              (slot < 0 ? values.vectors[-1 - slot]?.[row] : values.numbers[slot]) as number,
          ),
          base: begin - start,
          key,
        });
      }
    }
    if (pass.reductions.length === 0 && pass.columns.every(({ role }) => role === "read")) {
      return;
    }
    const results = (await this.flush()).slice(-rowOf.length);
    pass.reductions.forEach(({ kind, over, slot }, position) => {
      const into = valuesAt(values, slot).fill(reductionIdentity(kind));
      results.forEach((result, index) => {
        const row = over === "row" ? (rowOf[index] as number) : 0;
        const value = result[position] as number;
        const before = into[row] as number;
        into[row] = kind === "sum" ? before + value : Math.max(before, value);
      });
    });
    for (const [index, { role, slot }] of pass.columns.entries()) {
      if (role !== "read") {
        const at = owner.layout.columns[index] as number;
        valuesAt(values, slot).set(await this.executor.read(at, columns, arena));
      }
    }
  }

  /** A range of a pass in pieces that have elements, or one that has none. */
  private pieces(tensor: Tensor, pass: PassCall["pass"], range: Range): readonly Piece[] {
    const whole = { variant: pass.steady, ...range };
    const pieces = pass.refresh === undefined ? [whole] : refreshed(pass, tensor, range);
    const filled = pieces.filter(({ start, end }) => end > start);
    return filled.length === 0 ? [whole] : filled;
  }

  private pointer(
    arena: number,
    tensor: Tensor,
    stream: Stream,
    start: number,
    age: number,
  ): number {
    return "array" in stream && stream.array === EVALUATED
      ? (this.arenas[arena] as GpuArena).evaluated + 4 * start
      : tensor.pointer(stream, tensor.count + 1 + age, start);
  }

  /** Submits what is recorded, and waits for it. */
  private async flush(): Promise<readonly Float64Array[]> {
    const runs = this.recorded;
    this.recorded = [];
    return runs.length === 0 ? [] : this.executor.run(runs);
  }

  private async firstNonFinite(active: readonly Tensor[]): Promise<Tensor | undefined> {
    const largest = await this.executor.run(
      active.map((tensor): GpuRun => {
        const { owner, extent } = tensor;
        return {
          kernel: GUARD as Kernel,
          arena: this.arenaOf.get(owner) as number,
          count: extent.size,
          pointers: [owner.address(GRADIENT, gradientSlot(tensor), extent.start)],
          scalars: [],
        };
      }),
    );
    return active.find(
      (tensor, i) => tensor.extent.size > 0 && !Number.isFinite(largest[i]?.[0] as number),
    );
  }

  private async read(addressOf: (tensor: Tensor) => number): Promise<Leaves<Float32Array>> {
    const entries = this.tensors.map(async (tensor): Promise<[string, Leaf<Float32Array>]> => {
      const { owner, leaf, extent } = tensor;
      const arena = this.arenaOf.get(owner) as number;
      const data = await this.executor.read(addressOf(tensor), extent.size, arena);
      return [leaf.path, { shape: leaf.shape, data }];
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  private slices(array: number, slotOf: (tensor: Tensor) => number): Record<string, GpuSlice> {
    return Object.fromEntries(
      this.tensors.map((tensor) => {
        const { owner, leaf, extent } = tensor;
        const buffer = this.executor.arenas[this.arenaOf.get(owner) as number] as GpuBuffer;
        const offset = owner.address(array, slotOf(tensor), extent.start);
        return [leaf.path, { buffer, offset, shape: leaf.shape }];
      }),
    );
  }

  /** After a failure on the device nobody knows what stands there. */
  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.broken = error;
      this.recorded = [];
      throw error;
    }
  }

  private requireWhole(where: string): void {
    if (this.broken !== undefined) {
      throw new Error(
        `${where}: the state on the device must be whole, got a step that failed half-way; load a saved state`,
        { cause: this.broken },
      );
    }
  }
}
