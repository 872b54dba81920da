/**
 * Stable weight decay: the decay has the pace of the step, not of the rate alone.
 *
 *     AdamS    v̄ₜ = mean of v̂ₜ over all elements of all tensors
 *              p ← p·(1 − αₜ λ/√v̄ₜ) + update of Adam
 *     SGDS     p ← p·(1 − αₜ λ (1 − τ)/(1 − μ)) + update of SGD with momentum μ and dampening τ
 */

import { requireDecay } from "../errors.ts";
import { div, eq, lerp, mean, mul, neg, select, sqrt, square, sub, wrap } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type Hyperparameter,
  nonNegative,
  type Optimizer,
  perElement,
} from "../optimizer.ts";
import { type LeafMask, masked } from "../transforms/patterns.ts";
import { type AdamOptions, adamRates, correctedStep, correction } from "./adam.ts";
import { type SgdOptions, sgdAs } from "./sgd.ts";

export interface StableDecayOptions {
  /** λ, at least 0. */
  readonly weightDecay?: number;
  /** The leaves that decay; every leaf by default. v̄ is over all of them either way. */
  readonly mask?: LeafMask;
}

export interface AdamsOptions
  extends Omit<AdamOptions, "weightDecay" | "decoupled">,
    StableDecayOptions {}

/**
 * AdamS: Adam with stable weight decay.
 *
 *     v̄ₜ = mean of vₜ/(1 − β₂ᵗ) over all elements of all tensors
 *     p ← p·(1 − αₜ λ/√v̄ₜ) − αₜ m̂ₜ/(√v̂ₜ + ε)
 *
 * State: `mu` = m, `nu` = v: 8 bytes a float32 parameter. Two passes. The hyperparameters `b1`, `b2`, `eps` and
 * `weightDecay` can be changed while training.
 *
 * @param options - those of `adam`; `weightDecay` (λ) default 1e-4; `mask`.
 * @throws RangeError naming the option that is out of range.
 * @remarks Where all gradients have been zero since the start, v̄ = 0 and nothing decays; the authors' code divides by it.
 * With gradients below λα the factor turns negative: choose λ by them.
 * @see Xie et al. 2023, https://arxiv.org/abs/2011.11152
 */
export function adams({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  weightDecay = 1e-4,
  mask,
}: AdamsOptions = {}): Optimizer {
  const where = masked("adams", mask);
  return defineOptimizer(
    "adams",
    { mu: perElement(), nu: perElement() },
    { ...adamRates(b1, b2, eps), weightDecay: nonNegative(weightDecay) },
    ({ g, p, mu, nu, t, lr, b1, b2, eps, weightDecay: rate }) => {
      const m = lerp(mu, g, sub(1, b1));
      const v = lerp(nu, square(g), sub(1, b2));
      const vBar = div(mean(v, "all"), correction(b2, t));
      const pace = select(eq(vBar, 0), 0, div(mul(lr, rate), sqrt(vBar)));
      const step = neg(correctedStep(lr, m, v, b1, b2, eps, t));
      return { update: where(sub(step, mul(pace, p)), step), next: { mu: m, nu: v } };
    },
  );
}

export interface SgdsOptions
  extends Omit<SgdOptions, "weightDecay" | "decoupled">,
    StableDecayOptions {}

/**
 * SGDS: SGD with momentum and stable weight decay.
 *
 *     p ← p·(1 − αₜ λ (1 − τ)/(1 − μ)) + update of SGD
 *
 * State: `trace`, 4 bytes a float32 parameter; none without momentum. The hyperparameters `weightDecay`, `momentum` and
 * `dampening`, where they are not 0, can be changed while training; the decay follows them.
 *
 * @param options - those of `sgd`, `momentum` (μ) in [0, 1), default 0.9; `weightDecay` (λ) default 5e-4; `mask`.
 * @throws RangeError naming the option that is out of range.
 * @see Xie et al. 2023, https://arxiv.org/abs/2011.11152
 */
export function sgds({
  momentum = 0.9,
  dampening = 0,
  nesterov = false,
  weightDecay = 5e-4,
  mask,
}: SgdsOptions = {}): Optimizer {
  requireDecay("sgds", "momentum", momentum);
  const where = masked("sgds", mask);
  const inner = sgdAs("sgds", { momentum, dampening, nesterov });
  const rates: Record<string, Hyperparameter> = {
    ...inner.hyperparameters,
    ...(momentum > 0 ? { momentum: decayRate(momentum) } : {}),
    weightDecay: nonNegative(weightDecay),
  };
  return defineOptimizer("sgds", inner.state, rates, (inputs) => {
    const { p, lr } = inputs;
    /** The hyperparameter, or the option where SGD leaves it out. */
    const rate = (key: string, option: number): Expr =>
      key in rates ? (inputs[key] as Expr) : wrap(option);
    const pace = div(sub(1, rate("dampening", dampening)), sub(1, rate("momentum", momentum)));
    const decay = mul(mul(lr, mul(rate("weightDecay", weightDecay), pace)), p);
    const { update, ...others } = inner.step(inputs);
    return { ...others, update: where(sub(update, decay), update) };
  });
}
