/**
 * Two nodes whose local second moments lead astray.
 *
 *     f₁(x) = 2x²          for |x| ≤ 1,      4|x| − 2      beyond
 *     f₂(x) = (x − 1)²     for |x − 1| ≤ 1,  2|x − 1| − 1  beyond
 *     f = (f₁ + f₂)/2,  x* = 1/3;  both start at −1
 *
 * @see Chen, Karimi, Zhao & Li 2023, Theorem 1, https://arxiv.org/abs/2109.03194
 */

/** f₁′ of node 0, f₂′ of node 1. */
export function counterexampleGradient(node: number, x: number): number {
  return node === 0 ? 4 * Math.max(-1, Math.min(1, x)) : 2 * Math.max(-1, Math.min(1, x - 1));
}
