/** Weight decay, in its two forms. */

import { requireFlag, requireNonNegative } from "../errors.ts";
import { add, mul, sub } from "../expr/build.ts";
import { defineOptimizer, type Optimizer } from "../optimizer.ts";
import { chain } from "./chain.ts";

export interface DecayOptions {
  /** Weight decay, at least 0, default 0. */
  readonly weightDecay?: number;
  /** `false` (default): L2, seen by the optimizer; `true`: decoupled. */
  readonly decoupled?: boolean;
}

/** An optimizer with the decay that its options ask for, under the optimizer's own name. */
export function withDecay(
  optimizer: Optimizer,
  { weightDecay = 0, decoupled = false }: DecayOptions,
): Optimizer {
  requireNonNegative(optimizer.name, "weightDecay", weightDecay);
  requireFlag(optimizer.name, "decoupled", decoupled);
  if (weightDecay === 0) {
    return optimizer;
  }
  const chained = decoupled
    ? chain(optimizer, decoupledWeightDecay(weightDecay))
    : chain(l2(weightDecay), optimizer);
  return { ...chained, name: optimizer.name };
}

/**
 * L2 ("coupled") decay: the gradient of ½·weightDecay·‖p‖² joins the gradient, so moments see it.
 *
 *     g ← g + weightDecay · p
 *
 * Stands before the optimizer in a chain.
 *
 * @param weightDecay - at least 0.
 */
export function l2(weightDecay: number): Optimizer<never> {
  requireNonNegative("l2", "weightDecay", weightDecay);
  return defineOptimizer("l2", {}, ({ g, p }) => ({
    update: weightDecay === 0 ? g : add(g, mul(weightDecay, p)),
    next: {},
  }));
}

/**
 * Decoupled decay: parameters shrink by the rate's share, whatever the optimizer made of the gradient.
 *
 *     p ← p·(1 − αₜ·weightDecay) + update
 *
 * Stands after the optimizer in a chain.
 *
 * @param weightDecay - at least 0.
 * @see Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101
 */
export function decoupledWeightDecay(weightDecay: number): Optimizer<never> {
  requireNonNegative("decoupledWeightDecay", "weightDecay", weightDecay);
  return defineOptimizer("decoupledWeightDecay", {}, ({ g, p, lr }) => ({
    update: weightDecay === 0 ? g : sub(g, mul(mul(lr, weightDecay), p)),
    next: {},
  }));
}
