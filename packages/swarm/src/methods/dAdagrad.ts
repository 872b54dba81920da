/**
 * Decentralized AdaGrad: the framework with the mean of all squared gradients
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     v̂ₜ = ((t − 1)/t) v̂ₜ₋₁ + gₜ²/t
 */

import {
  add,
  decayRate,
  defineOptimizer,
  div,
  lerp,
  mul,
  perElement,
  square,
  sub,
} from "@adastra/core";
import { scaledBy } from "./dAdam.ts";
import { decentralized, type FrameworkOptions, type Method } from "./framework.ts";

export interface DAdagradOptions extends FrameworkOptions {
  /** β₁ in [0, 1), default 0.9; 0 is the gradient itself. */
  readonly b1?: number;
}

/**
 * Decentralized AdaGrad: the mean of all squared gradients, so that a constant rate does what 1/√t does with their sum.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ,  v̂ₜ = ((t − 1)/t) v̂ₜ₋₁ + gₜ²/t
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ mₜ / √max(ũₜ, ε)          ũ as in `decentralized`
 *
 * State: `m`, `vhat`, `utilde`, each of the parameter's shape and dtype: 12 bytes a float32 parameter. Exchanges p and ũ.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks v̂₀ = ε is gone after the first step.
 * @see Chen, Karimi, Zhao & Li 2023, Section 3.2, https://arxiv.org/abs/2109.03194
 */
export function dadagrad({ b1 = 0.9, eps = 1e-6, delayed = true }: DAdagradOptions = {}): Method {
  const state = { m: perElement(), vhat: perElement(eps) };
  const rule = defineOptimizer("d-adagrad", state, { b1: decayRate(b1) }, (inputs) => {
    const { g, m, vhat, t, lr, b1 } = inputs;
    const mean = lerp(m, g, sub(1, b1));
    const second = add(mul(div(sub(t, 1), t), vhat), div(square(g), t));
    return {
      update: scaledBy(lr, mean, second),
      next: { m: mean, vhat: second },
      moments: { m: mean, v: second },
    };
  });
  return decentralized(rule, { eps, delayed });
}
