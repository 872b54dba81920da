/** Weight decay, in its two forms. */

import { requireFlag, requireNonNegative } from "../errors.ts";
import { add, mul, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  defineOptimizer,
  type Hyperparameter,
  nonNegative,
  type Optimizer,
  type StepInputs,
} from "../optimizer.ts";
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
  // As `chain` composes it, which a bundle then need not hold.
  const { hyperparameters } = optimizer;
  const rate = { weightDecay: nonNegative(weightDecay) };
  return decoupled
    ? {
        ...optimizer,
        hyperparameters: { ...hyperparameters, ...rate },
        step: (inputs) => {
          // A projection does not hold where the update is changed after it.
          const { params: _, ...outputs } = optimizer.step(inputs);
          return { ...outputs, update: shrinking(outputs.update, inputs as DecayInputs) };
        },
      }
    : {
        ...optimizer,
        hyperparameters: { ...rate, ...hyperparameters },
        step: (inputs) => optimizer.step({ ...inputs, g: pulled(inputs as DecayInputs) }),
      };
}

type DecayInputs = StepInputs & Readonly<Record<"weightDecay", Expr>>;

/** The gradient with that of ½·weightDecay·‖p‖². */
function pulled({ g, p, weightDecay }: DecayInputs): Expr {
  return add(g, mul(weightDecay, p));
}

/** An update that also takes the rate's share of the parameter. */
function shrinking(update: Expr, { p, lr, weightDecay }: DecayInputs): Expr {
  return sub(update, mul(mul(lr, weightDecay), p));
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
    (inputs) => ({ update: where(pulled(inputs), inputs.g), next: {} }),
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
    (inputs) => ({ update: where(shrinking(inputs.g, inputs), inputs.g), next: {} }),
  );
}
