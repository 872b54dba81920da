/** Gradient centralisation. */

import { requireOneOf } from "../errors.ts";
import { choose, mean, sub } from "../expr/build.ts";
import { defineOptimizer, type Optimizer } from "../optimizer.ts";
import { byUnits, type Units } from "./clip.ts";

export interface CentraliseOptions {
  /** `"columns"` (default): output units along the last axis, as in [in, out]; `"rows"`: along the first of two. */
  readonly units?: Units;
}

/**
 * Gradient centralisation: takes from the gradient of each output unit its mean.
 *
 *     gᵢ ← gᵢ − mean(gᵢ)          over the weights of unit i; leaves of fewer than two axes stay
 *
 * So the sum of a unit's weights stays what it was at the start, wherever the step is a multiple of the gradient.
 * No state; one more pass over the gradient. Stands before the optimizer in a chain, after `l2`, as in the paper.
 *
 * @throws RangeError for units that are none; when compiled, for units along rows in a leaf of more than two axes.
 * @see Yong et al. 2020, equation 1, https://arxiv.org/abs/2004.01461
 * @example chain(centralise(), sgd({ momentum: 0.9 }))
 */
export function centralise({ units = "columns" }: CentraliseOptions = {}): Optimizer<never> {
  requireOneOf("centralise", "units", units, ["columns", "rows"]);
  const over = units === "columns" ? "column" : "row";
  return defineOptimizer("centralise", {}, ({ g }) => {
    const choice = byUnits("centralise", units, ({ shape }) => shape.length < 2);
    return { update: choose(choice, [sub(g, mean(g, over)), g]), next: {} };
  });
}
