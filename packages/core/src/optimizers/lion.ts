/**
 * Lion: an average decides the direction, the rate alone the size.
 *
 *     cₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ
 *     mₜ = β₂ mₜ₋₁ + (1 − β₂) gₜ
 *     update = −αₜ (sign cₜ + λ p)
 */

import { lerp, lt, mul, neg, select, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import { decayRate, defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";

export interface LionOptions {
  /** β₁ in [0, 1), default 0.9: how much of the average is in the step. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.99: how far back the average looks. */
  readonly b2?: number;
  /** λ, at least 0, default 0; decoupled. */
  readonly weightDecay?: number;
}

/**
 * Lion (evolved sign momentum): every element moves by exactly the rate, where anything has moved it at all.
 *
 *     update = −αₜ (sign(β₁ mₜ₋₁ + (1 − β₁) gₜ) + λ p)
 *
 * The norm of a step is larger than that of Adam: rates three to ten times smaller, and decays as much larger.
 *
 * State: `mu` = m, of the parameter's shape and dtype: 4 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks optax has a weight decay of 1e-3 by default; the authors' PyTorch code, as here, none.
 * @see Chen et al. 2023, Program 1, https://arxiv.org/abs/2302.06675
 * @example compileOptimizer(lion({ weightDecay: 0.1 }), { params, learningRate: 1e-4 })
 */
export function lion({ b1 = 0.9, b2 = 0.99, weightDecay = 0 }: LionOptions = {}): Optimizer {
  const rates = { b1: decayRate(b1), b2: decayRate(b2) };
  const plain = defineOptimizer("lion", { mu: perElement() }, rates, (inputs) => {
    const { g, mu, lr, b1, b2 } = inputs;
    const c = lerp(mu, g, sub(1, b1));
    const m = lerp(mu, g, sub(1, b2));
    return { update: neg(mul(lr, sign(c))), next: { mu: m } };
  });
  return withDecay(plain, { weightDecay, decoupled: true });
}

/** 1, −1, or x itself where it is 0 or NaN. */
export function sign(x: Expr): Expr {
  return select(lt(0, x), 1, select(lt(x, 0), -1, x));
}
