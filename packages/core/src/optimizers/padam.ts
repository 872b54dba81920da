/**
 * Padam: between SGD with momentum and AMSGrad, by a power of the denominator
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ,  vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²
 *     hₜ = max(hₜ₋₁, vₜ)
 *     update = −αₜ √(1 − β₂ᵗ)/(1 − β₁ᵗ) · mₜ / (√hₜ + ε)^(2p)
 */

import { requireFlag, requireThat } from "../errors.ts";
import { add, div, lerp, max, mul, neg, sqrt, square, sub } from "../expr/build.ts";
import { pow } from "../expr/math.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perElement, type StateSpec } from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { type AdamOptions, adamRates, correction } from "./adam.ts";

export interface PadamOptions extends AdamOptions {
  /** p in [0, ½], default ¼: 0 is SGD with momentum, ½ is AMSGrad, without `max` Adam. */
  readonly partial?: number;
  /** Whether h is the running maximum of v (default) or v itself. */
  readonly max?: boolean;
}

/**
 * Padam, partially adaptive momentum: only a power 2p of the root scales the step.
 *
 *     update = −αₜ √(1 − β₂ᵗ)/(1 − β₁ᵗ) · mₜ / (√hₜ + ε)^(2p),  hₜ = max(hₜ₋₁, vₜ)
 *
 * Rates are between those of Adam and of SGD: with p = ¼ about 0.1.
 *
 * State: `mu` = m, `nu` = v and `nuMax` = h, each of the parameter's shape and dtype: 12 bytes a float32 parameter,
 * 8 without `max`.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks As the authors' code and unlike the paper's Algorithm 1: averages are corrected, though √(1 − β₂ᵗ) is not
 * raised to 2p, and ε is added to the root. pytorch_optimizer's Padam is this one with `max: false`. A p other than ¼
 * and ½ costs a power an element, which makes the step some seven times as long as at ¼.
 * @see Chen et al. 2018, Algorithm 1, https://arxiv.org/abs/1806.06763
 * @example compileOptimizer(padam(), { params, learningRate: 0.1 })
 */
export function padam({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  partial = 0.25,
  max: keepMax = true,
  ...decay
}: PadamOptions = {}): Optimizer {
  requireThat(
    typeof partial === "number" && partial >= 0 && partial <= 0.5,
    "padam",
    "`partial` must be in [0, 0.5]",
    partial,
  );
  requireFlag("padam", "max", keepMax);
  const state: Record<string, StateSpec> = {
    mu: perElement(),
    nu: perElement(),
    ...(keepMax ? { nuMax: perElement() } : {}),
  };
  const partly = defineOptimizer("padam", state, adamRates(b1, b2, eps), (inputs) => {
    const { g, t, lr, b1, b2, eps } = inputs;
    // `nuMax` is read only where it is declared.
    const { mu, nu, nuMax } = inputs as typeof inputs & Record<"mu" | "nu" | "nuMax", Expr>;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    const h = keepMax ? max(nuMax, v) : v;
    const rate = div(mul(lr, sqrt(correction(b2, t))), correction(b1, t));
    const update = neg(div(mul(rate, m), twicePower(add(sqrt(h), eps), partial)));
    const inspect = { v: mul(h, div(1, correction(b2, t))) };
    return { update, next: { mu: m, nu: v, ...(keepMax ? { nuMax: h } : {}) }, inspect };
  });
  return withDecay(partly, decay);
}

/** x²ᵖ: the two powers that are used most are a root and x itself. */
function twicePower(x: Expr, p: number): Expr {
  return p === 0.5 ? x : p === 0.25 ? sqrt(x) : pow(x, mul(2, p));
}
