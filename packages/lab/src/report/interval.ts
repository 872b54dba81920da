/** Student's interval for the mean of a few runs. */
import { studentTails } from "../compare/statistics.ts";

export interface Spread {
  readonly mean: number;
  /** Half the width of the 95 % interval; null for a single value. */
  readonly half: number | null;
}

/** mean ± t₀.₉₇₅(n − 1) s / √n, of values taken as independent. */
export function spread(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  if (n < 2) {
    return { mean, half: null };
  }
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  return { mean, half: quantile(n - 1) * Math.sqrt(variance / n) };
}

const quantiles = new Map<number, number>();

/** t with P(|T| ≥ t) = 0.05, by bisection: 12.706 for one degree of freedom, falling to 1.96. */
export function quantile(degrees: number): number {
  const known = quantiles.get(degrees);
  if (known !== undefined) {
    return known;
  }
  let [low, high] = [1.9, 12.8];
  // 40 halvings of an interval of 11 leave 1e-11, less than anything drawn.
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    [low, high] = studentTails(middle, degrees) > 0.05 ? [middle, high] : [low, middle];
  }
  quantiles.set(degrees, low);
  return low;
}
