/**
 * AdaBelief: steps are long where the gradient is what its average foretold
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ                     m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     sₜ = β₂ sₜ₋₁ + (1 − β₂)(gₜ − mₜ)² + ε_root      ŝₜ = sₜ / (1 − β₂ᵗ)
 *     update = −αₜ m̂ₜ / (√ŝₜ + ε)
 */

import { add, lerp, neg, square, sub } from "../expr/build.ts";
import { defineOptimizer, nonNegative, type Optimizer, perElement } from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import {
  type AdamOptions,
  adamRates,
  correctedMoments,
  correctedScale,
  correctedStep,
} from "./adam.ts";

export interface AdabeliefOptions extends Omit<AdamOptions, "eps"> {
  /** ε, at least 0, default 1e-16; added after the root. */
  readonly eps?: number;
  /** ε_root, at least 0, default 1e-16; joins s in every step and stays in it. */
  readonly epsRoot?: number;
}

/**
 * AdaBelief: Adam with the average of (g − m)², the surprise, in place of that of g².
 *
 *     sₜ = β₂ sₜ₋₁ + (1 − β₂)(gₜ − mₜ)² + ε_root
 *     update = −αₜ m̂ₜ / (√ŝₜ + ε)
 *
 * State: `mu` = m, `s`, each of the parameter's shape and dtype: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The form of optax 0.2.8; its early versions took the surprise around mₜ₋₁. The authors' PyTorch code has
 * one ε for both places, so give `eps` and `epsRoot` the same value; by default it also rectifies, which this does not.
 * With b1 = 0 there is no surprise at all, and the step is α g/√(ε_root/(1 − β₂)).
 * @see Zhuang et al. 2020, Algorithm 2, https://arxiv.org/abs/2010.07468
 * @example compileOptimizer(adabelief(), { params, learningRate: 1e-3 })
 */
export function adabelief({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-16,
  epsRoot = 1e-16,
  ...decay
}: AdabeliefOptions = {}): Optimizer {
  const state = { mu: perElement(), s: perElement() };
  const rates = { ...adamRates(b1, b2, eps), epsRoot: nonNegative(epsRoot) };
  const believing = defineOptimizer("adabelief", state, rates, (inputs) => {
    const { g, mu, s, t, lr, b1, b2, eps, epsRoot } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const surprise = add(lerp(s, square(sub(g, m)), sub(1, b2)), epsRoot);
    const update = neg(correctedStep(lr, m, surprise, b1, b2, eps, t));
    const { v: belief, effectiveRate } = correctedScale(lr, surprise, b2, eps, t);
    return {
      update,
      next: { mu: m, s: surprise },
      inspect: { belief, effectiveRate },
      moments: correctedMoments(m, surprise, b1, b2, t),
    };
  });
  return withDecay(believing, decay);
}
