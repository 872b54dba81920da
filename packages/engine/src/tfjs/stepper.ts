/** What the ways of taking a step on variables have in common. */

import type { CompileOptions, OptimizerState, StepResult } from "@adastra/core";
import type { NamedTensorMap, Tensor, Variable } from "@tensorflow/tfjs-core";

/** The learning rate of a step as `lr`, and the hyperparameters by key. */
export type StepNumbers = Readonly<Record<string, number>>;

/** What a gradient with NaN or infinity does, as in core. */
export type OnNonFinite = NonNullable<CompileOptions["nonFinite"]>;

/** An optimizer bound to variables. */
export interface Stepper {
  /** The variables by name, in the order of the first step. */
  readonly variables: ReadonlyMap<string, Variable>;
  /**
   * One call with gradients, of the variables named, that have been checked.
   *
   * @throws NonFiniteError under `nonFinite: "throw"`. Nothing has changed then.
   */
  step(gradients: ReadonlyMap<string, Tensor>, numbers: StepNumbers): StepResult["status"];
  /** The parameters to evaluate the model with, as new tensors. */
  evaluationParams(numbers: StepNumbers): NamedTensorMap;
  /** Parameters and state in core's format. */
  save(numbers: StepNumbers): Promise<OptimizerState>;
  /** @throws TypeError for the state of another optimizer or other variables. Nothing has changed then. */
  load(state: OptimizerState): void;
  dispose(): void;
}
