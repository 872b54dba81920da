/**
 * DADAM: every peer scales by a second moment of its own
 *
 *     mₜ   = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     vₜ   = β₂ vₜ₋₁ + (1 − β₂) gₜ²,  v₀ = 0
 *     v̂ₜ   = β₃ v̂ₜ₋₁ + (1 − β₃) max(v̂ₜ₋₁, vₜ),  v̂₀ = ε
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ mₜ / √v̂ₜ
 */

import {
  decayRate,
  defineOptimizer,
  div,
  type Expr,
  lerp,
  max,
  mul,
  neg,
  perElement,
  positive,
  share,
  sqrt,
  square,
  sub,
} from "@adastra/core";
import type { Method } from "./framework.ts";

export interface DAdamOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** β₃ in [0, 1], default 0: v̂ is the largest v so far. */
  readonly b3?: number;
  /** ε, greater than 0, default 1e-6: v̂₀. */
  readonly eps?: number;
}

/**
 * DADAM: a baseline that converges to a point that is not stationary where the peers' gradients differ.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ,  vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²
 *     v̂ₜ = β₃ v̂ₜ₋₁ + (1 − β₃) max(v̂ₜ₋₁, vₜ)
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ mₜ / √v̂ₜ
 *
 * It minimises Σᵢ fᵢ/√v̂ᵢ instead of Σᵢ fᵢ, whatever the rate.
 *
 * State: `m`, `v`, `vhat`, each of the parameter's shape and dtype: 12 bytes a float32 parameter. Exchanges p alone.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The printed line of v̂ has v̂ₜ on both sides; t − 1 is read on the right.
 * @see Nazari, Tarzanagh & Michailidis 2019, Algorithm 1, https://arxiv.org/abs/1901.09109
 */
export function dadam({ b1 = 0.9, b2 = 0.999, b3 = 0, eps = 1e-6 }: DAdamOptions = {}): Method {
  positive(eps).check("dadam", "eps", eps);
  const state = { m: perElement(), v: perElement(), vhat: perElement(eps) };
  const rates = { b1: decayRate(b1), b2: decayRate(b2), b3: share(b3) };
  const optimizer = defineOptimizer("dadam", state, rates, (inputs) => {
    const { g, m, v, vhat, lr, b1, b2, b3 } = inputs;
    const mean = lerp(m, g, sub(1, b1));
    const second = lerp(v, square(g), sub(1, b2));
    const kept = lerp(vhat, max(vhat, second), sub(1, b3));
    return {
      update: scaledBy(lr, mean, kept),
      next: { m: mean, v: second, vhat: kept },
    };
  });
  return { name: optimizer.name, optimizer, exchanged: [], delayed: true };
}

/** −α m / √v. */
export function scaledBy(lr: Expr, m: Expr, v: Expr): Expr {
  return neg(div(mul(lr, m), sqrt(v)));
}
