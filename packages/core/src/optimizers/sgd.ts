/**
 * SGD, with momentum and Nesterov's look ahead
 *
 *     bₜ = μ bₜ₋₁ + (1 − τ) gₜ          b₁ = g₁
 *     update = −αₜ bₜ                   Nesterov: −αₜ (gₜ + μ bₜ)
 */

import { requireFlag, requireNonNegative, requireThat } from "../errors.ts";
import { add, le, mul, neg, select, sub } from "../expr/build.ts";
import { defineOptimizer, nonNegative, type Optimizer, perElement } from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";

export interface SgdOptions extends DecayOptions {
  /** μ, at least 0, default 0. */
  readonly momentum?: number;
  /** τ, default 0; not applied to the first gradient. */
  readonly dampening?: number;
  /** Look ahead by one step of momentum; needs momentum and no dampening. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent.
 *
 *     bₜ = μ bₜ₋₁ + (1 − τ) gₜ,  b₁ = g₁
 *     update = −αₜ bₜ, with Nesterov −αₜ (gₜ + μ bₜ); without momentum −αₜ gₜ
 *
 * State: `trace` = b, 4 bytes a float32 parameter; none without momentum.
 *
 * @throws RangeError naming the option that is out of range.
 * @see Sutskever et al. 2013, equations 1-4, in the form of torch.optim.SGD: the rate is outside the buffer
 */
export function sgd({
  momentum = 0,
  dampening = 0,
  nesterov = false,
  ...decay
}: SgdOptions = {}): Optimizer {
  requireNonNegative("sgd", "momentum", momentum);
  requireNonNegative("sgd", "dampening", dampening);
  requireFlag("sgd", "nesterov", nesterov);
  requireThat(
    !nesterov || (momentum > 0 && dampening === 0),
    "sgd",
    "`nesterov` needs `momentum` above 0 and `dampening` 0",
    `momentum ${momentum}, dampening ${dampening}`,
  );
  if (momentum === 0) {
    const plain = defineOptimizer("sgd", {}, ({ g, lr }) => ({
      update: neg(mul(lr, g)),
      next: {},
    }));
    return withDecay(plain, decay);
  }
  const rates = { momentum: nonNegative(momentum), dampening: nonNegative(dampening) };
  const damped = dampening > 0;
  const heavy = defineOptimizer("sgd", { trace: perElement() }, rates, (inputs) => {
    const { g, trace, t, lr, momentum, dampening } = inputs;
    const fresh = damped ? mul(select(le(t, 1), 1, sub(1, dampening)), g) : g;
    const b = add(mul(momentum, trace), fresh);
    const direction = nesterov ? add(g, mul(momentum, b)) : b;
    return { update: neg(mul(lr, direction)), next: { trace: b }, inspect: { trace: b } };
  });
  return withDecay(heavy, decay);
}
