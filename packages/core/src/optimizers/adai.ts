/**
 * Adai: the second moment sets each element's inertia, not its rate.
 *
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²          v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     v̄ₜ = mean of v̂ₜ over all elements of all tensors
 *     r  = (v̂ₜ / v̄ₜ)^(1/(3−2d))           d = dampening; 1 gives Adai, less AdaiV2
 *     b₁ = clamp(1 − β₀ r, 0, 1 − ε)
 *     qₜ = qₜ₋₁ b₁,  q₀ = 1
 *     mₜ = b₁ mₜ₋₁ + (1 − b₁)^d gₜ
 *     update = −αₜ β₀^(1−d) mₜ / (1 − qₜ)
 */

import { requireOneOf, requireShare } from "../errors.ts";
import {
  add,
  clamp,
  div,
  eq,
  lerp,
  mean,
  mul,
  neg,
  select,
  sqrt,
  square,
  sub,
} from "../expr/build.ts";
import { pow } from "../expr/math.ts";
import {
  decayRate,
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
} from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { correction } from "./adam.ts";

export interface AdaiOptions {
  /** β₀, at least 0, default 0.1: the mean inertia is 1 − β₀. */
  readonly b0?: number;
  /** β₂ in [0, 1), default 0.99. */
  readonly b2?: number;
  /** ε in (0, 1], default 1e-3: inertia is at most 1 − ε. */
  readonly eps?: number;
  /** d in [0, 1], default 1 (Adai); less adapts the step size too (AdaiV2). */
  readonly dampening?: number;
  /** Weight decay, at least 0, default 0. */
  readonly weightDecay?: number;
  /** `"l2"` for Adai (default); `"decoupled"` is AdaiW, `"stable"` AdaiS, which are the same numbers. */
  readonly decay?: "l2" | "decoupled" | "stable";
}

/**
 * Adai, adaptive inertia: SGD whose momentum is high where gradients are small.
 *
 *     b₁ = clamp(1 − β₀ v̂/v̄, 0, 1 − ε)      m ← b₁ m + (1 − b₁) g      update = −α m / (1 − Πb₁)
 *
 * Rates are those of SGD without momentum, about ten times those of SGD with momentum 0.9.
 *
 * State: `nu` = v, `mu` = m, `q` = the running product of b₁: 12 bytes a float32 parameter. Two passes.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks Where all gradients have been zero since the start, v̄ = 0 counts as 1 and the update is 0; the
 * official code gives NaN there.
 * @see Xie et al. 2022, Algorithm 2, https://arxiv.org/abs/2006.15815; AdaiS: https://arxiv.org/abs/2011.11152
 */
export function adai({
  b0 = 0.1,
  b2 = 0.99,
  eps = 1e-3,
  dampening = 1,
  weightDecay = 0,
  decay = "l2",
}: AdaiOptions = {}): Optimizer {
  requireShare("adai", "eps", eps, "(0, 1]");
  requireShare("adai", "dampening", dampening);
  requireOneOf("adai", "decay", decay, ["l2", "decoupled", "stable"]);
  const power = 1 / (3 - 2 * dampening);
  const inertial = defineOptimizer(
    "adai",
    { nu: perElement(), mu: perElement(), q: perElement(1) },
    { b0: nonNegative(b0), b2: decayRate(b2) },
    ({ g, nu, mu, q, t, lr, b0, b2 }) => {
      const v = lerp(nu, square(g), sub(1, b2));
      const c = correction(b2, t);
      const vBar = mean(mul(v, div(1, c)), "all");
      // By the root twice: 1/(c v̄) itself leaves float32 where v̄ is below 3e-39, and 0·∞ is NaN.
      const scale = div(1, sqrt(mul(c, select(eq(vBar, 0), 1, vBar))));
      const ratio = mul(mul(v, scale), scale);
      const r = power === 1 ? ratio : pow(ratio, power);
      const inertia = clamp(sub(1, mul(b0, r)), 0, 1 - eps);
      const product = mul(q, inertia);
      const open = sub(1, inertia);
      const gain = dampening === 1 ? open : dampening === 0 ? 1 : pow(open, dampening);
      const m = add(mul(inertia, mu), mul(gain, g));
      const rate = mul(lr, dampening === 1 ? 1 : pow(b0, 1 - dampening));
      return {
        update: neg(div(mul(rate, m), sub(1, product))),
        next: { nu: v, mu: m, q: product },
        inspect: { inertia, v: mul(v, div(1, c)) },
      };
    },
  );
  return withDecay(inertial, { weightDecay, decoupled: decay !== "l2" });
}
