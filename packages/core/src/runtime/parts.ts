/** The parts that run plans, as what they need of each other. */

import type { HostRunner, HostValues, Matrix } from "../codegen/host.ts";
import type { BackendMemory, DType, Kernel, LoadedKernel } from "../codegen/kernel.ts";
import type { MatrixStage, Pass, PhasePlan, Plan, Variant } from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import type { Brought, LeafInfo } from "../expr/node.ts";
import type { Statistics } from "../inspect.ts";
import type { Encoder, OptimizerState, StateShape } from "../state.ts";
import type { HostMemory, StoredView, Tensor, TensorClass } from "./tensor.ts";

/** A pass over neighbouring tensors at the same step number. */
export interface PassCall {
  readonly owner: TensorClass;
  readonly phase: PhasePlan;
  readonly pass: Pass;
  readonly first: Tensor;
  readonly last: Tensor;
  /** What it runs over instead of all elements of its tensors, with the numbers of the first; at least one. */
  readonly ranges?: readonly RowRange[];
}

/** The tensors of a class that take part in a call, in order, and the phase of their plan that it runs. */
export interface Part {
  readonly owner: TensorClass;
  readonly phase: PhasePlan;
  readonly active: readonly Tensor[];
}

/** Elements from..to of a class's segments that run together. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A range within one row, if the pass runs row by row. */
export interface RowRange extends Range {
  /** Whose numbers are read and reduced; 0 where it does not run row by row. */
  readonly row: number;
}

/** A range that one variant of a pass runs over. */
export interface Piece extends Range {
  readonly variant: Variant;
}

/** Runs a stage in place over the matrix whose first element lies at byte `at`. */
export type RunMatrixStage = (stage: MatrixStage, at: number, matrix: Matrix) => void;

/** What `newtonSchulz` needs to run. */
export interface MatrixStages extends Brought {
  readonly runs: "matrix stages";
  readonly kernels: readonly Kernel[];
  /** Elements of working memory that the stages of these phases need for the largest of the leaves. */
  readonly workElements: (phases: readonly PhasePlan[], leaves: readonly LeafInfo[]) => number;
  /** @param work - byte offset of the working memory, `workElements` numbers. */
  readonly bind: (
    memory: BackendMemory,
    dtype: DType,
    loaded: ReadonlyMap<Kernel, LoadedKernel>,
    work: number,
  ) => RunMatrixStage;
}

/** What state in 8 bits needs to run. */
export interface Packing extends Brought {
  readonly runs: "8 bits";
  /** From codes to numbers. */
  readonly unpack: Kernel;
  /** What the scale of a block is made of. */
  readonly extremes: Kernel;
  /** From numbers to codes: the nearest, or by the draws of a stream. */
  readonly pack: (draws: string | undefined) => Kernel;
  readonly runtime: Pick<Runtime, "encode" | "runTiles">;
}

/** What runs kernels for the other parts. */
export interface Runner {
  /** The key of the draws of the call that runs. */
  readonly key: number;
  /** Where numbers of arrays in 8 bits lie while a pass runs. */
  readonly tiles: readonly number[];
  /** Byte address that element 0 of a class has in the array that evaluation makes. */
  evaluated: number;
  loadedOf(kernel: Kernel): LoadedKernel;
  /** Runs a pass over its tensors; what it reduces stands in the first tensor's values afterwards. */
  run(call: PassCall): void;
  /**
   * Runs the pass's kernels over a range of the first tensor's class and returns the partial results of its reductions.
   *
   * @param row - whose numbers it reads. @param before - what it goes on from, the identities where absent.
   */
  runRange(call: PassCall, range: Range, row?: number, before?: Float64Array): Float64Array;
  runKernel(
    piece: Piece,
    tensor: Tensor,
    values: HostValues,
    row: number,
    before: Float64Array | undefined,
  ): Float64Array;
}

/** One step under inspection. */
export interface Inspection {
  /** Runs a pass of it, after its probe over each of its tensors. */
  run(call: PassCall): void;
  /** Of the tensors that took part, once all passes have run. */
  statistics(tensors: readonly Tensor[]): Statistics;
}

/** A part is handed on, and imported nowhere else: a precompiled optimizer brings those that its own plan needs. */
export interface Runtime {
  /** The host's part between passes. */
  readonly runHost: HostRunner;
  /** What the host keeps from step to step; absent where no plan keeps anything there. */
  readonly hostMemory?: (plans: readonly Plan[]) => HostMemory;
  /** The order of passes where some reduce over all tensors. */
  readonly levelByLevel: (parts: readonly Part[], runHost: HostRunner) => Generator<PassCall, void>;
  /** A pass that reads or reduces rows and columns. */
  readonly runRows: (runner: Runner, call: PassCall) => void;
  /** Which elements of a range run which variant of a pass that has windows. */
  readonly refreshed: (pass: Pass, tensor: Tensor, range: Range) => readonly Piece[];
  /** The key of the draws of a call; absent where no plan draws. */
  readonly keyOfCall?: (call: PassCall, seed: number) => number;
  /** The parameters to evaluate with, where a phase of the plan makes them; absent where none does. */
  readonly evaluate?: (
    runner: Runner,
    classes: readonly TensorClass[],
    numbers: Readonly<Record<string, number>>,
    runtime: Pick<Runtime, "runHost" | "levelByLevel">,
    work: number,
  ) => ReadonlyMap<Tensor, NumericArray>;
  /** Arrays that are kept in fewer bits; absent where there are none. */
  readonly inFewerBits?: StoredView;
  /** Where state starts that is kept in fewer bits. */
  readonly encode: Encoder;
  /** A piece of a pass over arrays that are kept in 8 bits; absent where there are none. */
  readonly runTiles?: (
    runner: Runner,
    piece: Piece,
    tensor: Tensor,
    values: HostValues,
    row: number,
    before: Float64Array | undefined,
  ) => Float64Array;
  /** Refuses a state that is none of this optimizer; `own` gives one that is. */
  readonly checkState: (
    where: string,
    state: OptimizerState,
    own: () => OptimizerState,
    shape: StateShape,
  ) => void;
  /** Runs an inspected step, and takes its statistics. */
  readonly inspection: (inspect: true | "all", runner: Runner) => Inspection;
}
