/**
 * RAdam: adaptive only once the second moment has a variance that can be told
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ                     m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²                    v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     ρ∞ = 2/(1 − β₂) − 1,  ρₜ = ρ∞ − 2t β₂ᵗ/(1 − β₂ᵗ)
 *     rₜ = √( (ρₜ − 4)(ρₜ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρₜ) )
 *
 *     torch     update = −αₜ rₜ m̂ₜ √(1 − β₂ᵗ) / (√vₜ + ε)      where ρₜ > 5
 *     optax     update = −αₜ rₜ m̂ₜ / (√v̂ₜ + ε)                 where ρₜ ≥ 5
 *     before    update = −αₜ m̂ₜ
 */

import { requireOneOf } from "../errors.ts";
import {
  add,
  div,
  ge,
  gt,
  hostPow,
  lerp,
  mul,
  neg,
  type Operand,
  select,
  sqrt,
  square,
  sub,
} from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { type AdamOptions, adamRates, correction } from "./adam.ts";

export interface RadamOptions extends AdamOptions {
  /** Where ε is added: `"torch"` (default) to √v, `"optax"` to √v̂; and whether ρₜ = 5 is enough. */
  readonly convention?: "torch" | "optax";
}

/**
 * RAdam, rectified Adam: momentum alone while ρₜ ≤ 5, then Adam with its step scaled by rₜ, which rises to 1.
 *
 *     torch     update = −αₜ rₜ m̂ₜ √(1 − β₂ᵗ) / (√vₜ + ε)
 *     optax     update = −αₜ rₜ m̂ₜ / (√v̂ₜ + ε)
 *     before    update = −αₜ m̂ₜ
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks With β₂ = 0.999 the first five steps are not adaptive: they have the length αₜ·|m̂ₜ|, whatever the size of
 * the gradient, which is large for a rate of Adam's where gradients are. With β₂ ≤ 2/3 (ρ∞ ≤ 5) no step is adaptive.
 * The paper's threshold is ρₜ > 4, its authors' code takes ρₜ ≥ 5; torch and optax follow the code.
 * @see Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265
 * @example compileOptimizer(radam(), { params, learningRate: 1e-3 })
 */
export function radam({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  convention = "torch",
  ...decay
}: RadamOptions = {}): Optimizer {
  requireOneOf("radam", "convention", convention, ["torch", "optax"]);
  const torch = convention === "torch";
  const state = { mu: perElement(), nu: perElement() };
  const rectified = defineOptimizer("radam", state, adamRates(b1, b2, eps), (inputs) => {
    const { g, mu, nu, t, lr, b1, b2, eps } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    const c2 = correction(b2, t);
    const rhoInf = sub(div(2, sub(1, b2)), 1);
    const rho = sub(rhoInf, div(mul(mul(2, t), hostPow(b2, t)), c2));
    const adaptive = torch ? gt(rho, 5) : ge(rho, 5);
    const r = rectification(rho, rhoInf);
    // The corrections are numbers of the step, as in Adam: an element costs one root and one division.
    const root = sqrt(c2);
    const rate = mul(div(lr, correction(b1, t)), select(adaptive, mul(r, root), 1));
    const denominator = add(sqrt(v), torch ? eps : mul(eps, root));
    return {
      update: neg(div(mul(rate, m), select(adaptive, denominator, 1))),
      next: { mu: m, nu: v },
      inspect: { v: mul(v, div(1, c2)), rectification: select(adaptive, r, 0) },
    };
  });
  return withDecay(rectified, decay);
}

/** rₜ; NaN where ρₜ is in (2, 4), which no step uses. */
function rectification(rho: Expr, rhoInf: Operand): Expr {
  const above = (x: Operand): Expr => mul(sub(x, 4), sub(x, 2));
  return sqrt(div(mul(above(rho), rhoInf), mul(above(rhoInf), rho)));
}
