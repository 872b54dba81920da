/** Attention: a mean of values, weighted by how well their keys fit a query. */

import { showShape } from "../errors.ts";
import { iota, type Value } from "../trace/value.ts";
import { glorotUniform, type Initializer, zeros } from "./initializers.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { softmax } from "./losses.ts";
import { requireCount } from "./options.ts";

export interface AttentionOptions {
  /** Place t sees places up to t only; default false. */
  readonly causal?: boolean;
  /** Bool, broadcast to [batch, heads, queries, keys]: true where a query may see a key. */
  readonly mask?: Value;
}

/**
 * softmax(Q Kᵀ / √d) V over [batch, length, heads, d].
 *
 * A query that may see nothing attends to every key alike.
 *
 * @see Vaswani et al. 2017, equation 1, https://arxiv.org/abs/1706.03762
 */
export function attention(
  query: Value,
  key: Value,
  value: Value,
  { causal = false, mask }: AttentionOptions = {},
): Value {
  const [, length = 1, , size = 1] = query.shape;
  if (query.shape.length !== 4 || key.shape.join() !== value.shape.join()) {
    throw new TypeError(
      `attention: query, key and value must be [batch, length, heads, size], got ${[query, key, value].map(({ shape }) => showShape(shape)).join(", ")}`,
    );
  }
  const heads = (x: Value): Value => x.transpose([0, 2, 1, 3]);
  const scores = heads(query)
    .mul(1 / Math.sqrt(size))
    .matmul(key.transpose([0, 2, 3, 1]));
  const hide = (visible: Value, from: Value): Value => visible.select(from, HIDDEN);
  const [rows, columns] = [iota(length).reshape([length, 1]), iota(key.shape[1] ?? 1)];
  const ordered = causal ? hide(columns.lessEqual(rows), scores) : scores;
  const masked = mask === undefined ? ordered : hide(mask, ordered);
  return heads(softmax(masked).matmul(heads(value)));
}

/** Finite, so that a row of nothing else is a mean and not 0 / 0. */
const HIDDEN = -1e9;

export interface MultiHeadAttentionOptions {
  /** Must divide the size of the input's last axis. */
  readonly heads: number;
  readonly causal?: boolean;
  /** Add biases; default true. */
  readonly bias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInit?: Initializer;
}

/**
 * Self-attention with several heads: [length, size] to the same.
 *
 *     y = concat_h(attention(x W_q, x W_k, x W_v)_h) W_o + b_o
 *
 * Parameters: `qkv/kernel` [size, 3 size], `qkv/bias`, `out/kernel` [size, size], `out/bias`.
 *
 * @see Vaswani et al. 2017, section 3.2.2, https://arxiv.org/abs/1706.03762
 */
export function multiHeadAttention(options: MultiHeadAttentionOptions): Layer {
  const { heads, causal = false, bias = true, kernelInit = glorotUniform } = options;
  requireCount("multiHeadAttention", "heads", heads);
  const sizeOf = (inputShape: readonly number[]): number => {
    const size = inputShape.at(-1) ?? 1;
    if (inputShape.length !== 2 || size % heads !== 0) {
      throw new RangeError(
        `multiHeadAttention: input must have shape [batch, length, a multiple of ${heads} heads], got [batch, ${inputShape.join(", ")}]`,
      );
    }
    return size;
  };
  return defineLayer({
    kind: "multiHeadAttention",
    params: (inputShape) => {
      const size = sizeOf(inputShape);
      const fans = { in: size, out: size };
      const biases = {
        "qkv/bias": { shape: [3 * size], init: zeros },
        "out/bias": { shape: [size], init: zeros },
      };
      return {
        "qkv/kernel": { shape: [size, 3 * size], init: kernelInit, fans },
        "out/kernel": { shape: [size, size], init: kernelInit, fans },
        ...(bias ? biases : {}),
      };
    },
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const [batch = 1, length = 1] = x.shape;
      const size = sizeOf(x.shape.slice(1));
      const linear = (name: string, value: Value): Value => {
        const product = value.matmul(scope.param(`${name}/kernel`));
        return bias ? product.add(scope.param(`${name}/bias`)) : product;
      };
      // As one matrix of all places: one product instead of one a sample.
      const rows = x.reshape([batch * length, size]);
      const parts = linear("qkv", rows)
        .reshape([batch, length, 3, heads, size / heads])
        .split(3, 2);
      const [query, key, value] = parts.map((part) =>
        part.reshape([batch, length, heads, size / heads]),
      ) as [Value, Value, Value];
      const mixed = attention(query, key, value, { causal });
      return linear("out", mixed.reshape([batch * length, size])).reshape(x.shape);
    },
  });
}
