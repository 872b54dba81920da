/**
 * NAdam: Adam that looks one step of momentum ahead
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²                    v̂ₜ = vₜ / (1 − β₂ᵗ)
 *
 *     torch     μₜ = β₁ (1 − ½ 0.96^(ψt)),  Pₜ = Π_{i≤t} μᵢ
 *               m̂ₜ = μₜ₊₁ mₜ / (1 − Pₜ μₜ₊₁) + (1 − μₜ) gₜ / (1 − Pₜ)
 *     optax     m̂ₜ = β₁ mₜ / (1 − β₁ᵗ⁺¹) + (1 − β₁) gₜ / (1 − β₁ᵗ)
 *
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)
 */

import { requireOneOf, requireThat } from "../errors.ts";
import { add, div, hostPow, lerp, mul, neg, sqrt, square, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
  perTensor,
} from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { type AdamOptions, adamRates, correctedScale, correction } from "./adam.ts";

export interface NadamOptions extends AdamOptions {
  /** ψ, at least 0, default 4e-3: how fast μₜ rises from β₁/2 to β₁; of the torch convention alone. */
  readonly momentumDecay?: number;
  /** `"torch"` (default) lets the momentum rise, as the paper does; `"optax"` keeps it at β₁. */
  readonly convention?: "torch" | "optax";
}

/**
 * NAdam: Adam with Nesterov's momentum.
 *
 *     torch     m̂ₜ = μₜ₊₁ mₜ / (1 − Pₜ μₜ₊₁) + (1 − μₜ) gₜ / (1 − Pₜ),  μₜ = β₁ (1 − ½ 0.96^(ψt)),  Pₜ = Π_{i≤t} μᵢ
 *     optax     m̂ₜ = β₁ mₜ / (1 − β₁ᵗ⁺¹) + (1 − β₁) gₜ / (1 − β₁ᵗ)
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter; in the torch
 * convention `muProduct` = P, one number a tensor.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks `optax.adam(nesterov=True)` is `nadam({ convention: "optax" })`. In the torch convention m is an average
 * with the constant β₁, though the correction is by the product of the rising μ; the paper's m goes by μₜ too. Both
 * leave out the factor β₂ that the paper has before v̂.
 * @see Dozat 2016, Algorithm 2, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
 * @example compileOptimizer(nadam(), { params, learningRate: 2e-3 })
 */
export function nadam({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  momentumDecay,
  convention = "torch",
  ...decay
}: NadamOptions = {}): Optimizer {
  requireOneOf("nadam", "convention", convention, ["torch", "optax"]);
  if (convention === "torch") {
    return withDecay(risingMomentum(b1, b2, eps, momentumDecay ?? 4e-3), decay);
  }
  requireThat(
    momentumDecay === undefined,
    "nadam",
    '`momentumDecay` needs convention "torch"',
    momentumDecay,
    "leave it out",
  );
  return withDecay(constantMomentum(b1, b2, eps), decay);
}

function risingMomentum(b1: number, b2: number, eps: number, psi: number): Optimizer {
  const state = { mu: perElement(), nu: perElement(), muProduct: perTensor(1) };
  const rates = { ...adamRates(b1, b2, eps), momentumDecay: nonNegative(psi) };
  return defineOptimizer("nadam", state, rates, (inputs) => {
    const { g, mu, nu, muProduct, t, lr, b1, b2, eps, momentumDecay } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    const momentum = (step: Expr): Expr =>
      mul(b1, sub(1, mul(0.5, hostPow(0.96, mul(step, momentumDecay)))));
    const now = momentum(t);
    const ahead = momentum(add(t, 1));
    const product = mul(muProduct, now);
    const ofMean = div(ahead, sub(1, mul(product, ahead)));
    const ofGradient = div(sub(1, now), sub(1, product));
    return {
      update: neg(lookAhead({ lr, t, g, m, v, ofMean, ofGradient, b2, eps })),
      next: { mu: m, nu: v, muProduct: product },
      inspect: correctedScale(lr, v, b2, eps, t),
    };
  });
}

function constantMomentum(b1: number, b2: number, eps: number): Optimizer {
  const state = { mu: perElement(), nu: perElement() };
  return defineOptimizer("nadam", state, adamRates(b1, b2, eps), (inputs) => {
    const { g, mu, nu, t, lr, b1, b2, eps } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    const ofMean = div(b1, correction(b1, add(t, 1)));
    const ofGradient = div(sub(1, b1), correction(b1, t));
    return {
      update: neg(lookAhead({ lr, t, g, m, v, ofMean, ofGradient, b2, eps })),
      next: { mu: m, nu: v },
      inspect: correctedScale(lr, v, b2, eps, t),
    };
  });
}

/** α (ofMean m + ofGradient g) / (√v̂ + ε), with the corrections folded into numbers of the step as in Adam. */
function lookAhead({
  lr,
  t,
  g,
  m,
  v,
  ofMean,
  ofGradient,
  b2,
  eps,
}: Readonly<
  Record<"lr" | "t" | "g" | "m" | "v" | "ofMean" | "ofGradient" | "b2" | "eps", Expr>
>): Expr {
  const root = sqrt(correction(b2, t));
  const rate = mul(lr, root);
  const direction = add(mul(mul(rate, ofMean), m), mul(mul(rate, ofGradient), g));
  return div(direction, add(sqrt(v), mul(eps, root)));
}
