/** Which learning rates are tried, and which of them is taken. */

import type { Random } from "@adastra/core";
import type { ProblemInfo, TrialResult } from "../protocol.ts";

/**
 * Stratified draws in [0, 1): one in each of `count` equal parts, in rising order.
 * A comparison draws once and gives every optimizer the same places in its own range.
 */
export function stratifiedDraws(count: number, random: Random): number[] {
  return Array.from({ length: count }, (_, part) => (part + random.next()) / count);
}

/** The rate at `share` of a range on a logarithmic scale, to three digits. */
export function logUniform([low, high]: readonly [number, number], share: number): number {
  return Number((low * (high / low) ** share).toPrecision(3));
}

/**
 * The learning rate of the best finished tuning trial: by its last metric, then by its last loss.
 *
 * @returns null when no trial finished.
 */
export function chooseLearningRate(
  tuning: readonly TrialResult[],
  better: ProblemInfo["metric"]["better"],
): number | null {
  const sign = better === "higher" ? -1 : 1;
  const [best] = tuning
    .filter((trial) => trial.status === "finished" && trial.lastMetric !== null)
    .toSorted(
      (a, b) =>
        sign * ((a.lastMetric ?? 0) - (b.lastMetric ?? 0)) ||
        (a.points.at(-1)?.testLoss ?? 0) - (b.points.at(-1)?.testLoss ?? 0),
    );
  return best?.spec.learningRate ?? null;
}
