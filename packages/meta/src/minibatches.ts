/** Which examples each step within a task sees. */

import type { Random } from "@adastra/core";
import { requireCount } from "./checks.ts";
import { shuffled } from "./task.ts";

/** So many steps, or so many passes over the examples (FedAvg's E). */
export type Duration = { readonly steps: number } | { readonly epochs: number };

/** Examples in a batch (FedAvg's B), at least 1, and for how long. */
export type BatchPlan = { readonly batchSize: number } & Duration;

/** @throws RangeError for a number of the plan below 1. */
export function checkPlan(where: string, plan: BatchPlan): void {
  requireCount(where, "batchSize", plan.batchSize);
  if ("steps" in plan) {
    requireCount(where, "steps", plan.steps);
  } else {
    requireCount(where, "epochs", plan.epochs);
  }
}

/**
 * Indices of each mini-batch. By `epochs`, each epoch is a new order cut into batches, the last of them short where
 * examples run out. By `steps`, every batch is full, at most all examples, and takes up the next order where one ends.
 */
export function* minibatches(
  examples: number,
  plan: BatchPlan,
  random: Random,
): Generator<readonly number[]> {
  const { batchSize } = plan;
  if ("epochs" in plan) {
    for (let epoch = 0; epoch < plan.epochs; epoch++) {
      const order = shuffled(examples, random);
      for (let first = 0; first < examples; first += batchSize) {
        yield order.slice(first, first + batchSize);
      }
    }
    return;
  }
  const full = Math.min(batchSize, examples);
  let left: number[] = [];
  for (let step = 0; step < plan.steps; step++) {
    const batch = left.splice(0, full);
    if (batch.length < full) {
      left = shuffled(examples, random);
      // An example that ended the order before may stand in the batch once more.
      batch.push(...left.splice(0, full - batch.length));
    }
    yield batch;
  }
}
