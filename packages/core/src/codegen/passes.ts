/** What a plan is: arrays, and for each call of the optimizer the passes over them and the host's part between. */

import type { NewtonSchulz, ReduceOver, Scope } from "../expr/node.ts";
import type { ProgramPhase } from "../optimizer.ts";
import type { HostProgram, Slot } from "./host.ts";
import type { Kernel } from "./kernel.ts";

/** An array of one number an element. Rings hold `slots` steps; step t lies in slot t mod slots. */
export interface ArraySpec {
  readonly name: string;
  readonly slots: number;
  readonly init: number | "params";
  /** How its elements are kept; in the dtype of the program where absent. */
  readonly format?: "bf16" | "int8";
  /** Whether it holds nothing between steps. */
  readonly work?: true;
}

/** What a kernel's stream runs over: an array as it was `delay` steps ago, or the numbers of the columns. */
export type Stream =
  | { readonly array: number; readonly delay: number }
  | { readonly column: number };

/** Numbers of the columns beside a pass: read from the host, or reduced row by row and handed to it. */
export interface ColumnSpec {
  readonly name: string;
  readonly role: "read" | "sum" | "max";
  readonly slot: Slot;
}

/** A stream over an array in 8 bits a number: its numbers lie beside the pass, unpacked before a run and packed after it. */
export interface PackedStream {
  readonly stream: number;
  readonly array: number;
  readonly reads: boolean;
  /** `UNPACK` and `EXTREMES` of `packing.ts`: here, so that what only runs plans carries no kernels that it may not need. */
  readonly unpack: Kernel;
  readonly extremes: Kernel;
  /** Makes codes of what the kernel stored; absent where it stores nothing. */
  readonly pack?: Kernel;
}

/** One way to run a pass: where windows are continued, or where they are summed anew. */
export interface Variant {
  readonly kernel: Kernel;
  readonly streams: readonly Stream[];
  /** Host slots of the kernel's scalars. */
  readonly scalars: readonly Slot[];
  /** Absent without arrays in 8 bits. */
  readonly packed?: readonly PackedStream[];
  /** Set where it draws: in its kernel, or to round what it keeps. */
  readonly draws?: true;
}

export interface Reduction {
  readonly kind: "sum" | "max";
  readonly over: ReduceOver;
  /** Where its result goes. */
  readonly slot: Slot;
}

/** What happens to an array of one tensor after a pass has written it: `newtonSchulz` of what it holds. */
export interface MatrixStage {
  readonly array: number;
  readonly coefficients: NewtonSchulz;
}

export interface Pass {
  readonly steady: Variant;
  /** For the blocks whose windows are summed anew this step; absent without windows. */
  readonly refresh?: Variant | undefined;
  /** What the kernel reduces, in its order. */
  readonly reductions: readonly Reduction[];
  /** Run once the pass is over; absent where there is none. */
  readonly matrices?: readonly MatrixStage[];
  /** Numbers of the columns that the kernel reads or makes; its column streams are indices into them. */
  readonly columns: readonly ColumnSpec[];
  /** Whether each tensor needs a run of its own: it is reduced, or scaled by a number of its own. */
  readonly perTensor: boolean;
  /** Whether each row needs a run of its own. */
  readonly perRow: boolean;
  /** Where a truth value stands: whether anybody reads what the pass reduces; it always runs where absent. */
  readonly needed?: Slot;
  /** Reads what the pass is about to read, stores nothing and reduces what is inspected; runs before the pass. */
  readonly probe?: Pass;
}

/** A reduction over all tensors: where each leaves its share, and finds the total once pass number `pass` is over. */
export interface SharedReduction {
  readonly kind: "sum" | "max";
  readonly domain: string;
  readonly slot: Slot;
  readonly pass: number;
}

/** The passes of one call: the step, or a phase before it. */
export interface PhasePlan {
  readonly status: ProgramPhase["status"];
  readonly passes: readonly Pass[];
  readonly host: HostProgram;
  readonly shared: readonly SharedReduction[];
  /** State on the host, and where its next value stands. */
  readonly next: readonly { readonly key: string; readonly slot: Slot }[];
  /** What is inspected, and where it stands: as soon as a probe has reduced it, else after the last pass. */
  readonly inspect: readonly { readonly name: string; readonly slot: Slot }[];
  /** What an inspected step keeps of a tensor; absent where nothing is inspected. */
  readonly row?: InspectedRow;
}

/** Numbers of what is inspected, one after the other. */
export interface InspectedRow {
  /** How many probes reduce, in slots 0, 1, … */
  readonly probed: number;
  /** Slots of the others. */
  readonly onHost: readonly Slot[];
}

/** State that the host keeps. */
export interface HostState {
  readonly key: string;
  readonly scope: Exclude<Scope, "element">;
  readonly init: number;
}

export interface Plan {
  readonly name: string;
  /** `[0]` is p, `[1]` is g; then state by key, then histories. */
  readonly arrays: readonly ArraySpec[];
  readonly step: PhasePlan;
  /** Calls before the step, in order. */
  readonly before: readonly PhasePlan[];
  /** The step again with probes for what `inspect` asked for; its kernels are those of the step where they are equal. */
  readonly inspected?: PhasePlan | undefined;
  /** Makes the parameters to evaluate with: one store, stream 0. */
  readonly evaluation?: PhasePlan | undefined;
  readonly hostState: readonly HostState[];
  /** State keys that turned out to be the same array, by the key they live on under. */
  readonly twins: Readonly<Record<string, string>>;
}

export const PARAMS = 0;
export const GRADIENT = 1;
/** The array that `evaluation` stores into; the driver decides where it lies. */
export const EVALUATED = -1;
