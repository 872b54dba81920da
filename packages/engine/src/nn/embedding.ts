/** Tables of vectors. */

import { type Initializer, normal } from "./initializers.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { requireCount } from "./options.ts";

export interface EmbeddingOptions {
  /** Default normal with deviation 1, as PyTorch's. */
  readonly init?: Initializer;
}

/**
 * Row x of a table for each int32 x in [0, count): [...] to [..., size].
 *
 * Parameters: `table` [count, size].
 */
export function embedding(count: number, size: number, options: EmbeddingOptions = {}): Layer {
  requireCount("embedding", "count", count);
  requireCount("embedding", "size", size);
  const { init = normal(1) } = options;
  return defineLayer({
    kind: "embedding",
    params: () => ({ table: { shape: [count, size], init, fans: { in: count, out: size } } }),
    outputShape: (inputShape) => [...inputShape, size],
    forward: (scope, x) => {
      if (x.dtype !== "int32") {
        throw new TypeError(`embedding: input must be int32, got ${x.dtype}`);
      }
      return scope.param("table").take(x);
    },
  });
}

/**
 * x + a table's first rows, one for each place: [length, size] with length at most `count`.
 *
 * Parameters: `table` [count, size].
 */
export function positionEmbedding(count: number, options: EmbeddingOptions = {}): Layer {
  requireCount("positionEmbedding", "count", count);
  const { init = normal(1) } = options;
  return defineLayer({
    kind: "positionEmbedding",
    params: ([, size = 1]) => ({
      table: { shape: [count, size], init, fans: { in: count, out: size } },
    }),
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const length = x.shape[1] ?? 1;
      if (length > count) {
        throw new RangeError(
          `positionEmbedding: input must be at most ${count} long, got ${length}`,
        );
      }
      return x.add(scope.param("table").slice(0, 0, length));
    },
  });
}
