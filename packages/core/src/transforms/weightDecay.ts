/** Weight decay, in its two forms. */

import { requireFlag, requireNonNegative } from "../errors.ts";
import { add, mul, sub } from "../expr/build.ts";
import { defineOptimizer, type Hyperparameter, nonNegative, type Optimizer } from "../optimizer.ts";
import { chain } from "./chain.ts";
import { type LeafMask, masked } from "./patterns.ts";

export interface DecayOptions {
  /** Weight decay, at least 0, default 0: none, nor a hyperparameter of it. Above 0 it can be changed while training, to 0 too. */
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
 * The hyperparameter `weightDecay` of a program that has decay in its own formula; none for 0, where such a program
 * leaves the term out and does not read it.
 */
export function ownDecay(
  where: string,
  weightDecay: number,
): Readonly<Record<"weightDecay", Hyperparameter>> {
  requireNonNegative(where, "weightDecay", weightDecay);
  const declared = weightDecay === 0 ? {} : { weightDecay: nonNegative(weightDecay) };
  // Read only where it is declared.
  return declared as Readonly<Record<"weightDecay", Hyperparameter>>;
}

export interface WeightDecayOptions {
  /** The leaves that decay, by path or by what a function says of them; every leaf by default. */
  readonly mask?: LeafMask;
}

/**
 * L2 ("coupled") decay: the gradient of ½·weightDecay·‖p‖² joins the gradient, so moments see it.
 *
 *     g ← g + weightDecay · p
 *
 * Stands before the optimizer in a chain. The hyperparameter `weightDecay` can be changed while training.
 *
 * @param weightDecay - at least 0.
 * @param options - `mask`, such as a pattern of kernels: biases and norms are commonly left alone.
 * @throws RangeError for a decay out of range; when compiled, for a mask with a pattern that takes no leaf.
 * @example chain(l2(1e-4, { mask: ({ shape }) => shape.length >= 2 }), sgd())
 */
export function l2(weightDecay: number, { mask }: WeightDecayOptions = {}): Optimizer<never> {
  const where = masked("l2", mask);
  return defineOptimizer<never, "weightDecay">(
    "l2",
    {},
    { weightDecay: nonNegative(weightDecay) },
    ({ g, p, weightDecay: rate }) => ({ update: where(add(g, mul(rate, p)), g), next: {} }),
  );
}

/**
 * Decoupled decay: parameters shrink by the rate's share, whatever the optimizer made of the gradient.
 *
 *     p ← p·(1 − αₜ·weightDecay) + update
 *
 * Stands after the optimizer in a chain. The hyperparameter `weightDecay` can be changed while training.
 *
 * @param weightDecay - at least 0.
 * @param options - `mask`, as for `l2`.
 * @throws RangeError for a decay out of range; when compiled, for a mask with a pattern that takes no leaf.
 * @see Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101
 */
export function decoupledWeightDecay(
  weightDecay: number,
  { mask }: WeightDecayOptions = {},
): Optimizer<never> {
  const where = masked("decoupledWeightDecay", mask);
  return defineOptimizer<never, "weightDecay">(
    "decoupledWeightDecay",
    {},
    { weightDecay: nonNegative(weightDecay) },
    ({ g, p, lr, weightDecay: rate }) => ({
      update: where(sub(g, mul(mul(lr, rate), p)), g),
      next: {},
    }),
  );
}
