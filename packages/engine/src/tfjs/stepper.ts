/** What the two ways of taking a step on variables have in common. */

import type { OptimizerState } from "@adastra/core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";

/** An optimizer bound to variables. */
export interface Stepper {
  /** The variables by name, in the order of the first step. */
  readonly variables: ReadonlyMap<string, Variable>;
  /** One step of the variables named, with gradients that have been checked. */
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number): void;
  /** Parameters and state in core's format. */
  save(): Promise<OptimizerState>;
  /** @throws TypeError for the state of another optimizer or other variables. Nothing has changed then. */
  load(state: OptimizerState): void;
  dispose(): void;
}
