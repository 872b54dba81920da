/** Dropout, its masks drawn inside the graph from a count that the layer keeps. */

import type { Random } from "@adastra/core";
import { concat, full, randomBits } from "../trace/value.ts";
import type { Initializer } from "./initializers.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { requireRate } from "./options.ts";

/** Integers below this are exact in float32. */
const EXACT = 2 ** 24;

/** A seed, and how many masks were drawn. */
const seedAndCount: Initializer = (random: Random) => Float32Array.of(random.integer(EXACT), 0);

/**
 * While training, zero with probability `rate`, else x / (1 − rate); x itself in evaluation.
 *
 * State: `draws` [2], a seed and the number of masks so far; the mask is Threefry's bits under that key, so a
 * resumed run draws what an unbroken one would. The count starts again after 2²⁴ steps.
 *
 * @param rate - In [0, 1).
 * @see Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html
 */
export function dropout(rate: number): Layer {
  requireRate("dropout", "rate", rate);
  return defineLayer({
    kind: "dropout",
    params: () => ({}),
    state: () => ({ draws: { shape: [2], init: seedAndCount } }),
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      if (!scope.training || rate === 0) {
        return x;
      }
      const draws = scope.state("draws");
      const bits = randomBits(draws.cast("uint32"), x.shape);
      const next = draws.slice(0, 1, 2).add(1);
      const wrapped = next.less(EXACT).select(next, full([1], 0));
      scope.keep("draws", concat([draws.slice(0, 0, 1), wrapped], 0));
      return bits
        .cast("float32")
        .less(rate * 2 ** 32)
        .select(0, x.mul(1 / (1 - rate)));
    },
  });
}
