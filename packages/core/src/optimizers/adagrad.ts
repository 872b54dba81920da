/**
 * AdaGrad: every squared gradient counts, for ever.
 *
 *     sₜ = sₜ₋₁ + gₜ²
 *     αₜ' = αₜ / (1 + (t − 1) κ)
 *     torch     update = −αₜ' gₜ / (√sₜ + ε)       s₀ = 0
 *     optax     update = −αₜ' gₜ / √(sₜ + ε)       s₀ = 0.1; 0 where sₜ = 0
 */

import { requireNonNegative, requireOneOf } from "../errors.ts";
import { add, div, gt, mul, neg, select, sqrt, square, sub } from "../expr/build.ts";
import { defineOptimizer, nonNegative, type Optimizer, perElement } from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";

export interface AdagradOptions extends DecayOptions {
  /** ε, at least 0, default 1e-10 for torch, 1e-7 for optax. */
  readonly eps?: number;
  /** κ, at least 0, default 0: the rate is divided by 1 + (t − 1) κ. */
  readonly learningRateDecay?: number;
  /** s₀, at least 0, default 0 for torch, 0.1 for optax. */
  readonly initialAccumulator?: number;
  /** Whose ε and s₀: `"torch"` (default) adds ε after the root, `"optax"` under it. */
  readonly convention?: "torch" | "optax";
}

/**
 * AdaGrad: each coordinate's rate falls with the root of the sum of its squared gradients.
 *
 *     sₜ = sₜ₋₁ + gₜ²
 *     torch     update = −αₜ / (1 + (t − 1) κ) · gₜ / (√sₜ + ε)
 *     optax     update = −αₜ / (1 + (t − 1) κ) · gₜ / √(sₜ + ε), 0 where sₜ = 0
 *
 * State: `sum` = s, of the parameter's shape and dtype: 4 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks In the torch convention with ε = 0, an element whose gradients have all been zero is 0/0, NaN, as in
 * torch. optax has no κ; it is torch's `lr_decay` in either convention. Decoupled decay goes by αₜ, without κ.
 * @see Duchi, Hazan & Singer 2011, Figure 1 with diagonal matrices, https://jmlr.org/papers/v12/duchi11a.html
 * @example compileOptimizer(adagrad(), { params, learningRate: 1e-2 })
 */
export function adagrad({
  convention = "torch",
  eps = convention === "torch" ? 1e-10 : 1e-7,
  learningRateDecay = 0,
  initialAccumulator = convention === "torch" ? 0 : 0.1,
  ...decay
}: AdagradOptions = {}): Optimizer {
  requireOneOf("adagrad", "convention", convention, ["torch", "optax"]);
  requireNonNegative("adagrad", "initialAccumulator", initialAccumulator);
  const state = { sum: perElement(initialAccumulator) };
  const rates = { eps: nonNegative(eps), learningRateDecay: nonNegative(learningRateDecay) };
  const summing = defineOptimizer("adagrad", state, rates, (inputs) => {
    const { g, sum, t, lr, eps, learningRateDecay } = inputs;
    const s = add(sum, square(g));
    const rate = div(lr, add(1, mul(sub(t, 1), learningRateDecay)));
    const step = mul(rate, g);
    const update =
      convention === "torch"
        ? div(step, add(sqrt(s), eps))
        : select(gt(s, 0), div(step, sqrt(add(s, eps))), 0);
    const moments = { m: div(g, add(1, mul(sub(t, 1), learningRateDecay))), v: s };
    return { update: neg(update), next: { sum: s }, inspect: { v: s }, moments };
  });
  return withDecay(summing, decay);
}
