/** Learning rates as plain functions of the steps taken, so that a resumed run continues exactly. */

import { requireNonNegative, requireThat, show } from "../errors.ts";

/** The learning rate of the step after `count` steps; `count` is 0 for the first. */
export type Schedule = (count: number) => number;

/**
 * The same rate for ever.
 *
 *     α(c) = α₀
 *
 * @param learningRate - α₀, finite and at least 0.
 * @throws RangeError for a rate out of range.
 */
export function constant(learningRate: number): Schedule {
  requireNonNegative("constant", "learningRate", learningRate);
  return () => learningRate;
}

/**
 * One schedule after another, each counting from 0 where it begins.
 *
 *     α(c) = αᵢ(c − bᵢ)    where bᵢ ≤ c < bᵢ₊₁, b₀ = 0
 *
 * @param schedules - at least one; a number stands for a constant schedule.
 * @param boundaries - the counts at which the second and later schedules begin: integers of at least 1,
 * increasing, one fewer than `schedules`.
 * @throws TypeError for what is not a schedule, RangeError for boundaries that do not fit.
 * @see optax.join_schedules
 * @example join([linear(0, 100, { endValue: 0.1 }), constant(0.1), cosine(0.1, 400)], [100, 600])
 */
export function join(
  schedules: readonly (number | Schedule)[],
  boundaries: readonly number[],
): Schedule {
  if (!Array.isArray(schedules) || schedules.length === 0) {
    throw new TypeError(
      `join: \`schedules\` must be a list of at least one schedule, got ${Array.isArray(schedules) ? "none" : show(schedules)}`,
    );
  }
  const parts = schedules.map((schedule, i) => toSchedule("join", `schedules[${i}]`, schedule));
  requireThat(
    Array.isArray(boundaries) && boundaries.length === parts.length - 1,
    "join",
    `\`boundaries\` must be one fewer than the ${parts.length} schedules`,
    Array.isArray(boundaries) ? boundaries.length : boundaries,
  );
  requireThat(
    boundaries.every((at, i) => Number.isSafeInteger(at) && at > (boundaries[i - 1] ?? 0)),
    "join",
    "`boundaries` must be increasing integers of at least 1",
    boundaries,
  );
  const starts = [0, ...boundaries];
  return (count) => {
    const part = Math.max(
      starts.findLastIndex((start) => start <= count),
      0,
    );
    return (parts[part] as Schedule)(count - (starts[part] as number));
  };
}

/** A schedule as it is, a number as the constant schedule of that rate. */
export function toSchedule(where: string, name: string, value: number | Schedule): Schedule {
  if (typeof value === "function") {
    return value;
  }
  if (typeof value !== "number") {
    throw new TypeError(`${where}: \`${name}\` must be a number or a schedule, got ${show(value)}`);
  }
  requireNonNegative(where, name, value);
  return () => value;
}
