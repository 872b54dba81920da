/**
 * AdaBound: Adam between bounds that close in on the rate of SGD
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ,  vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²
 *     α*ₜ = α* αₜ/α₁                                 the final rate follows the schedule
 *     lowₜ = α*ₜ (1 − 1/(γt + 1)),  highₜ = α*ₜ (1 + 1/(γt))
 *     ηₜ = clip( αₜ √(1 − β₂ᵗ)/(1 − β₁ᵗ) / (√vₜ + ε), lowₜ, highₜ )
 *     update = −ηₜ mₜ
 */

import { requirePositive } from "../errors.ts";
import {
  add,
  clamp,
  div,
  eq,
  lerp,
  mul,
  neg,
  type Operand,
  select,
  sqrt,
  square,
  sub,
} from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
  perTensor,
  positive,
  type StateSpec,
} from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { type AdamOptions, adamRates, correction } from "./adam.ts";

export interface AdaboundOptions extends AdamOptions {
  /** α*, at least 0, default 0.1: the rate of SGD that the bounds close in on, at the schedule's start. */
  readonly finalLearningRate?: number;
  /** γ, greater than 0, default 1e-3: how fast they close in; at t = 1/γ they are ½α* and 2α*. */
  readonly gamma?: number;
  /**
   * α₁, greater than 0: the rate at which α* is meant; default the rate of the tensor's first step that has one
   * above 0. With warm-up, where the first rate is not the one meant, give the rate after it.
   */
  readonly initialLearningRate?: number;
}

/**
 * AdaBound: starts as Adam and ends as SGD with momentum.
 *
 *     ηₜ = clip( αₜ √(1 − β₂ᵗ)/(1 − β₁ᵗ) / (√vₜ + ε), α*ₜ (1 − 1/(γt + 1)), α*ₜ (1 + 1/(γt)) )
 *     update = −ηₜ mₜ,  α*ₜ = α* αₜ/α₁
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter; without
 * `initialLearningRate` also `initialRate` = α₁, one number a tensor.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks As the authors' code, which corrects for starting at zero and has no rate of α/√t, unlike the paper's
 * Algorithm 2. That code takes α₁ from the optimizer's construction; here it is the first rate seen, kept in the state.
 * Decoupled decay goes by αₜ, in their AdaBoundW by no rate. pytorch_optimizer adds 1e-15 under the root, which
 * moves the parameters of the golden traces by up to 3.3e-11.
 * @see Luo et al. 2019, Algorithm 2, https://arxiv.org/abs/1902.09843
 * @example compileOptimizer(adabound({ finalLearningRate: 0.1 }), { params, learningRate: 1e-3 })
 */
export function adabound({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  finalLearningRate = 0.1,
  gamma = 1e-3,
  initialLearningRate,
  ...decay
}: AdaboundOptions = {}): Optimizer {
  if (initialLearningRate !== undefined) {
    requirePositive("adabound", "initialLearningRate", initialLearningRate);
  }
  const remembers = initialLearningRate === undefined;
  const state: Record<string, StateSpec> = {
    mu: perElement(),
    nu: perElement(),
    ...(remembers ? { initialRate: perTensor() } : {}),
  };
  const rates = {
    ...adamRates(b1, b2, eps),
    finalLearningRate: nonNegative(finalLearningRate),
    gamma: positive(gamma),
  };
  const bounded = defineOptimizer("adabound", state, rates, (inputs) => {
    const { g, t, lr, b1, b2, eps, finalLearningRate, gamma } = inputs;
    // `initialRate` is read only where it is declared.
    const { mu, nu, initialRate } = inputs as typeof inputs &
      Record<"mu" | "nu" | "initialRate", Expr>;
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));

    const first = remembers ? select(eq(initialRate, 0), lr, initialRate) : initialLearningRate;
    const final = mul(finalLearningRate, ratio(lr, first));
    const low = mul(final, sub(1, div(1, add(mul(gamma, t), 1))));
    const high = mul(final, add(1, div(1, mul(gamma, t))));

    const rate = div(mul(lr, sqrt(correction(b2, t))), correction(b1, t));
    const eta = clamp(div(rate, add(sqrt(v), eps)), low, high);
    const next: Record<string, Expr> = { mu: m, nu: v };
    if (typeof first !== "number") {
      next.initialRate = first;
    }
    const inspect = { v: mul(v, div(1, correction(b2, t))), effectiveRate: eta };
    return { update: neg(mul(eta, m)), next, inspect };
  });
  return withDecay(bounded, decay);
}

/** lr/first, and 0 while no rate has been above 0. */
function ratio(lr: Expr, first: Operand): Expr {
  return typeof first === "number" ? div(lr, first) : select(eq(first, 0), 0, div(lr, first));
}
