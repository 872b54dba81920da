/** Ways from one rate to another, and the checks that schedules share. */

import { requireThat } from "../errors.ts";

/** How a rate goes from one value to the next: along a straight line, or along half a cosine. */
export type Interpolation = "linear" | "cosine";

/** What is left of the way after a share x of it in [0, 1]: 1 at x = 0, 0 at x = 1. */
export const remaining: Readonly<Record<Interpolation, (x: number) => number>> = {
  linear: (x) => 1 - x,
  cosine: (x) => 0.5 * (1 + Math.cos(Math.PI * x)),
};

/** `end + (start − end)·s` for s in [0, 1]: exact at both ends, monotone in s, never outside of the two. */
export function blend(start: number, end: number, s: number): number {
  if (s === 1) {
    return start;
  }
  const value = end + (start - end) * s;
  return start > end
    ? Math.min(Math.max(value, end), start)
    : Math.max(Math.min(value, end), start);
}

/** The share of `steps` steps from `begin` on that lies behind: 0 before, 1 after. */
export function progress(count: number, steps: number, begin = 0): number {
  return Math.min(Math.max(count - begin, 0), steps) / steps;
}

/** A number of steps that may be none. */
export function requireSteps(where: string, name: string, value: number): void {
  requireThat(
    Number.isSafeInteger(value) && value >= 0,
    where,
    `\`${name}\` must be an integer of at least 0`,
    value,
  );
}
