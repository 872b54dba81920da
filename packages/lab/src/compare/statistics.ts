/** What a comparison concludes from a handful of paired runs. */

import type { Random } from "@adastra/core";
import type { Interval } from "../protocol.ts";

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle value, the mean of the two middle ones for an even count; infinities sort as numbers do. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] as number) + upper) / 2;
}

/**
 * Percentile bootstrap interval of the mean: values are drawn with replacement `resamples` times, and the middle
 * 95 % of the means is the interval.
 *
 * With few values it is narrower than 95 % deserve (it never leaves their range): it shows the spread, the
 * paired test decides.
 *
 * @see Efron & Tibshirani 1993, chapter 13
 */
export function bootstrapMean(
  values: readonly number[],
  random: Random,
  resamples = 10_000,
): Interval {
  const means = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw++) {
      sum += values[random.integer(values.length)] as number;
    }
    means[i] = sum / values.length;
  }
  means.sort();
  const at = (share: number) => means[Math.round(share * (resamples - 1))] as number;
  return { mean: mean(values), low: at(0.025), high: at(0.975) };
}

/**
 * Two-sided p-value of the paired t-test that the mean difference is 0.
 *
 * Differences that are all 0 give 1. Differences that are all the same otherwise leave the t-test no spread to
 * divide by: a metric counted in hundredths of a percent agrees by chance, so they count by their signs alone,
 * with the exact two-sided p-value 2^(1 − n) of n equal signs.
 *
 * @returns null with fewer than two differences, where there is no spread to judge by.
 */
export function pairedTTest(differences: readonly number[]): number | null {
  const n = differences.length;
  if (n < 2) {
    return null;
  }
  const centre = mean(differences);
  const variance = differences.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (n - 1);
  if (centre === 0) {
    return 1;
  }
  // The same but for rounding: percentages are sums of a few floats.
  if (Math.sqrt(variance) <= 1e-9 * Math.abs(centre)) {
    return 2 ** (1 - n);
  }
  return studentTails(Math.abs(centre) / Math.sqrt(variance / n), n - 1);
}

/**
 * P(|T| ≥ t) of Student's distribution with ν degrees of freedom, ν an integer: the finite sums
 *
 *     ν odd:  1 − 2/π [θ + sin θ (cos θ + 2/3 cos³θ + ... + 2·4···(ν−3) / 3·5···(ν−2) cos^(ν−2) θ)]
 *     ν even: 1 − sin θ (1 + 1/2 cos²θ + ... + 1·3···(ν−3) / 2·4···(ν−2) cos^(ν−2) θ)
 *
 * with θ = arctan(t/√ν); absolute error below 1e-15. A library for the general case brings 200 packages for this.
 *
 * @see Abramowitz & Stegun 1964, 26.7.3 and 26.7.4
 */
export function studentTails(t: number, degrees: number): number {
  const theta = Math.atan(t / Math.sqrt(degrees));
  const odd = degrees % 2 === 1;
  const cosSquared = Math.cos(theta) ** 2;
  let term = odd ? Math.cos(theta) : 1;
  let sum = odd && degrees === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= ((k - 1) / k) * cosSquared;
    sum += term;
  }
  const inside = odd ? (2 / Math.PI) * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
  return Math.min(1, Math.max(0, 1 - inside));
}

/**
 * Holm's correction: with p-values in rising order, each is multiplied by the count of those not smaller, and
 * none may fall below the one before it.
 *
 * @returns adjusted values in the order given; null stays null and does not count.
 * @see Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure"
 */
export function holm(pValues: readonly (number | null)[]): (number | null)[] {
  const ranked = pValues
    .map((p, index) => ({ p, index }))
    .filter((entry): entry is { p: number; index: number } => entry.p !== null)
    .toSorted((a, b) => a.p - b.p);
  const adjusted: (number | null)[] = pValues.map(() => null);
  let floor = 0;
  ranked.forEach(({ p, index }, rank) => {
    floor = Math.max(floor, Math.min(1, p * (ranked.length - rank)));
    adjusted[index] = floor;
  });
  return adjusted;
}
