/**
 * Steps by core's compiled optimizer, for the backends whose memory a program can reach: `wasm` and `cpu`.
 *
 * Parameters and gradients of a step are copied into the optimizer's arena, and the new parameters into new data
 * of the variables. A write where they lie would be wrong: kernels of the `wasm` backend cache what they make of a
 * weight under the number of its data (a matrix product then goes on with the old weights), clones share data, and
 * `dataSync` of the `cpu` backend hands out the data itself.
 */

import { type CompiledOptimizer, compileOptimizer } from "@adastra/core";
import type { Optimizer } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import type { Stepper } from "./stepper.ts";

/** Backends of TensorFlow.js whose tensors are arrays of this process. */
export const KERNEL_BACKENDS: readonly string[] = ["wasm", "cpu"];

export function kernelsStepper(
  optimizer: Optimizer,
  variables: ReadonlyMap<string, tf.Variable>,
): Stepper {
  let rate = 0;
  const compiled = compileOptimizer(optimizer, {
    params: Object.fromEntries(
      [...variables].map(([name, variable]) => [
        name,
        { shape: [...variable.shape], data: dataOf(variable) },
      ]),
    ),
    learningRate: () => rate,
  });
  const read = (names: Iterable<string>): void => {
    for (const name of names) {
      paramsOf(compiled, name).set(dataOf(variables.get(name) as tf.Variable));
    }
  };
  const write = (names: Iterable<string>): void => {
    tf.tidy(() => {
      for (const name of names) {
        const variable = variables.get(name) as tf.Variable;
        const data = paramsOf(compiled, name);
        // A heap takes a copy; the `cpu` backend keeps the array that it is given.
        const given = heapBackend().typedArrayFromHeap === undefined ? data.slice() : data;
        variable.assign(tf.tensor(given, variable.shape));
      }
    });
  };
  return {
    variables,
    step(gradients, learningRate) {
      rate = learningRate;
      read(gradients.keys());
      compiled.step(
        Object.fromEntries([...gradients].map(([name, tensor]) => [name, dataOf(tensor)])),
      );
      write(gradients.keys());
    },
    save: async () => {
      read(variables.keys());
      return compiled.save();
    },
    load(state) {
      compiled.load(state);
      write(variables.keys());
    },
    // The arena goes with the optimizer.
    dispose: () => undefined,
  };
}

function paramsOf(compiled: CompiledOptimizer<"float32">, name: string): Float32Array {
  return compiled.params[name]?.data as Float32Array; // compiled with this leaf
}

/** What the `wasm` backend offers beside the interface of all backends. */
interface HeapBackend {
  /** The tensor's data as a view of the heap, good until the heap grows. */
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
}

function heapBackend(): Partial<HeapBackend> {
  return tf.backend() as tf.KernelBackend & Partial<HeapBackend>;
}

/** A tensor's data, not to be written: a view of the heap where there is one, which saves a copy. */
function dataOf(tensor: tf.Tensor): Float32Array {
  return heapBackend().typedArrayFromHeap?.(tensor) ?? (tensor.dataSync() as Float32Array);
}
