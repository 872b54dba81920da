/**
 * FedAvg: clients train on their own data, the server takes the mean by examples
 *
 *     φ ← Σ nₖ θₖ / Σ nₖ
 */

import { type MetaTraining, type MetaTrainingOptions, metaTraining } from "./metaTraining.ts";

export interface FedavgOptions<Batch> extends MetaTrainingOptions<Batch> {
  /** Clients a round, default 10 (C · K of the paper). */
  readonly clientsPerRound?: number;
  /** Passes of a client over its examples, default 1 (E). */
  readonly localEpochs?: number;
  /** Examples in a batch, default 10 (B). */
  readonly batchSize?: number;
  /** Server learning rate, default 1: the mean itself. */
  readonly metaStep?: number;
}

/**
 * Federated averaging, with ARUBA's rates where asked for, and any optimizer at the server.
 *
 *     φ ← φ − s (φ − Σ nₖ θₖ / Σ nₖ),  nₖ the examples of client k
 *
 * With ARUBA the rates stay for the round; the server takes in each client, then refreshes them: upload and download double.
 *
 * @throws RangeError naming the option that is out of range.
 * @see McMahan et al. 2017, Algorithm 1, https://arxiv.org/abs/1602.05629
 */
export function fedavg<Batch>({
  clientsPerRound = 10,
  localEpochs = 1,
  batchSize = 10,
  metaStep = 1,
  ...options
}: FedavgOptions<Batch>): MetaTraining {
  return metaTraining(options, {
    name: "fedavg",
    direction: "displacement",
    weighting: "examples",
    refreshEvery: "round",
    metaStep,
    tasksPerRound: clientsPerRound,
    batches: { batchSize, epochs: localEpochs },
  });
}
