/**
 * State as named tensors, the form in which TensorFlow.js writes optimizers into model files.
 *
 *     <variable>/@count      int32 scalar: steps that the variable took part in
 *     <variable>/<key>       float32, shaped as the variable; of a history, oldest first, <key>/0, <key>/1, …
 *     <variable>/@numbers    int32: per-tensor state and queues as float64, two words each
 *
 * Parameters are left out: they are the model's.
 */

import type { LeafState, NumericArray, OptimizerState } from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";

/** Ends the name of a variable's step number. */
export const COUNT = "/@count";

export interface NamedTensor {
  name: string;
  tensor: tf.Tensor;
}

/** New tensors, the caller's to dispose of. */
export function weightsOf({ leaves }: OptimizerState): NamedTensor[] {
  return Object.entries(leaves).flatMap(([name, leaf]) => {
    const arrays = Object.entries(leaf.arrays).flatMap(([key, steps]) =>
      steps.map((data, i) => ({
        name: steps.length === 1 ? `${name}/${key}` : `${name}/${key}/${i}`,
        tensor: tf.tensor(Float32Array.from(data), [...leaf.shape] as tf.Tensor["shape"]),
      })),
    );
    const numbers = Float64Array.of(...Object.values(leaf.tensor), ...leaf.queues.flat());
    const words =
      numbers.length === 0 ? [] : [tf.tensor1d(new Int32Array(numbers.buffer), "int32")];
    return [
      { name: `${name}${COUNT}`, tensor: tf.scalar(leaf.count, "int32") },
      ...arrays,
      ...words.map((tensor) => ({ name: `${name}/@numbers`, tensor })),
    ];
  });
}

/**
 * State of the form of `like`, with the numbers of `weights` and the parameters of `like`.
 *
 * @throws TypeError for weights of another form.
 */
export async function stateOf(
  weights: readonly NamedTensor[],
  count: number,
  like: OptimizerState,
): Promise<OptimizerState> {
  const byName = new Map(weights.map(({ name, tensor }) => [name, tensor]));
  const read = async (name: string, length: number, dtype: string): Promise<ArrayLike<number>> => {
    const tensor = byName.get(name);
    if (tensor === undefined || tensor.size !== length || tensor.dtype !== dtype) {
      const got =
        tensor === undefined ? "none" : `${tensor.dtype} of shape [${tensor.shape.join(", ")}]`;
      throw new TypeError(
        `setWeights: weights must hold "${name}", ${length} ${dtype} numbers, got ${got}; pass what getWeights gave, under the same variables`,
      );
    }
    return tensor.data();
  };
  const leaves: Record<string, LeafState> = {};
  for (const [name, leaf] of Object.entries(like.leaves)) {
    const keys = Object.keys(leaf.tensor);
    const length = keys.length + leaf.queues.flat().length;
    const words = length === 0 ? [] : await read(`${name}/@numbers`, 2 * length, "int32");
    const numbers = Array.from(new Float64Array(Int32Array.from(words).buffer));
    const arrays: Record<string, NumericArray[]> = {};
    for (const [key, steps] of Object.entries(leaf.arrays)) {
      const names = steps.map((_, i) =>
        steps.length === 1 ? `${name}/${key}` : `${name}/${key}/${i}`,
      );
      const data = names.map((each) => read(each, leaf.params.length, "float32"));
      arrays[key] = (await Promise.all(data)).map((values) => Float32Array.from(values));
    }
    let at = keys.length;
    leaves[name] = {
      ...leaf,
      count: (await read(`${name}${COUNT}`, 1, "int32"))[0] as number,
      arrays,
      tensor: Object.fromEntries(keys.map((key, i) => [key, numbers[i] as number])),
      queues: leaf.queues.map((queue) => numbers.slice(at, (at += queue.length))),
    };
  }
  return { ...like, count, leaves };
}
