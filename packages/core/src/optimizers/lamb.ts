/**
 * LAMB: Adam's direction, as long as the tensor it moves.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ          m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²         v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     uₜ = m̂ₜ / (√v̂ₜ + ε) + λ p
 *     update = −αₜ (‖p‖ / ‖uₜ‖) uₜ        norms of the tensor; 1 for their ratio where one is 0
 */

import { add, div, lerp, mul, neg, square, sub, wrap } from "../expr/build.ts";
import { defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { ownDecay } from "../transforms/weightDecay.ts";
import { adamRates, correctedStep } from "./adam.ts";
import { norm, trustRatio } from "./trustRatio.ts";

export interface LambOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** ε, at least 0, default 1e-6; added after the root. */
  readonly eps?: number;
  /** λ, at least 0, default 0 (none); joins the direction before its norm is taken. */
  readonly weightDecay?: number;
}

/**
 * LAMB, for large batches: every tensor moves by the same share of its norm.
 *
 *     uₜ = m̂ₜ / (√v̂ₜ + ε) + λ p          update = −αₜ (‖p‖ / ‖uₜ‖) uₜ
 *
 * State: `mu` = m, `nu` = v: 8 bytes a float32 parameter. Two passes: the norms want all of u first.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks φ of the paper is the identity, as in optax. PyTorch ports of NVIDIA's FusedLAMB clip the gradient by its
 * global norm at 1 first (`chain(clipByGlobalNorm(1), lamb())`) and leave tensors without decay to Adam; the authors'
 * TensorFlow code has no bias correction.
 * @see You et al. 2020, Algorithm 2, https://arxiv.org/abs/1904.00962
 * @example compileOptimizer(lamb({ weightDecay: 0.01 }), { params, learningRate: 2e-3 })
 */
export function lamb({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-6,
  weightDecay = 0,
}: LambOptions = {}): Optimizer {
  const decays = weightDecay > 0;
  const state = { mu: perElement(), nu: perElement() };
  const rates = { ...adamRates(b1, b2, eps), ...ownDecay("lamb", weightDecay) };
  return defineOptimizer("lamb", state, rates, (inputs) => {
    const { g, p, mu, nu, t, lr, b1, b2, eps, weightDecay } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    const direction = correctedStep(wrap(1), m, v, b1, b2, eps, t);
    const u = decays ? add(direction, mul(weightDecay, p)) : direction;
    const ratio = trustRatio(norm(p), norm(u), div(norm(p), norm(u)));
    return { update: neg(mul(mul(lr, ratio), u)), next: { mu: m, nu: v } };
  });
}
