/**
 * Projection onto a ball in a weighted norm, by Newton's method over passes.
 *
 *     argmin Σ Sᵢ (yᵢ − xᵢ)²  over ‖y‖ ≤ R:   y = x where ‖x‖ ≤ R, else yᵢ(μ) = xᵢ Sᵢ/(Sᵢ + μ) with ‖y(μ)‖ = R
 *
 * Newton on 1/‖y(μ)‖ = 1/R, from μ = 0 (Moré & Sorensen 1983, section 3):
 *
 *     μ ← μ + (‖y‖/R − 1) ‖y‖² / Σ yᵢ²/(Sᵢ + μ)
 *
 * It rises to the root and never passes it: with cᵢ = 1/(Sᵢ + μ), averages over i weighted by yᵢ², and d ≥ 0,
 * ‖y(μ + d)‖²/‖y(μ)‖² = avg (1 + c d)⁻² ≥ (1 + d avg c)⁻², as (1 + c d)⁻² is convex in c (Jensen), and the step is the d
 * where the right side reaches R²/‖y‖². So no bracket and no damping is needed, and convergence is quadratic in the end.
 */

import { add, div, gt, mul, roundoff, select, sqrt, square, sub, sum } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";

/**
 * Most steps of Newton. Where Sᵢ spreads over 12 orders of magnitude, 12 were the most in float64 for xᵢ² that goes as a
 * power of Sᵢ (11 in float32), and 19 the most that a search for the worst xᵢ found (17); over 2 orders that search found 7.
 */
const MOST_STEPS = 20;

/** How far outside the sphere the iteration may end, relative to R: in roundings, and at least what sums of many round. */
const TOLERANCE = { roundings: 8, floor: 2 ** -40 };

/**
 * The point of the ball ‖y‖ ≤ `radius` that is nearest to `x` in the norm weighted by `weights`.
 *
 * Each norm is a pass over the elements; those after the iteration has converged are not run, and for `x` in the ball
 * only the first is. The last point is scaled to the sphere, so that it is in the ball however far the iteration came. It
 * came from outside to R(1 + ρ), with ρ at most 2⁻²¹ in float32 and 2⁻⁴⁰ in float64: within R√(2ρ) of the nearest point, as
 * Σ (yᵢ − yᵢ*)² ≤ Σ yᵢ² − yᵢ*² where every |yᵢ| has still to fall, and as a rule, weights being alike, within Rρ.
 *
 * @param weights - S, greater than 0.
 * @param over - the norm of each tensor, or of all that take part in the step.
 */
export function projectOntoBall(
  x: Expr,
  weights: Expr,
  radius: number,
  over: "all" | "tensor",
): Expr {
  /** What a pass over y(μ) tells: ‖y‖, and the slope Σ yᵢ²/(Sᵢ + μ). */
  const at = (mu: Expr | number): { y: Expr; norm: Expr; slope: Expr } => {
    const raised = mu === 0 ? weights : add(weights, mu);
    const y = mu === 0 ? x : mul(x, div(weights, raised));
    const squared = square(y);
    return { y, norm: sqrt(sum(squared, over)), slope: sum(div(squared, raised), over) };
  };
  const start = at(0);
  const near = mul(radius, add(1, add(TOLERANCE.floor, mul(TOLERANCE.roundings, roundoff()))));
  let { norm, slope } = start;
  let mu: Expr | number = 0;
  for (let step = 0; step < MOST_STEPS; step++) {
    const far = gt(norm, near);
    const excess = sub(div(norm, radius), 1);
    const next: Expr = add(mu, div(mul(excess, square(norm)), slope));
    const reached = at(next);
    norm = select(far, reached.norm, norm);
    slope = select(far, reached.slope, slope);
    mu = select(far, next, mu);
  }
  const scale = select(gt(norm, radius), div(radius, norm), 1);
  const projected = mul(mul(x, div(weights, add(weights, mu))), scale);
  return select(gt(start.norm, radius), projected, x);
}
