/**
 * Reptile: the initialisation moves towards where tasks end
 *
 *     φ ← φ + s (mean of θₖ − φ)          s from metaStep to metaStepFinal, linearly over the rounds
 */

import { linear } from "@adastra/core";
import { requireCount } from "./checks.ts";
import { type MetaTraining, type MetaTrainingOptions, metaTraining } from "./metaTraining.ts";

export interface ReptileOptions<Batch> extends MetaTrainingOptions<Batch> {
  /** Rounds that `metaStep` falls over, at least 1. */
  readonly rounds: number;
  /** Tasks a round, default 5. */
  readonly metaBatch?: number;
  /** s at the first round, default 1. */
  readonly metaStep?: number;
  /** s after the last, default 0. */
  readonly metaStepFinal?: number;
  /** Steps on a task, at least 2: with one Reptile is gradient descent on the mean loss. */
  readonly innerSteps: number;
  /** Examples in a step's batch, at least 1. */
  readonly batchSize: number;
}

/**
 * Reptile, with ARUBA's rates where asked for.
 *
 *     φ ← φ + s (mean of θₖ − φ),  s = metaStep (1 − i/rounds) + metaStepFinal i/rounds at round i = 0, 1, ...
 *
 * Tasks of a round weigh the same. With ARUBA, rates follow every task.
 *
 * @throws RangeError naming the option that is out of range.
 * @see Nichol, Achiam & Schulman 2018, Algorithm 2, https://arxiv.org/abs/1803.02999
 */
export function reptile<Batch>({
  rounds,
  metaBatch = 5,
  metaStep = 1,
  metaStepFinal = 0,
  innerSteps,
  batchSize,
  ...options
}: ReptileOptions<Batch>): MetaTraining {
  requireCount("reptile", "rounds", rounds);
  if (!(Number.isSafeInteger(innerSteps) && innerSteps >= 2)) {
    throw new RangeError(
      `reptile: \`innerSteps\` must be an integer of at least 2, got ${innerSteps}; one step is plain SGD on all tasks`,
    );
  }
  return metaTraining(options, {
    name: "reptile",
    direction: "displacement",
    weighting: "equal",
    refreshEvery: "task",
    metaStep: linear(metaStep, rounds, { endValue: metaStepFinal }),
    tasksPerRound: metaBatch,
    batches: { batchSize, steps: innerSteps },
  });
}
