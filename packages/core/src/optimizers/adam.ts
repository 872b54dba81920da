/**
 * Adam, AdamW, AMSGrad
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ          m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²         v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)
 *
 *     AMSGrad   hₜ = max(hₜ₋₁, vₜ) takes the place of vₜ under the root
 */

import { requireOneOf } from "../errors.ts";
import {
  add,
  div,
  hostPow,
  lerp,
  max,
  mul,
  neg,
  type Operand,
  sqrt,
  square,
  sub,
} from "../expr/build.ts";
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

export interface AdamOptions extends DecayOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** ε, at least 0, default 1e-8; added after the root. */
  readonly eps?: number;
}

/**
 * Adam: averages of g and g², each corrected for starting at zero.
 *
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ          m̂ₜ = mₜ / (1 − β₁ᵗ)
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²         v̂ₜ = vₜ / (1 − β₂ᵗ)
 *     update = −αₜ m̂ₜ / (√v̂ₜ + ε)
 *
 * State: `mu` = m, `nu` = v, each of the parameter's shape and dtype: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks TensorFlow scales ε differently: its steps differ while t is small.
 * @see Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980
 * @example compileOptimizer(adam(), { params, learningRate: 1e-3 })
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamAs("adam", options);
}

/** Adam under the name of a method that is built on it, for its errors and checkpoints. */
export function adamAs(
  name: string,
  { b1 = 0.9, b2 = 0.999, eps = 1e-8, ...decay }: AdamOptions,
): Optimizer {
  const state = { mu: perElement(), nu: perElement() };
  const rates = adamRates(b1, b2, eps);
  const plain = defineOptimizer(name, state, rates, ({ g, mu, nu, t, lr, b1, b2, eps }) => {
    const m = lerp(mu, g, sub(1, b1));
    const v = lerp(nu, square(g), sub(1, b2));
    return {
      update: neg(correctedStep(lr, m, v, b1, b2, eps, t)),
      next: { mu: m, nu: v },
      inspect: correctedScale(lr, v, b2, eps, t),
      moments: correctedMoments(m, v, b1, b2, t),
    };
  });
  return withDecay(plain, decay);
}

export interface AdamWOptions extends Omit<AdamOptions, "decoupled"> {
  /** Decoupled weight decay, at least 0, default 1e-2. */
  readonly weightDecay?: number;
}

/**
 * AdamW: Adam with decoupled weight decay, `p ← p·(1 − αₜ·weightDecay) + update of Adam`.
 *
 * State as Adam's: 8 bytes a float32 parameter.
 *
 * @see Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101
 */
export function adamw({ weightDecay = 1e-2, ...options }: AdamWOptions = {}): Optimizer {
  return adamAs("adamw", { ...options, weightDecay, decoupled: true });
}

export interface AmsgradOptions extends AdamOptions {
  /**
   * Where the maximum is taken: `"torch"` (default) over v, `"optax"` over v̂, `"inplace"` inside v itself,
   * as the baseline of the AdaShift authors does.
   */
  readonly convention?: "torch" | "optax" | "inplace";
}

/**
 * AMSGrad: Adam whose denominator never shrinks.
 *
 *     torch     hₜ = max(hₜ₋₁, vₜ)          denominator √(hₜ / (1 − β₂ᵗ)) + ε
 *     optax     hₜ = max(hₜ₋₁, v̂ₜ)          denominator √hₜ + ε
 *     inplace   vₜ = max(vₜ₋₁, β₂ vₜ₋₁ + (1 − β₂) gₜ²), denominator √v̂ₜ + ε
 *
 * State: `mu`, `nu` and `nuMax` = h: 12 bytes a float32 parameter, 8 in place.
 *
 * @see Reddi, Kale & Kumar 2018, Algorithm 2, https://arxiv.org/abs/1904.09237
 */
export function amsgrad(options: AmsgradOptions = {}): Optimizer {
  return amsgradAs("amsgrad", options);
}

/** AMSGrad under the name of a method that is built on it. */
export function amsgradAs(
  name: string,
  { b1 = 0.9, b2 = 0.999, eps = 1e-8, convention = "torch", ...decay }: AmsgradOptions,
): Optimizer {
  requireOneOf(name, "convention", convention, ["torch", "optax", "inplace"]);
  const inPlace = convention === "inplace";
  const state: Record<string, StateSpec> = {
    mu: perElement(),
    nu: perElement(),
    ...(inPlace ? {} : { nuMax: perElement() }),
  };
  const growing = defineOptimizer(name, state, adamRates(b1, b2, eps), (inputs) => {
    const { g, t, lr, b1, b2, eps } = inputs;
    // `nuMax` is read only where it is declared.
    const { mu, nu, nuMax } = inputs as typeof inputs & Record<"mu" | "nu" | "nuMax", Expr>;
    const m = lerp(mu, g, sub(1, b1));
    const average = lerp(nu, square(g), sub(1, b2));
    if (inPlace) {
      const v = max(nu, average);
      const inspect = correctedScale(lr, v, b2, eps, t);
      const update = neg(correctedStep(lr, m, v, b1, b2, eps, t));
      const moments = correctedMoments(m, v, b1, b2, t);
      return { update, next: { mu: m, nu: v }, inspect, moments };
    }
    if (convention === "torch") {
      const h = max(nuMax, average);
      const update = neg(correctedStep(lr, m, h, b1, b2, eps, t));
      const inspect = correctedScale(lr, h, b2, eps, t);
      const moments = correctedMoments(m, h, b1, b2, t);
      return { update, next: { mu: m, nu: average, nuMax: h }, inspect, moments };
    }
    const h = max(nuMax, mul(average, div(1, correction(b2, t))));
    const denominator = add(sqrt(h), eps);
    const update = neg(div(mul(div(lr, correction(b1, t)), m), denominator));
    const inspect = { v: h, effectiveRate: div(lr, denominator) };
    const moments = { m: div(m, correction(b1, t)), v: h };
    return { update, next: { mu: m, nu: average, nuMax: h }, inspect, moments };
  });
  return withDecay(growing, decay);
}

/** 1 − βᵗ: what an average that starts at zero lacks after t steps. */
export function correction(b: Operand, t: Expr): Expr {
  return sub(1, hostPow(b, t));
}

/**
 * α m̂/(√v̂ + ε). Written as (α √c₂/c₁) m / (√v + ε √c₂) with cᵢ = 1 − βᵢᵗ, so that both corrections are
 * numbers of the step and an element costs one root and one division.
 */
export function correctedStep(
  lr: Expr,
  m: Expr,
  v: Expr,
  b1: Operand,
  b2: Operand,
  eps: Operand,
  t: Expr,
): Expr {
  const root = sqrt(correction(b2, t));
  return div(mul(div(mul(lr, root), correction(b1, t)), m), add(sqrt(v), mul(eps, root)));
}

/** For inspection, of the same v as `correctedStep`: `v` = v̂ and `effectiveRate` = α/(√v̂ + ε), which shares its denominator. */
export function correctedScale(
  lr: Expr,
  v: Expr,
  b2: Operand,
  eps: Operand,
  t: Expr,
): { readonly v: Expr; readonly effectiveRate: Expr } {
  const c = correction(b2, t);
  const root = sqrt(c);
  return {
    v: mul(v, div(1, c)),
    effectiveRate: div(mul(lr, root), add(sqrt(v), mul(eps, root))),
  };
}

/** m̂ and v̂ of the same m and v as `correctedStep`. */
export function correctedMoments(
  m: Expr,
  v: Expr,
  b1: Operand,
  b2: Operand,
  t: Expr,
): { readonly m: Expr; readonly v: Expr } {
  return { m: mul(m, div(1, correction(b1, t))), v: mul(v, div(1, correction(b2, t))) };
}

/** β₁, β₂ and ε, checked where an optimizer is defined. */
export function adamRates(
  b1: number,
  b2: number,
  eps: number,
): Readonly<Record<"b1" | "b2" | "eps", Hyperparameter>> {
  return { b1: decayRate(b1), b2: decayRate(b2), eps: nonNegative(eps) };
}
