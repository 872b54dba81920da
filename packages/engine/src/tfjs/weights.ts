/**
 * State as named tensors, the form in which TensorFlow.js writes optimizers into model files.
 *
 *     @numbers               int32: calls taken of the step to come, hyperparameters, state of all variables
 *     <variable>/@count      int32 scalar: steps that the variable took part in
 *     <variable>/<key>       float32, shaped as the variable; of a history, oldest first, <key>/0, <key>/1, …
 *     <variable>/@numbers    int32: state that is one number a tensor, row or column, and queues
 *
 * Numbers in int32 are float64 in two words each.
 * Parameters are left out: they are the model's.
 */

import type { LeafState, NumericArray, OptimizerState } from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";

/** Ends the name of a variable's step number. */
export const COUNT = "/@count";

const NUMBERS = "@numbers";

export interface NamedTensor {
  name: string;
  tensor: tf.Tensor;
}

/** New tensors, the caller's to dispose of. */
export function weightsOf({
  phase,
  hyperparameters,
  global,
  leaves,
}: OptimizerState): NamedTensor[] {
  const shared = [phase, ...Object.values(hyperparameters), ...Object.values(global)];
  const own = Object.entries(leaves).flatMap(([name, leaf]) => {
    const arrays = Object.entries(leaf.arrays).flatMap(([key, steps]) =>
      steps.map((data, i) => ({
        name: steps.length === 1 ? `${name}/${key}` : `${name}/${key}/${i}`,
        tensor: tf.tensor(Float32Array.from(data), [...leaf.shape] as tf.Tensor["shape"]),
      })),
    );
    const vectors = Object.values(leaf.vectors).map((values) => Array.from(values));
    const numbers = [...Object.values(leaf.tensor), ...vectors.flat(), ...leaf.queues.flat()];
    const words = numbers.length === 0 ? [] : [wordsOf(numbers)];
    return [
      { name: `${name}${COUNT}`, tensor: tf.scalar(leaf.count, "int32") },
      ...arrays,
      ...words.map((tensor) => ({ name: `${name}/${NUMBERS}`, tensor })),
    ];
  });
  return [...own, { name: NUMBERS, tensor: wordsOf(shared) }];
}

function wordsOf(numbers: readonly number[]): tf.Tensor {
  return tf.tensor1d(new Int32Array(Float64Array.from(numbers).buffer), "int32");
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
  /** The next `length` numbers of a weight. */
  const numbersOf = async (name: string, length: number): Promise<(count: number) => number[]> => {
    const words = length === 0 ? [] : await read(name, 2 * length, "int32");
    const numbers = Array.from(new Float64Array(Int32Array.from(words).buffer));
    return (next) => numbers.splice(0, next);
  };
  const record = (keys: readonly string[], values: readonly number[]): Record<string, number> =>
    Object.fromEntries(keys.map((key, i) => [key, values[i] as number]));

  const keys = {
    hyperparameters: Object.keys(like.hyperparameters),
    global: Object.keys(like.global),
  };
  const leaves: Record<string, LeafState> = {};
  for (const [name, leaf] of Object.entries(like.leaves)) {
    const tensorKeys = Object.keys(leaf.tensor);
    const vectors = Object.entries(leaf.vectors);
    const lengths = [...vectors.map(([, { length }]) => length), leaf.queues.flat().length];
    const length = lengths.reduce((sum, each) => sum + each, tensorKeys.length);
    const numbers = await numbersOf(`${name}/${NUMBERS}`, length);
    const arrays: Record<string, NumericArray[]> = {};
    for (const [key, steps] of Object.entries(leaf.arrays)) {
      const names = steps.map((_, i) =>
        steps.length === 1 ? `${name}/${key}` : `${name}/${key}/${i}`,
      );
      const data = names.map((each) => read(each, leaf.params.length, "float32"));
      arrays[key] = (await Promise.all(data)).map((values) => Float32Array.from(values));
    }
    leaves[name] = {
      ...leaf,
      count: (await read(`${name}${COUNT}`, 1, "int32"))[0] as number,
      arrays,
      tensor: record(tensorKeys, numbers(tensorKeys.length)),
      vectors: Object.fromEntries(
        vectors.map(([key, values]) => [key, Float64Array.from(numbers(values.length))]),
      ),
      queues: leaf.queues.map((queue) => numbers(queue.length)),
    };
  }
  const shared = await numbersOf(NUMBERS, 1 + keys.hyperparameters.length + keys.global.length);
  const [phase] = shared(1) as [number];
  return {
    ...like,
    count,
    phase,
    hyperparameters: record(keys.hyperparameters, shared(keys.hyperparameters.length)),
    global: record(keys.global, shared(keys.global.length)),
    leaves,
  };
}
