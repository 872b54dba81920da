/**
 * First-order MAML: the initialisation descends the loss after adaptation, second derivatives left out
 *
 *     θₖ from φ on the support of task k
 *     φ ← outer(φ, mean of ∇Lₖ(θₖ))          Lₖ the loss of the query batch
 */

import type { Schedule } from "@adastra/core";
import { type MetaTraining, type MetaTrainingOptions, metaTraining } from "./metaTraining.ts";

export interface FomamlOptions<Batch> extends MetaTrainingOptions<Batch> {
  /** Learning rate of the outer optimizer, default 0.001. */
  readonly metaStep?: number | Schedule;
  /** Tasks a round, default 4. */
  readonly metaBatch?: number;
  /** Steps on the support, at least 1. */
  readonly innerSteps: number;
  /** Examples in a step's batch, at least 1. */
  readonly batchSize: number;
}

/**
 * First-order MAML; `outer` is SGD by default, Adam in the published runs.
 *
 *     φ ← outer(φ, mean of ∇Lₖ(θₖ))
 *
 * @throws RangeError naming the option that is out of range.
 * @see Finn, Abbeel & Levine 2017, Algorithm 2 and section 5.2, https://arxiv.org/abs/1703.03400
 */
export function fomaml<Batch>({
  metaStep = 0.001,
  metaBatch = 4,
  innerSteps,
  batchSize,
  ...options
}: FomamlOptions<Batch>): MetaTraining {
  return metaTraining(options, {
    name: "fomaml",
    direction: "gradient",
    weighting: "equal",
    refreshEvery: "task",
    metaStep,
    tasksPerRound: metaBatch,
    batches: { batchSize, steps: innerSteps },
    queryGradient: true,
  });
}
