/** A planned optimizer bound to parameters: the arena, the kernels over it, and the step. */

import { type ArenaLayout, type ClassContents, layOut, leafBytes } from "./arena.ts";
import { type Backend, type DType, draws, frameBytes, type Kernel } from "./codegen/kernel.ts";
import {
  GRADIENT,
  PARAMS,
  type Pass,
  type PhasePlan,
  type Plan,
  type Variant,
} from "./codegen/passes.ts";
import type { Changes, CompiledOptimizer, StepOptions, StepResult } from "./compiledOptimizer.ts";
import type { Leaf, Leaves } from "./contracts.ts";
import { NonFiniteError, requireNonFinite } from "./errors.ts";
import type { LeafInfo } from "./expr/node.ts";
import { Executor } from "./runtime/executor.ts";
import { acceptGradients, type Gradients, gradientSlot } from "./runtime/gradients.ts";
import type { Numbers } from "./runtime/numbers.ts";
import type { MatrixStages, Runtime } from "./runtime/parts.ts";
import { commit, type Part, sequence } from "./runtime/sequence.ts";
import { type HostMemory, type Tensor, TensorClass } from "./runtime/tensor.ts";
import { loadLeaf, type OptimizerState, saveLeaf, startLeaf } from "./state.ts";
import { sizeOf } from "./tree.ts";

/** What a binding is made of: everything is checked, planned and chosen. */
export interface BindingParts {
  readonly name: string;
  /** A plan for each kind of leaf, with its leaves. */
  readonly classes: readonly { readonly plan: Plan; readonly leaves: readonly LeafInfo[] }[];
  /** The parameters to start from, in the order that they are given back. */
  readonly leaves: Leaves;
  readonly numbers: Numbers;
  readonly backend: Backend;
  readonly dtype: DType;
  readonly nonFinite: "propagate" | "skip" | "throw";
  /** Of draws, default 0. */
  readonly seed?: number;
  /** What matrix stages run on; absent where no plan has any. */
  readonly matrixStages?: MatrixStages | undefined;
  /** With the parts that the plans need. */
  readonly runtime: Runtime;
}

export class Binding implements CompiledOptimizer {
  readonly name: string;
  readonly backend: Backend["name"];
  readonly dtype: DType;
  readonly params: Leaves;
  readonly plans: readonly Plan[];

  private readonly numbers: Numbers;
  private readonly nonFinite: "propagate" | "skip" | "throw";
  private readonly runtime: Runtime;
  private readonly layout: ArenaLayout;
  private readonly executor: Executor;
  private readonly classes: readonly TensorClass[];
  /** In the order of the parameters. */
  private readonly tensors: readonly Tensor[];
  private readonly tensorAt: ReadonlyMap<string, Tensor>;
  private readonly memoryOnHost: HostMemory | undefined;
  /** The leaves of each slot of the gradient's ring, once they were handed out. */
  private readonly gradientSlots: Leaves[] = [];
  /** Whether a seed is part of the state. */
  private readonly draws: boolean;
  private steps = 0;
  private calls = 0;
  private readonly skips = { total: 0, consecutive: 0 };

  constructor({
    name,
    classes,
    leaves,
    numbers,
    backend,
    dtype,
    nonFinite,
    seed = 0,
    matrixStages,
    runtime,
  }: BindingParts) {
    this.runtime = runtime;
    this.name = name;
    this.backend = backend.name;
    this.dtype = dtype;
    this.nonFinite = nonFinite;
    this.numbers = numbers;
    this.plans = classes.map((each) => each.plan);

    const kernels = [...(matrixStages?.kernels ?? []), ...kernelsOf(this.plans)];
    const contents = classes.map((each) =>
      contentsOf(each.plan, each.leaves, matrixStages?.workElements),
    );
    this.layout = layOut(contents, dtype, frameBytes(kernels));
    const memory = backend.allocate(this.layout.bytes);
    const loaded = backend.load(kernels, dtype, memory, this.layout.scratch);
    const loadedOf = new Map(
      kernels.map((kernel, i) => [kernel, loaded[i] as (typeof loaded)[number]]),
    );
    const runMatrixStage = matrixStages?.bind(memory, dtype, loadedOf, this.layout.work);
    this.executor = new Executor(
      memory,
      dtype,
      loadedOf,
      runtime,
      runMatrixStage,
      this.layout.tiles,
    );
    this.executor.seed = seed;
    this.draws = kernels.some(draws);
    this.warmUp(memory.buffer, kernels);

    this.memoryOnHost = runtime.hostMemory?.(this.plans);
    this.classes = classes.map(
      (each, i) =>
        new TensorClass(
          each.plan,
          this.layout.classes[i] as ArenaLayout["classes"][number],
          each.leaves,
          dtype,
          memory,
          this.memoryOnHost,
          runtime.inFewerBits,
        ),
    );
    this.tensorAt = new Map(
      this.classes.flatMap(({ tensors }) => tensors.map((tensor) => [tensor.leaf.path, tensor])),
    );
    this.tensors = Object.keys(leaves).map((path) => this.tensorAt.get(path) as Tensor);
    this.params = this.leavesOf(PARAMS, () => 0);
    for (const tensor of this.tensors) {
      startLeaf(tensor, (leaves[tensor.leaf.path] as Leaf).data, runtime.encode);
    }
  }

  get count(): number {
    return this.steps;
  }

  get phase(): number {
    return this.calls;
  }

  get skipped(): { readonly total: number; readonly consecutive: number } {
    return { ...this.skips };
  }

  get hyperparameters(): Readonly<Record<string, number>> {
    const { lr, ...others } = this.numbers.at(this.steps);
    return { learningRate: lr as number, ...others };
  }

  get gradients(): Leaves {
    const [slot = 0, ...others] = this.tensors.map(gradientSlot);
    if (others.some((other) => other !== slot)) {
      return this.leavesOf(GRADIENT, gradientSlot);
    }
    this.gradientSlots[slot] ??= this.leavesOf(GRADIENT, () => slot);
    return this.gradientSlots[slot];
  }

  get stateBytes(): number {
    return stateBytesOf(this.tensors);
  }

  step(
    gradients?: Gradients | null,
    { inspect = false, nonFinite = this.nonFinite }: StepOptions = {},
  ): StepResult {
    requireNonFinite("step", nonFinite);
    const numbers = this.numbers.at(this.steps);
    if (inspect !== false && this.plans.some(({ inspected }) => inspected === undefined)) {
      throw new TypeError(
        "step: the optimizer must be compiled to be inspected, got `inspect` without; pass inspect: true to compileOptimizer",
      );
    }
    const inspection = inspect !== false && this.runtime.inspection(inspect, this.executor);
    const given = gradients && this.accept(gradients);
    const activeOf = (tensors: readonly Tensor[]): readonly Tensor[] =>
      given ? tensors.filter((tensor) => given.has(tensor)) : tensors;
    if (nonFinite !== "propagate") {
      const culprit = activeOf(this.tensors).find((tensor) => !this.isFinite(tensor));
      if (culprit !== undefined) {
        this.skips.total += 1;
        this.skips.consecutive += 1;
        if (nonFinite === "throw") {
          throw new NonFiniteError("step", this.steps + 1, culprit.leaf.path);
        }
        return { status: "skipped" };
      }
    }
    const parts = this.classes.map((owner): Part => {
      const { before, step, inspected } = owner.plan;
      const phase = before[this.calls] ?? (inspect ? (inspected as PhasePlan) : step);
      return { owner, phase, active: activeOf(owner.tensors) };
    });
    for (const call of sequence(parts, numbers, this.runtime)) {
      (inspection || this.executor).run(call);
    }
    const status = parts[0]?.phase.status ?? "stepped";
    const isStep = status === "stepped";
    commit(parts, isStep);
    this.calls = isStep ? 0 : this.calls + 1;
    this.steps += isStep ? 1 : 0;
    this.skips.consecutive = 0;
    return inspection && isStep
      ? {
          status,
          statistics: inspection.statistics(activeOf(this.tensors)),
        }
      : { status };
  }

  set(changes: Changes): void {
    this.numbers.set("set", changes, this.steps);
  }

  views(key: string): Leaves {
    const leaves: Record<string, Leaf> = {};
    for (const tensor of this.tensors) {
      const { arrays, twins } = tensor.owner.plan;
      const array = arrays.findIndex(({ name }) => name === key);
      const { slots, format, work } = arrays[array] ?? {};
      const isPlain = array > GRADIENT && slots === 1 && format === undefined && !work;
      if (!isPlain || Object.values(twins).includes(key)) {
        throw new RangeError(
          `views: the key must be that of a state array in the dtype, got "${key}"`,
        );
      }
      leaves[tensor.leaf.path] = { shape: tensor.leaf.shape, data: tensor.view(array, 0) };
    }
    return leaves;
  }

  evaluationParams(): Leaves {
    const numbers = this.numbers.at(this.steps);
    const { evaluate } = this.runtime;
    const { work } = this.layout;
    const evaluated = evaluate?.(this.executor, this.classes, numbers, this.runtime, work);
    const leaves = this.tensors.map((tensor): [string, Leaf] => {
      const data = evaluated?.get(tensor) ?? tensor.view(PARAMS, 0).slice();
      return [tensor.leaf.path, { shape: tensor.leaf.shape, data }];
    });
    return Object.fromEntries(leaves);
  }

  save(): OptimizerState {
    const { learningRate: _, ...hyperparameters } = this.hyperparameters;
    return {
      format: "adastra-optimizer/2",
      optimizer: this.name,
      dtype: this.dtype,
      count: this.steps,
      phase: this.calls,
      hyperparameters,
      global: this.memoryOnHost?.save() ?? {},
      ...(this.draws && { seed: this.executor.seed }),
      leaves: Object.fromEntries(
        this.tensors.map((tensor) => [tensor.leaf.path, saveLeaf(tensor)]),
      ),
    };
  }

  load(state: OptimizerState): void {
    this.runtime.checkState("load", state, () => this.save(), {
      optimizer: this.name,
      dtype: this.dtype,
      phases: 1 + (this.plans[0]?.before.length ?? 0),
      hyperparameters: this.numbers.keys,
      global: Object.keys(this.memoryOnHost?.save() ?? {}),
      tensors: this.tensors,
      draws: this.draws,
    });
    this.numbers.restore("load", state.hyperparameters);
    this.steps = state.count;
    this.calls = state.phase;
    this.executor.seed = state.seed ?? 0;
    this.memoryOnHost?.load(state.global);
    for (const tensor of this.tensors) {
      loadLeaf(tensor, state.leaves[tensor.leaf.path] as OptimizerState["leaves"][string]);
    }
  }

  /**
   * Pays at construction what the first steps would pay: the system hands out a page of fresh memory when it
   * is first touched, and first calls run in WebAssembly's baseline compiler until the optimised one is ready.
   */
  private warmUp(buffer: ArrayBuffer, kernels: readonly Kernel[]): void {
    const bytes = new Uint8Array(buffer);
    for (let page = 0; page < bytes.length; page += 4096) {
      bytes[page] = 0;
    }
    for (const kernel of this.backend === "wasm" ? kernels : []) {
      this.executor.warmUp(kernel, this.layout.warmup);
    }
  }

  /** Copies gradients into the arena and names the tensors that have one; copies nothing when one is wrong. */
  private accept(gradients: Gradients): ReadonlySet<Tensor> {
    const given = acceptGradients("step", gradients, this.tensorAt);
    for (const [tensor, data] of given) {
      tensor.view(GRADIENT, gradientSlot(tensor)).set(data);
    }
    return new Set(given.map(([tensor]) => tensor));
  }

  private isFinite(tensor: Tensor): boolean {
    return Number.isFinite(this.executor.largest(GUARD, tensor, GRADIENT, gradientSlot(tensor)));
  }

  /** Every leaf of an array, as views. */
  private leavesOf(array: number, slotOf: (tensor: Tensor) => number): Leaves {
    const leaves: Record<string, Leaf> = {};
    for (const tensor of this.tensors) {
      const { path, shape } = tensor.leaf;
      leaves[path] = { shape, data: tensor.view(array, slotOf(tensor)) };
    }
    return leaves;
  }
}

/** max |g| over a tensor: NaN or infinite exactly when an element is. */
export const GUARD: Kernel = {
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

export function phasesOf({ step, before, inspected, evaluation }: Plan): PhasePlan[] {
  return [step, ...before, inspected, evaluation].filter((phase) => phase !== undefined);
}

/** What the layout of the memory needs to know of a class; `stages` may be absent where its plan has no matrix stages. */
export function contentsOf(
  plan: Plan,
  leaves: readonly LeafInfo[],
  stages?: MatrixStages["workElements"],
): ClassContents {
  const phases = phasesOf(plan);
  const passes = phases.flatMap(passesOf);
  const largest = Math.max(...leaves.map(({ shape }) => sizeOf(shape)));
  return {
    leaves,
    arrays: plan.arrays,
    columns: Math.max(...passes.map(({ columns }) => columns.length)),
    work: Math.max(stages?.(phases, leaves) ?? 0, plan.evaluation === undefined ? 0 : largest),
    packed: Math.max(...passes.map(({ steady: { packed = [] } }) => packed.length)),
  };
}

/** The kernels behind plans, in the order in which a backend loads them: the guard is the last. */
export function kernelsOf(plans: readonly Plan[]): Kernel[] {
  const passes = plans.flatMap(phasesOf).flatMap(passesOf);
  const variants = passes.flatMap(({ steady, refresh }) => [steady, refresh ?? []].flat());
  return [...new Set(variants.flatMap(kernelsOfVariant)), GUARD];
}

/** Passes and their probes. */
function passesOf({ passes }: PhasePlan): Pass[] {
  return passes.flatMap((pass) => [pass.probe ?? [], pass].flat());
}

function kernelsOfVariant({ kernel, packed }: Variant): Kernel[] {
  const beside = packed?.flatMap(({ unpack, extremes, pack }) => [unpack, extremes, pack ?? []]);
  return [kernel, beside?.flat() ?? []].flat();
}

/** Bytes of state a parameter. */
export function stateBytesOf(tensors: readonly Tensor[]): number {
  let [bytes, elements] = [0, 0];
  for (const { owner, extent, onHost } of tensors) {
    bytes += owner.plan.arrays.reduce(
      (sum, spec, array) => sum + owner.kept(array) * leafBytes(spec, owner.dtype, extent.size),
      0,
    );
    bytes += onHost?.bytes ?? 0;
    elements += extent.size;
  }
  return elements === 0 ? 0 : bytes / elements;
}
