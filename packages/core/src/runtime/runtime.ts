/**
 * What runs plans, in parts: `RUNTIME` is all of them, a precompiled optimizer brings those that its own plan needs.
 *
 * So a part is handed on, and imported nowhere else.
 */

import { readingsOf } from "../binding.ts";
import { type HostRunner, runHost } from "../codegen/host.ts";
import type { Pass } from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import { keyOf } from "../expr/draw.ts";
import { type Statistics, statisticsOf } from "../inspect.ts";
import {
  checkState,
  type Encoder,
  encode,
  type OptimizerState,
  type StateShape,
} from "../state.ts";
import { evaluate } from "./evaluate.ts";
import type { Executor, Piece, Range } from "./executor.ts";
import { runTiles } from "./packing.ts";
import { refreshed } from "./refresh.ts";
import { runRows } from "./rows.ts";
import { levelByLevel, type Part, type PassCall } from "./sequence.ts";
import type { Tensor } from "./tensor.ts";

export interface Runtime {
  /** The host's part between passes. */
  readonly runHost: HostRunner;
  /** The order of passes where some reduce over all tensors. */
  readonly levelByLevel: (parts: readonly Part[], runHost: HostRunner) => Generator<PassCall, void>;
  /** A pass that reads or reduces rows and columns. */
  readonly runRows: (executor: Executor, call: PassCall) => void;
  /** Which elements of a range run which variant of a pass that has windows. */
  readonly refreshed: (pass: Pass, tensor: Tensor, range: Range) => readonly Piece[];
  /** The key of the draws of a call. */
  readonly keyOf: (seed: number, path: string, t: number, call: number) => number;
  /** The parameters to evaluate with, where a phase of the plan makes them. */
  readonly evaluate: (executor: Executor, call: PassCall, scratch: number) => NumericArray;
  /** Where state starts that is kept in fewer bits. */
  readonly encode: Encoder;
  /** A piece of a pass over arrays that are kept in 8 bits. */
  readonly runTiles: typeof runTiles;
  /** Refuses a state that is none of this optimizer; `own` gives one that is. */
  readonly checkState: (
    where: string,
    state: OptimizerState,
    own: () => OptimizerState,
    shape: StateShape,
  ) => void;
  /** What an inspected step found. */
  readonly statisticsOf: (tensors: readonly Tensor[]) => Statistics;
}

export const RUNTIME: Runtime = {
  runHost,
  levelByLevel,
  runRows,
  refreshed,
  keyOf,
  evaluate,
  encode,
  runTiles,
  checkState: (where, state, _, shape) => checkState(where, state, shape),
  statisticsOf: (tensors) => statisticsOf(readingsOf(tensors)),
};
