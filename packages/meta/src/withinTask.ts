/**
 * SGD within a task, with a rate an element
 *
 *     meta-training   θ ← θ − η g,  S ← S + g²                              η from ARUBA, fixed in the task
 *     meta-test       η = √(B/G),   θ ← θ − η g,  G ← G + c g²              c = 0 ARUBA, c > 0 ARUBA++
 */

import {
  add,
  defineOptimizer,
  div,
  type Expr,
  mul,
  neg,
  nonNegative,
  type Optimizer,
  perElement,
  type StateSpec,
  sqrt,
  square,
  sum,
} from "@adastra/core";
import { requireOneOf } from "./checks.ts";

/** A rate an element, or one for all. */
export type RateMode = "coordinate" | "isotropic";

/**
 * SGD while ARUBA collects: the rates stay, squares of gradients add up.
 *
 *     θ ← θ − α η g,  S ← S + g²
 *
 * State: `rates` = η, `squares` = S, with `keepLast` also `lastSquare` = g²; each of the parameter's shape and dtype. Whoever
 * starts a task writes η and clears S. Momentum has no place here: the analysis is of plain gradient descent.
 *
 * @param keepLast - keep g² of the last step beside the sum; default false.
 * @see Khodak, Balcan & Talwalkar 2019, Algorithm 2, https://arxiv.org/abs/1906.02717
 */
export function collectingSgd(keepLast = false): Optimizer {
  const state: Record<string, StateSpec> = {
    rates: perElement(1),
    squares: perElement(),
    ...(keepLast ? { lastSquare: perElement() } : {}),
  };
  return defineOptimizer("collectingSgd", state, (inputs) => {
    const { g, lr, rates, squares } = inputs as typeof inputs & Record<string, Expr>;
    const next: Record<string, Expr> = {
      rates: rates as Expr,
      squares: add(squares as Expr, square(g)),
      ...(keepLast ? { lastSquare: square(g) } : {}),
    };
    return { update: neg(mul(lr, mul(rates as Expr, g))), next };
  });
}

export interface ArubaSgdOptions {
  /** `"coordinate"` (default) or `"isotropic"`: √(ΣB/ΣG), sums over every element of every leaf. */
  readonly mode?: RateMode;
  /** c, at least 0, default 0: plain ARUBA. Published runs try 0.01 to 1000. */
  readonly coef?: number;
}

/**
 * SGD with learned rates, to train on a new task; ARUBA++ with `coef` above 0.
 *
 *     η = √(B/G),  θ ← θ − α η g,  G ← G + c g²          η from G before this gradient
 *
 * State: `b` = B, `gsq` = G, each of the parameter's shape and dtype: 8 bytes a float32 parameter. `preset()` of a meta-learner
 * fills both, and the parameters with φ; what is learned here stays in the task. The learning rate is a factor: 1 as published.
 *
 * @throws RangeError naming the option that is out of range.
 * @see Khodak, Balcan & Talwalkar 2019, section 5 (ARUBA++), https://arxiv.org/abs/1906.02717
 * @example const optimizer = compileOptimizer(arubaSgd(), { params, learningRate: 1 }); optimizer.load(preset.optimizer);
 */
export function arubaSgd({
  mode = "coordinate",
  coef = 0,
}: ArubaSgdOptions = {}): Optimizer<"b" | "gsq"> {
  requireOneOf("arubaSgd", "mode", mode, ["coordinate", "isotropic"]);
  const state = { b: perElement(1), gsq: perElement(1) };
  // The mode is in the name, so that a preset of one is not loaded into the other.
  const name = mode === "coordinate" ? "aruba" : "arubaIsotropic";
  return defineOptimizer(name, state, { coef: nonNegative(coef) }, (inputs) => {
    const { g, lr, b, gsq, coef } = inputs;
    const ratio = mode === "coordinate" ? div(b, gsq) : div(sum(b, "all"), sum(gsq, "all"));
    const rates = sqrt(ratio);
    return {
      update: neg(mul(lr, mul(rates, g))),
      next: { b, gsq: add(gsq, mul(coef, square(g))) },
      ...(mode === "coordinate" ? { inspect: { rates } } : {}),
    };
  });
}
