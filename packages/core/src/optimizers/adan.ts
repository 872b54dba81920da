/**
 * Adan: Nesterov's momentum from gradients at the parameters alone.
 *
 *     dₜ = gₜ − gₜ₋₁,  d₁ = 0
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ                     m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) dₜ                     v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     nₜ = β₃ nₜ₋₁ + (1 − β₃) (gₜ + β₂ dₜ)²          n̂ₜ = nₜ / (1 − β₃ᵗ)
 *     update = −αₜ (m̂ₜ + β₂ v̂ₜ) / (√n̂ₜ + ε)
 *     p ← (p + update) / (1 + αₜ λ)                  decoupled: p (1 − αₜ λ) + update
 */

import { requireOneOf } from "../errors.ts";
import { add, delay, div, le, lerp, mul, neg, select, sqrt, square, sub } from "../expr/build.ts";
import { decayRate, defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { ownDecay, withDecay } from "../transforms/weightDecay.ts";
import { adamRates, correction } from "./adam.ts";

export interface AdanOptions {
  /** β₁ in [0, 1), default 0.98. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.92. */
  readonly b2?: number;
  /** β₃ in [0, 1), default 0.99. */
  readonly b3?: number;
  /** ε, at least 0, default 1e-8. */
  readonly eps?: number;
  /** λ, at least 0, default 0 (none). */
  readonly weightDecay?: number;
  /** `"proximal"` (default): p ← (p + update)/(1 + αλ), as published; `"decoupled"`: p ← p (1 − αλ) + update. */
  readonly decay?: "proximal" | "decoupled";
}

/**
 * Adan: averages of the gradient, of its change and of the square of both together.
 *
 *     update = −αₜ (m̂ₜ + β₂ v̂ₜ) / (√n̂ₜ + ε)
 *
 * State: `mu` = m, `diff` = v, `nu` = n and the gradient of the step before: 16 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks b1, b2, b3 are those of the authors' code, which are 1 − β in the paper: averages keep them, and v counts
 * β₂ times. The authors' order is followed: decay last, with the rate of the step, and d₁ = 0. optax 0.2.8 counts v and d
 * by 1 − b2, and has eps 1e-8 inside the root as well: its steps differ from the first change of gradient on.
 * @see Xie et al. 2022, Algorithm 1, https://arxiv.org/abs/2208.06677
 * @example compileOptimizer(adan({ weightDecay: 0.02 }), { params, learningRate: 1e-3 })
 */
export function adan({
  b1 = 0.98,
  b2 = 0.92,
  b3 = 0.99,
  eps = 1e-8,
  weightDecay = 0,
  decay = "proximal",
}: AdanOptions = {}): Optimizer {
  requireOneOf("adan", "decay", decay, ["proximal", "decoupled"]);
  const proximal = decay === "proximal" && weightDecay > 0;
  const state = { mu: perElement(), diff: perElement(), nu: perElement() };
  const rates = {
    ...adamRates(b1, b2, eps),
    b3: decayRate(b3),
    ...ownDecay("adan", proximal ? weightDecay : 0),
  };
  const optimizer = defineOptimizer("adan", state, rates, (inputs) => {
    const { g, p, mu, diff, nu, t, lr, b1, b2, b3, eps, weightDecay } = inputs;
    const d = select(le(t, 1), 0, sub(g, delay(g, 1)));
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(diff, d, sub(1, b2));
    const n = lerp(nu, square(add(g, mul(b2, d))), sub(1, b3));
    // Corrections as numbers of the step: √n̂ + ε times √c₃, and so the rate.
    const root = sqrt(correction(b3, t));
    const rate = mul(lr, root);
    const step = add(
      mul(div(rate, correction(b1, t)), m),
      mul(div(mul(rate, b2), correction(b2, t)), v),
    );
    const update = neg(div(step, add(sqrt(n), mul(eps, root))));
    const next = { mu: m, diff: v, nu: n };
    if (!proximal) {
      return { update, next };
    }
    // (p + update)/(1 + αλ) − p, as an update: transforms may follow.
    const shrink = mul(lr, weightDecay);
    return { update: div(sub(update, mul(shrink, p)), add(1, shrink)), next };
  });
  return proximal ? optimizer : withDecay(optimizer, { weightDecay, decoupled: true });
}
