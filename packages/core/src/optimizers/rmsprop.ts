/**
 * RMSProp, plain, centered, with momentum
 *
 *     vₜ = γ vₜ₋₁ + (1 − γ) gₜ²
 *     mₜ = γ mₜ₋₁ + (1 − γ) gₜ                       centered: vₜ − mₜ² takes the place of vₜ under the root
 *     torch     uₜ = gₜ / (√vₜ + ε)                   bₜ = μ bₜ₋₁ + uₜ         update = −αₜ bₜ
 *     optax     uₜ = gₜ / √(vₜ + ε)                   bₜ = μ bₜ₋₁ + αₜ uₜ      update = −bₜ
 */

import { requireFlag, requireNonNegative, requireOneOf } from "../errors.ts";
import { add, div, lerp, max, mul, neg, sqrt, square, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type Hyperparameter,
  nonNegative,
  type Optimizer,
  perElement,
  type StateSpec,
} from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";

export interface RmspropOptions extends DecayOptions {
  /** γ in [0, 1), default 0.99 for torch, 0.9 for optax. */
  readonly decay?: number;
  /** ε, at least 0, default 1e-8. */
  readonly eps?: number;
  /** μ, at least 0, default 0. */
  readonly momentum?: number;
  /** Whether the variance of the gradients is under the root, or their mean square (default). */
  readonly centered?: boolean;
  /**
   * Whose defaults and ε: `"torch"` (default) adds ε after the root and takes the rate outside the momentum,
   * `"optax"` adds it under the root and takes the rate inside.
   */
  readonly convention?: "torch" | "optax";
}

/**
 * RMSProp: the gradient over the root of an average of its squares.
 *
 *     vₜ = γ vₜ₋₁ + (1 − γ) gₜ²,  mₜ = γ mₜ₋₁ + (1 − γ) gₜ
 *     torch     update = −αₜ bₜ,  bₜ = μ bₜ₋₁ + gₜ / (√vₜ + ε)
 *     optax     update = −bₜ,     bₜ = μ bₜ₋₁ + αₜ gₜ / √(vₜ + ε)
 *     centered  vₜ − mₜ² under the root
 *
 * State: `nu` = v, centered `mu` = m, with momentum `trace` = b, each of the parameter's shape and dtype:
 * 4 to 12 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks No average is corrected for starting at zero, so the first step is αₜ/√(1 − γ) long. Where rounding makes
 * vₜ − mₜ² negative, as it does where a gradient stays the same after larger ones, it counts as 0; torch gives
 * NaN there, and optax where it is below −ε. With ε = 0, 0/0 is NaN where all gradients were zero.
 * @see Tieleman & Hinton 2012, Lecture 6.5 of "Neural Networks for Machine Learning"; centered and with momentum:
 * Graves 2013, equations 38-41, https://arxiv.org/abs/1308.0850
 * @example compileOptimizer(rmsprop({ decay: 0.9 }), { params, learningRate: 1e-3 })
 */
export function rmsprop({
  convention = "torch",
  decay = convention === "torch" ? 0.99 : 0.9,
  eps = 1e-8,
  momentum = 0,
  centered = false,
  ...decayOptions
}: RmspropOptions = {}): Optimizer {
  requireOneOf("rmsprop", "convention", convention, ["torch", "optax"]);
  requireNonNegative("rmsprop", "momentum", momentum);
  requireFlag("rmsprop", "centered", centered);
  const heavy = momentum > 0;
  const state: Record<string, StateSpec> = {
    nu: perElement(),
    ...(centered ? { mu: perElement() } : {}),
    ...(heavy ? { trace: perElement() } : {}),
  };
  const rates: Record<string, Hyperparameter> = {
    decay: decayRate(decay),
    eps: nonNegative(eps),
    ...(heavy ? { momentum: nonNegative(momentum) } : {}),
  };
  const scaled = defineOptimizer("rmsprop", state, rates, (inputs) => {
    const { g, lr } = inputs;
    // `mu`, `trace` and `momentum` are read only where they are declared.
    const { nu, mu, trace, decay, eps, momentum } = inputs as typeof inputs &
      Record<"nu" | "mu" | "trace" | "decay" | "eps" | "momentum", Expr>;
    const next: Record<string, Expr> = {};
    const v = lerp(nu, square(g), sub(1, decay));
    next.nu = v;
    let spread = v;
    if (centered) {
      const m = lerp(mu, g, sub(1, decay));
      next.mu = m;
      spread = max(sub(v, square(m)), 0);
    }
    const denominator = convention === "torch" ? add(sqrt(spread), eps) : sqrt(add(spread, eps));
    const u = div(g, denominator);
    const inspect = { v: spread, effectiveRate: div(lr, denominator) };
    if (!heavy) {
      return { update: neg(mul(lr, u)), next, inspect, moments: { m: g, v: spread } };
    }
    const rateInside = convention === "optax";
    const b = add(mul(momentum, trace), rateInside ? mul(lr, u) : u);
    next.trace = b;
    return { update: neg(rateInside ? b : mul(lr, b)), next, inspect };
  });
  return withDecay(scaled, decayOptions);
}
