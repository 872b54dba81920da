/** What `compileOptimizer` takes and gives: the options, the step, the state. */

import type { Backend, DType } from "./codegen/kernel.ts";
import type { Plan } from "./codegen/plan.ts";
import type { Leaves, NumericArray } from "./contracts.ts";
import type { Schedule } from "./schedules/schedules.ts";
import type { OptimizerState } from "./state.ts";
import type { Tree } from "./tree.ts";

/** The array type of a dtype. */
export type ArrayOf<D extends DType> = D extends "float64" ? Float64Array : Float32Array;

export interface CompileOptions<D extends DType = DType> {
  /** The parameters to start from, as a tree or by path; copied, never written. */
  readonly params: Tree;
  /** The learning rate α, or a schedule of it. */
  readonly learningRate: number | Schedule;
  /** `"auto"` (default) takes the fastest that runs here: wasm, else js, else evaluate. */
  readonly backend?: "auto" | Backend["name"];
  /** Of parameters, gradients and state; default float32. */
  readonly dtype?: D;
  /**
   * What a gradient with NaN or infinity does: `"propagate"` (default) follows the formula, `"skip"` leaves
   * parameters, state and step count untouched, `"throw"` does so too and throws NonFiniteError.
   */
  readonly nonFinite?: "propagate" | "skip" | "throw";
}

export interface StepResult {
  readonly status: "stepped" | "skipped";
}

/** An optimizer bound to parameters. */
export interface CompiledOptimizer<D extends DType = DType> {
  readonly name: string;
  readonly backend: Backend["name"];
  readonly dtype: D;
  /** Steps taken. */
  readonly count: number;
  /** The parameters, as views on one memory; they never move. */
  readonly params: Leaves<ArrayOf<D>>;
  /** Where the gradient of the next step is written. Optimizers that keep past gradients hand out other arrays after each step. */
  readonly gradients: Leaves<ArrayOf<D>>;
  /** Bytes of state an element of a parameter, histories included. */
  readonly stateBytes: number;
  /** The plan behind the step, for inspection. */
  readonly plan: Plan;
  /**
   * Takes one step with what stands in `gradients`, or with the arrays given: those are copied, and leaves
   * without one are skipped, state and step number included. A step without any gradient still counts for the
   * schedule.
   *
   * @throws ShapeMismatchError or RangeError for gradients that do not fit, NonFiniteError under
   * `nonFinite: "throw"`, RangeError for a learning rate that is negative or not finite. Nothing has changed then.
   */
  step(gradients?: Readonly<Record<string, NumericArray | null | undefined>>): StepResult;
  /** Parameters and state by name, copied. */
  save(): OptimizerState;
  /**
   * Continues from `save()`: the next steps are, bit for bit, those that the saved optimizer would have taken.
   *
   * @throws TypeError when the state belongs to another optimizer, dtype or set of leaves. Nothing has changed then.
   */
  load(state: OptimizerState): void;
}
