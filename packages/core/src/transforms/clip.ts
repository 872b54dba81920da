/** Gradient clipping. */

import { requirePositive } from "../errors.ts";
import { div, max, mul, sqrt, square, sum } from "../expr/build.ts";
import { defineOptimizer, type Optimizer } from "../optimizer.ts";

/**
 * Scales all gradients so that their common norm is at most `maxNorm`.
 *
 *     ‖g‖ = √(Σ over all tensors g²)          g ← g · maxNorm / max(‖g‖, maxNorm)
 *
 * Costs one more pass over the gradient. A gradient with NaN stays NaN.
 *
 * @param maxNorm - greater than 0.
 * @see Pascanu, Mikolov & Bengio 2013, Algorithm 1, https://arxiv.org/abs/1211.5063
 */
export function clipByGlobalNorm(maxNorm: number): Optimizer<never> {
  requirePositive("clipByGlobalNorm", "maxNorm", maxNorm);
  return defineOptimizer("clipByGlobalNorm", {}, ({ g }) => {
    const norm = sqrt(sum(square(g), "all"));
    return { update: mul(g, div(maxNorm, max(norm, maxNorm))), next: {} };
  });
}
