/** Validation that layers share. */

import { showShape } from "../errors.ts";

export function requireCount(where: string, name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1)) {
    throw new RangeError(`${where}: \`${name}\` must be an integer of at least 1, got ${value}`);
  }
}

export function requirePositive(where: string, name: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${where}: \`${name}\` must be positive and finite, got ${value}`);
  }
}

/** A rate in [0, 1). */
export function requireRate(where: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) {
    throw new RangeError(`${where}: \`${name}\` must be in [0, 1), got ${value}`);
  }
}

/** Refuses inputs (without the batch axis) of another number of axes. */
export function requireRank(where: string, inputShape: readonly number[], axes: string): void {
  const rank = axes.split(", ").length;
  if (inputShape.length !== rank) {
    throw new RangeError(
      `${where}: input must have shape [batch, ${axes}], got [batch, ${inputShape.join(", ")}]`,
    );
  }
}

/** One number an axis. */
export function eachAxis(
  where: string,
  name: string,
  value: number | readonly number[],
  rank: number,
): readonly number[] {
  const values = typeof value === "number" ? Array<number>(rank).fill(value) : value;
  if (values.length !== rank || !values.every((each) => Number.isSafeInteger(each) && each >= 1)) {
    throw new RangeError(
      `${where}: \`${name}\` must be an integer of at least 1, or ${rank} of them, got ${typeof value === "number" ? value : showShape(value)}`,
    );
  }
  return values;
}
