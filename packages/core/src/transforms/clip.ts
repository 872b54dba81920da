/** Gradient clipping: by value, by norm, by norm relative to the parameter. */

import { requireOneOf } from "../errors.ts";
import { choose, clamp, div, gt, max, mul, neg, select, sqrt, square, sum } from "../expr/build.ts";
import type { Choice, Expr, LeafInfo, ReduceOver } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, positive } from "../optimizer.ts";

/**
 * Limits each element of the gradient.
 *
 *     g ← min(max(g, −limit), limit)
 *
 * No state. A NaN stays NaN. The hyperparameter `limit` can be changed while training.
 *
 * @param limit - greater than 0.
 * @throws RangeError for a limit out of range.
 * @example chain(clipByValue(0.5), sgd())
 */
export function clipByValue(limit: number): Optimizer<never> {
  return defineOptimizer<never, "limit">(
    "clipByValue",
    {},
    { limit: positive(limit) },
    ({ g, limit: most }) => ({
      update: clamp(g, neg(most), most),
      next: {},
    }),
  );
}

/**
 * Scales each tensor's gradient so that its norm is at most `maxNorm`.
 *
 *     ‖g‖ = √(Σ over the tensor g²)          g ← g · maxNorm / max(‖g‖, maxNorm)
 *
 * No state; one more pass over the gradient. A gradient with NaN stays NaN. The hyperparameter `maxNorm` can be
 * changed while training.
 *
 * @param maxNorm - greater than 0.
 * @throws RangeError for a norm out of range.
 */
export function clipByTensorNorm(maxNorm: number): Optimizer<never> {
  return clipByNorm("clipByTensorNorm", maxNorm, "tensor");
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm`.
 *
 *     ‖g‖ = √(Σ over all tensors g²)          g ← g · maxNorm / max(‖g‖, maxNorm)
 *
 * No state; one more pass over the gradient. A gradient with NaN stays NaN. The hyperparameter `maxNorm` can be
 * changed while training.
 *
 * @param maxNorm - greater than 0.
 * @throws RangeError for a norm out of range.
 * @see Pascanu, Mikolov & Bengio 2013, Algorithm 1, https://arxiv.org/abs/1211.5063
 */
export function clipByGlobalNorm(maxNorm: number): Optimizer<never> {
  return clipByNorm("clipByGlobalNorm", maxNorm, "all");
}

function clipByNorm(name: string, maxNorm: number, over: ReduceOver): Optimizer<never> {
  return defineOptimizer<never, "maxNorm">(
    name,
    {},
    { maxNorm: positive(maxNorm) },
    ({ g, maxNorm: most }) => ({
      update: mul(g, div(most, max(sqrt(sum(square(g), over)), most))),
      next: {},
    }),
  );
}

/** Along which axis the output units of a matrix lie: its columns for [in, out], its rows for [out, in]. */
export type Units = "columns" | "rows";

export interface AdaptiveClipOptions {
  /** λ, greater than 0, default 0.01: a unit's gradient is at most this share of its weights. */
  readonly clipping?: number;
  /** ε, greater than 0, default 1e-3: the least that the norm of a unit's weights counts as. */
  readonly eps?: number;
  /** `"columns"` (default): units along the last axis, as in [in, out] and [height, width, in, out]; `"rows"`: along the first of two. */
  readonly units?: Units;
}

/**
 * Adaptive gradient clipping: the gradient of each output unit is limited relative to the unit's weights.
 *
 *     G = ‖gᵢ‖,  W = max(‖pᵢ‖, ε)            norms over the weights of unit i; of a vector or scalar, over all of it
 *     gᵢ ← gᵢ · λ W / G  where G > λ W
 *
 * No state; one more pass over gradient and parameter. The hyperparameters `clipping` and `eps` can be changed while
 * training.
 *
 * @throws RangeError naming the option that is out of range; when compiled, for units along rows in a leaf of more
 * than two axes.
 * @remarks A leaf with one axis longer than 1 counts as a vector, as in the authors' code. That code takes the norm of
 * three axes over the first alone; here it is over all but the last. The authors leave the last layer unclipped: use
 * `group` for that.
 * @see Brock et al. 2021, equation 3, https://arxiv.org/abs/2102.06171
 * @example chain(adaptiveClip({ clipping: 0.02 }), sgd({ momentum: 0.9 }))
 */
export function adaptiveClip({
  clipping = 0.01,
  eps = 1e-3,
  units = "columns",
}: AdaptiveClipOptions = {}): Optimizer<never> {
  requireOneOf("adaptiveClip", "units", units, ["columns", "rows"]);
  const hyperparameters = { clipping: positive(clipping), eps: positive(eps) };
  return defineOptimizer<never, "clipping" | "eps">(
    "adaptiveClip",
    {},
    hyperparameters,
    (inputs) => {
      const { g, p, clipping: share, eps: least } = inputs;
      const clipped = (over: ReduceOver): Expr => {
        const norm = (x: Expr): Expr => sqrt(sum(square(x), over));
        const most = mul(share, max(norm(p), least));
        return mul(g, select(gt(norm(g), most), div(most, norm(g)), 1));
      };
      const unit = units === "columns" ? "column" : "row";
      const choice = byUnits("adaptiveClip", units, isVector);
      return { update: choose(choice, [clipped(unit), clipped("tensor")]), next: {} };
    },
  );
}

/** At most one axis is longer than 1. */
function isVector({ shape }: LeafInfo): boolean {
  return shape.filter((extent) => extent !== 1).length <= 1;
}

/** Branch 0 for leaves with units, 1 for those that are `whole`. */
export function byUnits(where: string, units: Units, whole: (leaf: LeafInfo) => boolean): Choice {
  return {
    branch: (leaf) => (whole(leaf) ? 1 : 0),
    check: (leaves) => {
      const deep = leaves.find((leaf) => !whole(leaf) && leaf.shape.length > 2);
      if (units === "rows" && deep !== undefined) {
        throw new RangeError(
          `${where}: \`units\` "rows" needs leaves of at most two axes, got leaf "${deep.path}" of shape [${deep.shape.join(", ")}]; put the output axis last and pass "columns"`,
        );
      }
    },
  };
}
