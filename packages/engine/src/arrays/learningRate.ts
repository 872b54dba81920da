/** Learning rates as the adapters take them: a number, or a schedule by the steps taken. */

import type { Schedule } from "@adastra/core";

/** @throws TypeError for what is neither. */
export function requireSchedule(where: string, learningRate: number | Schedule): Schedule {
  if (typeof learningRate === "number") {
    return () => learningRate;
  }
  if (typeof learningRate !== "function") {
    throw new TypeError(
      `${where}: \`learningRate\` must be a number or a schedule, got ${String(learningRate)}`,
    );
  }
  return learningRate;
}

/** @throws RangeError for a rate that is negative or not finite. */
export function requireRate(where: string, step: number, rate: number): number {
  if (!(typeof rate === "number" && rate >= 0 && rate < Number.POSITIVE_INFINITY)) {
    throw new RangeError(
      `${where}: the learning rate of step ${step} must be finite and at least 0, got ${String(rate)}`,
    );
  }
  return rate;
}
