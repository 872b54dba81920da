/** Rates given at chosen steps: constant between them, or interpolated. */

import { requireNonNegative, requireOneOf, requireThat, show } from "../errors.ts";
import { blend, type Interpolation, remaining } from "./interpolation.ts";
import type { Schedule } from "./schedules.ts";

/** What the rate is multiplied by, by the count at which it is; `{ 30: 0.1, 60: 0.1 }` ends at a hundredth. */
export type BoundariesAndScales = Readonly<Record<number, number>>;

/**
 * A factor at each chosen step, the same rate between them.
 *
 *     α(c) = α₀·Π fᵢ    over all boundaries bᵢ ≤ c
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param boundariesAndScales - fᵢ by bᵢ: boundaries integers of at least 1, factors finite and at least 0.
 * @throws RangeError naming what is out of range, TypeError for what is not boundaries.
 * @see optax.piecewise_constant_schedule; torch's MultiStepLR with one factor
 * @example piecewiseConstant(0.1, { 1000: 0.1, 2000: 0.1 }) // 0.1, then 0.01, then 0.001
 */
export function piecewiseConstant(
  learningRate: number,
  boundariesAndScales: BoundariesAndScales,
): Schedule {
  const knots = knotsOf("piecewiseConstant", learningRate, boundariesAndScales);
  return (count) => (knots[lastBefore(knots, count)] as Knot).rate;
}

/**
 * The rates of `piecewiseConstant` at the boundaries themselves, interpolated between them; the last one after.
 *
 *     α(c) = αᵢ + (αᵢ₊₁ − αᵢ)·s((c − bᵢ)/(bᵢ₊₁ − bᵢ))    where bᵢ ≤ c < bᵢ₊₁,  αᵢ₊₁ = αᵢ·fᵢ₊₁
 *
 * with s(x) = x for `"linear"` and s(x) = ½(1 − cos(πx)) for `"cosine"`.
 *
 * @param learningRate - α₀ at count 0, finite and at least 0.
 * @param boundariesAndScales - fᵢ by bᵢ: boundaries integers of at least 1, factors finite and at least 0.
 * @param interpolation - default `"linear"`.
 * @throws RangeError naming what is out of range, TypeError for what is not boundaries.
 * @see optax.piecewise_interpolate_schedule
 */
export function piecewise(
  learningRate: number,
  boundariesAndScales: BoundariesAndScales,
  interpolation: Interpolation = "linear",
): Schedule {
  const knots = knotsOf("piecewise", learningRate, boundariesAndScales);
  requireOneOf("piecewise", "interpolation", interpolation, ["linear", "cosine"]);
  const left = remaining[interpolation];
  return (count) => {
    const i = lastBefore(knots, count);
    const from = knots[i] as Knot;
    const to = knots[i + 1];
    return to === undefined
      ? from.rate
      : blend(from.rate, to.rate, left((count - from.at) / (to.at - from.at)));
  };
}

/** The rate from a count on. */
interface Knot {
  readonly at: number;
  readonly rate: number;
}

/** The rate from 0 on, and from each boundary on. */
function knotsOf(
  where: string,
  learningRate: number,
  scales: BoundariesAndScales,
): readonly Knot[] {
  requireNonNegative(where, "learningRate", learningRate);
  if (typeof scales !== "object" || scales === null || Array.isArray(scales)) {
    throw new TypeError(
      `${where}: \`boundariesAndScales\` must be factors by count, got ${Array.isArray(scales) ? "a list" : show(scales)}; pass an object such as { 1000: 0.1 }`,
    );
  }
  const knots: Knot[] = [{ at: 0, rate: learningRate }];
  const sorted = Object.entries(scales)
    .map(([key, scale]) => [Number(key), scale, key] as const)
    .toSorted(([a], [b]) => a - b);
  let rate = learningRate;
  for (const [at, scale, key] of sorted) {
    requireThat(
      Number.isSafeInteger(at) && at >= 1,
      where,
      "boundaries must be integers of at least 1",
      key,
    );
    requireNonNegative(where, `boundariesAndScales[${at}]`, scale);
    rate *= scale;
    knots.push({ at, rate });
  }
  return knots;
}

/** The place of the last knot at or before a count. */
function lastBefore(knots: readonly Knot[], count: number): number {
  return Math.max(
    knots.findLastIndex(({ at }) => at <= count),
    0,
  );
}
