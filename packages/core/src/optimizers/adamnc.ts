/**
 * AdamNC: Adam whose second moment forgets nothing
 *
 *     β₂ₜ = 1 − 1/t
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     vₜ = β₂ₜ vₜ₋₁ + (1 − β₂ₜ) gₜ²                  the plain average of all g²
 *     update = −(αₜ/√t) mₜ / (√vₜ + ε)
 */

import { requireOneOf } from "../errors.ts";
import { add, div, lerp, mul, neg, sqrt, square, sub } from "../expr/build.ts";
import {
  decayRate,
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
} from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import type { AdamOptions } from "./adam.ts";

export interface AdamncOptions extends Omit<AdamOptions, "b2"> {
  /** `"1/sqrt(t)"` (default): the step is the rate divided by √t. `"constant"`: the rate as given, for schedules of one's own. */
  readonly schedule?: "1/sqrt(t)" | "constant";
}

/**
 * AdamNC: the second repair of Adam's convergence by the authors of AMSGrad.
 *
 *     vₜ = (1 − 1/t) vₜ₋₁ + gₜ²/t
 *     update = −(αₜ/√t) mₜ / (√vₜ + ε)
 *
 * With b1 = 0 and ε = 0 it is AdaGrad: αₜ/√t over the root of a mean is αₜ over the root of a sum.
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks m is not corrected for starting at zero, as in the paper; v needs no correction. β₁ stays constant, where
 * the paper's bound has it fall to zero. ε is ours: without it, 0/0 is NaN where all gradients were zero.
 * @see Reddi, Kale & Kumar 2018, Algorithm 3 with β₂ₜ = 1 − 1/t, https://arxiv.org/abs/1904.09237
 * @example compileOptimizer(adamnc(), { params, learningRate: 0.1 })
 */
export function adamnc({
  b1 = 0.9,
  eps = 1e-8,
  schedule = "1/sqrt(t)",
  ...decay
}: AdamncOptions = {}): Optimizer {
  requireOneOf("adamnc", "schedule", schedule, ["1/sqrt(t)", "constant"]);
  const state = { mu: perElement(), nu: perElement() };
  const rates = { b1: decayRate(b1), eps: nonNegative(eps) };
  const averaging = defineOptimizer("adamnc", state, rates, (inputs) => {
    const { g, mu, nu, t, lr, b1, eps } = inputs;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), div(1, t));
    const denominator = add(sqrt(v), eps);
    const inspect = { v, effectiveRate: div(lr, denominator) };
    return { update: neg(div(mul(lr, m), denominator)), next: { mu: m, nu: v }, inspect };
  });
  const decayed = withDecay(averaging, decay);
  return schedule === "constant" ? decayed : overRootOfTime(decayed);
}

/** Divides the rate by √t: the step, and the decoupled decay with it, has rate α/√t. */
function overRootOfTime(optimizer: Optimizer): Optimizer {
  return {
    ...optimizer,
    step: (inputs) => optimizer.step({ ...inputs, lr: div(inputs.lr, sqrt(inputs.t)) }),
  };
}
