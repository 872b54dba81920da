/** Annealed Gaussian noise on the gradient. */

import { add, div, mul, sqrt, sub, uniform } from "../expr/build.ts";
import { cosPi, log, pow } from "../expr/math.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, nonNegative, type Optimizer } from "../optimizer.ts";

export interface NoiseOptions {
  /** η, the variance at t = 0; at least 0, default 0.01. */
  readonly eta?: number;
  /** γ, how fast it falls; at least 0, default 0.55. */
  readonly gamma?: number;
}

/**
 * Adds Gaussian noise to the gradient, less and less of it.
 *
 *     gₜ ← gₜ + σₜ z,  z ~ N(0, 1) an element        σₜ² = η / (1 + t)^γ
 *     z = √(−2 log(1 − u₁)) cos 2πu₂                 u₁, u₂ uniform in [0, 1), multiples of 2⁻²⁴
 *
 * No state: the noise is a function of the `seed` of `compileOptimizer`, the step, the leaf and the place in it, the same
 * on every backend. |z| is at most √(48 log 2) = 5.77, as u₁ has 24 bits; the functions are exact to 1.6 ULP. Stands before
 * the optimizer in a chain. t is the
 * step's number from 1. `eta` and `gamma` may be changed while training.
 *
 * @param options - `eta` (η) among 0.01, 0.3, 1 in the paper; `gamma` (γ) 0.55 there.
 * @throws RangeError naming the option that is out of range.
 * @see Neelakantan et al. 2015, equation 1, https://arxiv.org/abs/1511.06807
 * @example chain(noise({ eta: 0.01 }), adam())
 */
export function noise({ eta = 0.01, gamma = 0.55 }: NoiseOptions = {}): Optimizer<never> {
  return defineOptimizer<never, "eta" | "gamma">(
    "noise",
    {},
    { eta: nonNegative(eta), gamma: nonNegative(gamma) },
    ({ g, t, eta: varianceAtZero, gamma: power }) => {
      const deviation = sqrt(div(varianceAtZero, pow(add(1, t), power)));
      return { update: add(g, mul(deviation, normal("noise"))), next: {} };
    },
  );
}

/** A standard normal an element, by Box and Muller's transform of two streams. */
function normal(stream: string): Expr {
  const radius = sqrt(mul(-2, log(sub(1, uniform(`${stream} radius`)))));
  return mul(radius, cosPi(mul(2, uniform(`${stream} angle`))));
}
