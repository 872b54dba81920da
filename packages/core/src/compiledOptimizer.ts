/** What `compileOptimizer` takes and gives: the options, the step, the state. */

import type { Backend, DType } from "./codegen/kernel.ts";
import type { Plan } from "./codegen/passes.ts";
import type { Leaves, NumericArray } from "./contracts.ts";
import type { Statistics } from "./inspect.ts";
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
  /**
   * `"auto"` (default) takes the fastest that runs here: wasm, else js, else evaluate. Or a backend itself, such as the
   * threads of `@adastra/core/threads`.
   */
  readonly backend?: "auto" | Backend["name"] | Backend;
  /** Of parameters, gradients and state; default float32. */
  readonly dtype?: D;
  /**
   * What a gradient with NaN or infinity does: `"propagate"` (default) follows the formula, `"skip"` leaves
   * parameters, state and step count untouched, `"throw"` does so too and throws NonFiniteError.
   */
  readonly nonFinite?: "propagate" | "skip" | "throw";
  /** Values or schedules for hyperparameters of the optimizer, by key; the optimizer's own where absent. */
  readonly hyperparameters?: Changes;
  /** Of every random draw, an integer in [0, 2³²), default 0; kept in the state of optimizers that draw. */
  readonly seed?: number;
  /** Whether steps can be inspected; costs kernels to compile, and nothing in steps that are not inspected. */
  readonly inspect?: boolean;
}

/** New values or schedules by key. */
export type Changes = Readonly<Record<string, number | Schedule>>;

export interface StepOptions {
  /**
   * Take the statistics of this step: `true` of a sample of each tensor's elements, `"all"` of every element. Parameters
   * and state become what they become without. The optimizer must have been compiled with `inspect`.
   */
  readonly inspect?: boolean | "all";
  /** What a gradient with NaN or infinity does in this call; default what the optimizer was compiled with. */
  readonly nonFinite?: "propagate" | "skip" | "throw";
}

export interface StepResult {
  /** `"skipped"` for a gradient that is not finite; `"accumulated"` and `"ascended"` for calls before the step itself. */
  readonly status: "stepped" | "skipped" | "accumulated" | "ascended";
  /** Of an inspected step, and of no call before it or skipped. */
  readonly statistics?: Statistics;
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
  /** Bytes of state an element of a parameter, histories included; the mean where leaves differ. */
  readonly stateBytes: number;
  /** The plans behind the step, one a kind of leaf, for inspection. */
  readonly plans: readonly Plan[];
  /** Hyperparameters of the next step by key, the learning rate as `learningRate`. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Calls that were skipped because a gradient was not finite: in all, and since the last that was not. */
  readonly skipped: { readonly total: number; readonly consecutive: number };
  /** Calls taken of those that make up a step; 0 unless the optimizer accumulates or ascends. */
  readonly phase: number;
  /**
   * Takes one step with what stands in `gradients`, or with the arrays given: those are copied, and leaves
   * without one are skipped, state and step number included. A step without any gradient still counts for the
   * schedule.
   *
   * @throws ShapeMismatchError or RangeError for gradients that do not fit, NonFiniteError under
   * `nonFinite: "throw"`, RangeError for a learning rate or hyperparameter out of range. Nothing has changed then.
   */
  step(
    gradients?: Readonly<Record<string, NumericArray | null | undefined>> | null,
    options?: StepOptions,
  ): StepResult;
  /**
   * Changes hyperparameters, and `learningRate`, from the next step on.
   *
   * @throws RangeError for a key that is none, or a value out of range. Nothing has changed then.
   */
  set(changes: Changes): void;
  /**
   * State of a key as views on the memory, for what changes it between steps: peers that average it.
   *
   * @throws RangeError for a key whose state is not one number an element in the dtype.
   */
  views(key: string): Leaves<ArrayOf<D>>;
  /** The parameters to evaluate the model with: averages, or the iterate that a method calls its answer; copied. */
  evaluationParams(): Leaves<ArrayOf<D>>;
  /** Parameters and state by name, copied. */
  save(): OptimizerState;
  /**
   * Continues from `save()`: the next steps are, bit for bit, those that the saved optimizer would have taken.
   *
   * @throws TypeError when the state belongs to another optimizer, dtype or set of leaves. Nothing has changed then.
   */
  load(state: OptimizerState): void;
}
