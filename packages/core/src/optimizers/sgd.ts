/**
 * SGD, with momentum and Nesterov's look ahead
 *
 *     bₜ = μ bₜ₋₁ + (1 − τ) gₜ          b₁ = g₁
 *     update = −αₜ bₜ                   Nesterov: −αₜ (gₜ + μ bₜ)
 */

import { requireFlag, requireNonNegative, requireThat } from "../errors.ts";
import { add, le, mul, neg, select, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  defineOptimizer,
  type Hyperparameter,
  nonNegative,
  type Optimizer,
  perElement,
} from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";

export interface SgdOptions extends DecayOptions {
  /** μ, at least 0, default 0 (none). */
  readonly momentum?: number;
  /** τ, at least 0, default 0 (none); not applied to the first gradient. */
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
export function sgd(options: SgdOptions = {}): Optimizer {
  return sgdAs("sgd", options);
}

/** SGD under the name of a method that is built on it, for its errors and checkpoints. */
export function sgdAs(
  name: string,
  { momentum = 0, dampening = 0, nesterov = false, ...decay }: SgdOptions,
): Optimizer {
  requireNonNegative(name, "momentum", momentum);
  requireNonNegative(name, "dampening", dampening);
  requireFlag(name, "nesterov", nesterov);
  requireThat(
    !nesterov || (momentum > 0 && dampening === 0),
    name,
    "`nesterov` needs `momentum` above 0 and `dampening` 0",
    `momentum ${momentum}, dampening ${dampening}`,
  );
  if (momentum === 0) {
    const plain = defineOptimizer(name, {}, ({ g, lr }) => ({
      update: neg(mul(lr, g)),
      next: {},
    }));
    return withDecay(plain, decay);
  }
  const damped = dampening > 0;
  const rates: Record<string, Hyperparameter> = {
    momentum: nonNegative(momentum),
    ...(damped ? { dampening: nonNegative(dampening) } : {}),
  };
  const heavy = defineOptimizer(name, { trace: perElement() }, rates, (inputs) => {
    // `dampening` is read only where it is declared.
    const { g, trace, t, lr, momentum, dampening } = inputs as typeof inputs &
      Record<"momentum" | "dampening", Expr>;
    const fresh = damped ? mul(select(le(t, 1), 1, sub(1, dampening)), g) : g;
    const b = add(mul(momentum, trace), fresh);
    const direction = nesterov ? add(g, mul(momentum, b)) : b;
    return { update: neg(mul(lr, direction)), next: { trace: b }, inspect: { trace: b } };
  });
  return withDecay(heavy, decay);
}
