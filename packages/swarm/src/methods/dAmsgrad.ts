/**
 * Decentralized AMSGrad: the framework with the second moment of AMSGrad
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²,  v₀ = 0
 *     v̂ₜ = max(v̂ₜ₋₁, vₜ),  v̂₀ = ε
 */

import { decayRate, defineOptimizer, lerp, max, perElement, square, sub } from "@adastra/core";
import { scaledBy } from "./dAdam.ts";
import { decentralized, type FrameworkOptions, type Method } from "./framework.ts";

export interface DAmsgradOptions extends FrameworkOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
}

/**
 * Decentralized AMSGrad: converges where gradients of the peers differ, as their second moments agree.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ,  vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²,  v̂ₜ = max(v̂ₜ₋₁, vₜ)
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ mₜ / √max(ũₜ, ε)          ũ as in `decentralized`
 *
 * State: `m`, `v`, `vhat`, `utilde`, each of the parameter's shape and dtype: 16 bytes a float32 parameter; `delayed: false`
 * the same. Exchanges p and ũ.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks No bias correction. The paper does not state v₀.
 * @see Chen, Karimi, Zhao & Li 2023, Algorithm 3, https://arxiv.org/abs/2109.03194
 */
export function damsgrad({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-6,
  delayed = true,
}: DAmsgradOptions = {}): Method {
  const state = { m: perElement(), v: perElement(), vhat: perElement(eps) };
  const rates = { b1: decayRate(b1), b2: decayRate(b2) };
  const rule = defineOptimizer("d-amsgrad", state, rates, ({ g, m, v, vhat, lr, b1, b2 }) => {
    const mean = lerp(m, g, sub(1, b1));
    const second = lerp(v, square(g), sub(1, b2));
    const largest = max(vhat, second);
    return {
      update: scaledBy(lr, mean, largest),
      next: { m: mean, v: second, vhat: largest },
      moments: { m: mean, v: largest },
    };
  });
  return decentralized(rule, { eps, delayed });
}
