/**
 * Prodigy: Adam that finds its own rate, from how far the parameters have come
 *
 *     δₜ = dₜ αₜ                                       times √(1 − β₂ᵗ)/(1 − β₁ᵗ) with bias correction
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) dₜ gₜ
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) dₜ² gₜ²
 *     rₜ = β₃ rₜ₋₁ + (dₜ/d₀) δₜ ⟨gₜ, p₀ − pₜ⟩           over all tensors
 *     sₜ = β₃ sₜ₋₁ + (dₜ/d₀) δₜ gₜ
 *     d̂ₜ = c rₜ / ‖sₜ‖₁                                over all tensors
 *     dₜ₊₁ = max(dₜ, d̂ₜ)
 *     update = −δₜ mₜ / (√vₜ + dₜ₊₁ ε)
 */

import { requireFlag, requirePositive, requireThat } from "../errors.ts";
import {
  abs,
  add,
  div,
  eq,
  lerp,
  max,
  min,
  mul,
  neg,
  select,
  sqrt,
  square,
  sub,
  sum,
} from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type Hyperparameter,
  type Optimizer,
  perElement,
  perStep,
  positive,
} from "../optimizer.ts";
import { ownDecay } from "../transforms/weightDecay.ts";
import { adamRates, correction } from "./adam.ts";

export interface ProdigyOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** β₃ in [0, 1), default √β₂, which follows it: the memory of the distance estimate. */
  readonly b3?: number;
  /** ε, at least 0, default 1e-8; scaled by d. */
  readonly eps?: number;
  /** d₀, greater than 0, default 1e-6: the first estimate. */
  readonly d0?: number;
  /** c, greater than 0, default 1: scales the estimate, the first number to change where runs need tuning. */
  readonly dCoef?: number;
  /** The most that d may grow by in a step, as a factor; at least 1, default ∞. */
  readonly growthRate?: number;
  /** λ, at least 0, default 0 (none). */
  readonly weightDecay?: number;
  /** Whether decay is decoupled (default) or joins the gradient. */
  readonly decoupled?: boolean;
  /** Whether δ carries Adam's bias correction; default false. */
  readonly useBiasCorrection?: boolean;
  /** Whether s grows by d where it grows by δ else: a warm-up of the rate then does not swell d; default false. */
  readonly safeguardWarmup?: boolean;
}

/**
 * Prodigy, Adam with an estimate d of the distance to the solution in its rate: the learning rate is 1, or a schedule
 * that starts at 1.
 *
 *     d̂ = c r / ‖s‖₁,  d ← max(d, d̂)      update = −d α m / (√v + d ε)
 *
 * State: `start` = p₀, `mu` = m, `nu` = v, `s`: 16 bytes a float32 parameter; `d`, `dMax` and `numerator` = r, one
 * number each for all tensors. Two passes: the estimate wants all tensors first.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks As the authors' `prodigyopt`; optax's is the same with `useBiasCorrection: true`. While no gradient has been
 * other than zero, ‖s‖₁ = 0 leaves everything in place. In float32 p₀ − p is rounded where a step is below 1e-7 of the
 * parameter: a d₀ far below that share of the parameters grows slowly at first.
 * @see Mishchenko & Defazio 2024, Algorithm 4, https://arxiv.org/abs/2306.06101
 * @example compileOptimizer(prodigy(), { params, learningRate: 1 })
 */
export function prodigy({
  b1 = 0.9,
  b2 = 0.999,
  b3,
  eps = 1e-8,
  d0 = 1e-6,
  dCoef = 1,
  growthRate = Number.POSITIVE_INFINITY,
  weightDecay = 0,
  decoupled = true,
  useBiasCorrection = false,
  safeguardWarmup = false,
}: ProdigyOptions = {}): Optimizer {
  requirePositive("prodigy", "d0", d0);
  requireThat(
    typeof growthRate === "number" && growthRate >= 1,
    "prodigy",
    "`growthRate` must be at least 1",
    growthRate,
  );
  requireFlag("prodigy", "decoupled", decoupled);
  requireFlag("prodigy", "useBiasCorrection", useBiasCorrection);
  requireFlag("prodigy", "safeguardWarmup", safeguardWarmup);
  const state = {
    start: perElement("params"),
    mu: perElement(),
    nu: perElement(),
    s: perElement(),
    d: perStep(d0),
    dMax: perStep(d0),
    numerator: perStep(),
  };
  const decays = weightDecay > 0;
  const rates: Record<string, Hyperparameter> = {
    ...adamRates(b1, b2, eps),
    ...(b3 === undefined ? {} : { b3: decayRate(b3) }),
    dCoef: positive(dCoef),
    ...ownDecay("prodigy", weightDecay),
  };
  return defineOptimizer("prodigy", state, rates, (inputs) => {
    const { p, t, lr, start, mu, nu, s, d, dMax, numerator } = inputs;
    // `b3` and `weightDecay` are read only where they are declared.
    const { b1, b2, eps, dCoef, weightDecay, ...rest } = inputs as typeof inputs &
      Record<"b1" | "b2" | "b3" | "eps" | "dCoef" | "weightDecay", Expr>;
    const beta3 = b3 === undefined ? sqrt(b2) : rest.b3;
    const g = decays && !decoupled ? add(inputs.g, mul(weightDecay, p)) : inputs.g;
    const corrected = div(sqrt(correction(b2, t)), correction(b1, t));
    const delta = useBiasCorrection ? mul(mul(d, lr), corrected) : mul(d, lr);
    const m = lerp(mu, mul(d, g), sub(1, b1));
    const v = lerp(nu, square(mul(d, g)), sub(1, b2));
    const inner = sum(mul(g, sub(start, p)), "all");
    const r = add(mul(beta3, numerator), mul(mul(div(d, d0), delta), inner));
    const sNext = add(mul(beta3, s), mul(mul(div(d, d0), safeguardWarmup ? d : delta), g));
    const norm = sum(abs(sNext), "all");
    const none = eq(norm, 0);
    const estimate = select(none, d, div(mul(dCoef, r), norm));
    const most = max(dMax, estimate);
    const grown = select(eq(d, d0), max(d, estimate), d);
    const dNext =
      growthRate === Number.POSITIVE_INFINITY
        ? most
        : select(none, d, min(most, mul(grown, growthRate)));
    const rate = select(none, 0, delta);
    const update = neg(div(mul(rate, m), add(sqrt(v), mul(dNext, eps))));
    return {
      update: decays && decoupled ? sub(update, mul(mul(rate, weightDecay), p)) : update,
      next: { start, mu: m, nu: v, s: sNext, d: dNext, dMax: most, numerator: r },
    };
  });
}
