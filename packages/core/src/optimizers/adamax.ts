/**
 * Adamax: Adam with the largest gradient, slowly forgotten, for a denominator.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     uₜ = max(β₂ uₜ₋₁, |gₜ| + ε)
 *     update = −αₜ/(1 − β₁ᵗ) · mₜ / uₜ
 */

import { abs, add, div, lerp, max, mul, neg, sub } from "../expr/build.ts";
import { defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";
import { adamRates, correction } from "./adam.ts";

export interface AdamaxOptions extends DecayOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** ε, at least 0, default 1e-8; joins |g| before the maximum is taken. */
  readonly eps?: number;
}

/**
 * Adamax: Adam in the infinity norm.
 *
 *     uₜ = max(β₂ uₜ₋₁, |gₜ| + ε)          update = −αₜ m̂ₜ / uₜ
 *
 * State: `mu` = m, `u`: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The paper has no ε and divides 0 by 0 where every gradient has been zero, as `eps: 0` does here; torch and
 * optax add it to |g|, inside the maximum, which is followed.
 * @see Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980
 * @example compileOptimizer(adamax(), { params, learningRate: 2e-3 })
 */
export function adamax({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  ...decay
}: AdamaxOptions = {}): Optimizer {
  const state = { mu: perElement(), u: perElement() };
  const plain = defineOptimizer("adamax", state, adamRates(b1, b2, eps), (inputs) => {
    const { g, mu, u: before, t, lr, b1, b2, eps } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const u = max(mul(b2, before), add(abs(g), eps));
    const rate = div(lr, correction(b1, t));
    return { update: neg(div(mul(rate, m), u)), next: { mu: m, u } };
  });
  return withDecay(plain, decay);
}
