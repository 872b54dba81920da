/**
 * Steps by core's compiled optimizer over copies, for memory that a program can reach and must not write: that of `cpu`,
 * and the heap of `wasm` where threads share it.
 *
 * Parameters and gradients of a step are copied into the optimizer's arena, and the new parameters into new data
 * of the variables. On `cpu` a write where they lie would be wrong: clones, what `dataSync` gave and the array that a
 * tensor was made from are the data itself.
 */

import {
  type Changes,
  type CompiledOptimizer,
  compileOptimizer,
  type Schedule,
} from "@adastra/core";
import type { Optimizer } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import type { OnNonFinite, StepNumbers, Stepper } from "./stepper.ts";

/** Backends of TensorFlow.js whose tensors are arrays of this process. */
export const KERNEL_BACKENDS: readonly string[] = ["wasm", "cpu"];

export function kernelsStepper(
  optimizer: Optimizer,
  variables: ReadonlyMap<string, tf.Variable>,
  first: StepNumbers,
  nonFinite: OnNonFinite,
): Stepper {
  const { learningRate, hyperparameters, use } = scheduled(first);
  const compiled = compileOptimizer(optimizer, {
    params: Object.fromEntries(
      [...variables].map(([name, variable]) => [
        name,
        { shape: [...variable.shape], data: dataOf(variable) },
      ]),
    ),
    learningRate,
    hyperparameters,
    nonFinite,
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
    step(gradients, numbers) {
      use(numbers);
      read(gradients.keys());
      const { status } = compiled.step(
        Object.fromEntries([...gradients].map(([name, tensor]) => [name, dataOf(tensor)])),
      );
      if (status !== "skipped") {
        write(gradients.keys());
      }
      return status;
    },
    evaluationParams(numbers) {
      use(numbers);
      read(variables.keys());
      return Object.fromEntries(
        Object.entries(compiled.evaluationParams()).map(([name, { shape, data }]) => [
          name,
          tf.tensor(data, [...shape] as tf.Tensor["shape"]),
        ]),
      );
    },
    save: async (numbers) => {
      use(numbers);
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

/** Numbers that are given anew for each call, as schedules that core's optimizers ask. */
export function scheduled(first: StepNumbers): {
  readonly learningRate: Schedule;
  readonly hyperparameters: Changes;
  readonly use: (numbers: StepNumbers) => void;
} {
  let numbers = first;
  const { lr: _, ...others } = first;
  return {
    learningRate: () => numbers.lr as number,
    hyperparameters: Object.fromEntries(
      Object.keys(others).map((key) => [key, () => numbers[key] as number]),
    ),
    use: (next) => {
      numbers = next;
    },
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
