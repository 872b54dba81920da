/**
 * Yogi: the second moment moves by a share of g², not of its distance to g²
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ                     m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = vₜ₋₁ − (1 − β₂) sign(vₜ₋₁ − gₜ²) gₜ²       v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)                     m₀ = v₀ = 1e-6
 */

import { requireNonNegative } from "../errors.ts";
import { gt, lerp, lt, mul, neg, select, square, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import {
  type AdamOptions,
  adamRates,
  correctedMoments,
  correctedScale,
  correctedStep,
} from "./adam.ts";

export interface YogiOptions extends Omit<AdamOptions, "eps"> {
  /** ε, at least 0, default 1e-3; added after the root. */
  readonly eps?: number;
  /** m₀ and v₀, at least 0, default 1e-6. */
  readonly initialAccumulator?: number;
}

/**
 * Yogi: Adam whose v is slow to forget a large gradient, so that the step never grows suddenly.
 *
 *     vₜ = vₜ₋₁ − (1 − β₂) sign(vₜ₋₁ − gₜ²) gₜ²
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The form of optax: both averages start at `initialAccumulator` and are corrected as if they had started at
 * zero, so the first steps go by m₀ where gradients are that small. The paper's Algorithm 2 corrects neither. v stays
 * as it is where it equals g², as sign(0) = 0.
 * @see Zaheer et al. 2018, Algorithm 2,
 * https://papers.nips.cc/paper/2018/hash/90365351ccc7437a1309dc64e4db32a3-Abstract.html
 * @example compileOptimizer(yogi(), { params, learningRate: 1e-2 })
 */
export function yogi({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-3,
  initialAccumulator = 1e-6,
  ...decay
}: YogiOptions = {}): Optimizer {
  requireNonNegative("yogi", "initialAccumulator", initialAccumulator);
  const state = { mu: perElement(initialAccumulator), nu: perElement(initialAccumulator) };
  const additive = defineOptimizer("yogi", state, adamRates(b1, b2, eps), (inputs) => {
    const { g, mu, nu, t, lr, b1, b2, eps } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const squared = square(g);
    const v = sub(nu, mul(sub(1, b2), mul(sign(sub(nu, squared)), squared)));
    const inspect = correctedScale(lr, v, b2, eps, t);
    return {
      update: neg(correctedStep(lr, m, v, b1, b2, eps, t)),
      next: { mu: m, nu: v },
      inspect,
      moments: correctedMoments(m, v, b1, b2, t),
    };
  });
  return withDecay(additive, decay);
}

/** −1, 0 or 1; 0 where x is NaN. */
function sign(x: Expr): Expr {
  return select(gt(x, 0), 1, select(lt(x, 0), -1, 0));
}
