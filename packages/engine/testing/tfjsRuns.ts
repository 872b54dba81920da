/** Optimizers on variables of TensorFlow.js for tests, and what core makes of the same gradients. */

import {
  type Changes,
  compileOptimizer,
  mulberry32,
  type Optimizer,
  type Random,
} from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { type NamedTensor, type TfOptimizer, type TfOptions, toTf } from "../src/tfjs/index.ts";

export const SHAPES: readonly (readonly number[])[] = [[], [3], [4, 5], [8]];

/** An optimizer on variables of its own, and the gradients of its steps: noise around a parabola. */
export class Run {
  readonly variables: tf.Variable[];
  readonly random: Random = mulberry32(3);
  optimizer: TfOptimizer;

  constructor(optimizer: Optimizer, options: TfOptions, shapes = SHAPES, prefix = "w") {
    this.variables = shapes.map((shape, i) =>
      tf.tidy(() => tf.variable(tf.tensor(startOf(shape, i), [...shape]), true, `${prefix}${i}`)),
    );
    this.optimizer = toTf(optimizer, options);
  }

  steps(count: number): void {
    for (let t = 0; t < count; t++) {
      const gradients = gradientsOf(this.variables, this.random);
      this.optimizer.applyGradients(gradients);
      tf.dispose(gradients.map(({ tensor }) => tensor));
    }
  }

  values(): number[][] {
    return this.variables.map((variable) => Array.from(variable.dataSync()));
  }
}

function startOf(shape: readonly number[], i: number): Float32Array {
  const random = mulberry32(100 + i);
  return Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => random.normal());
}

export function gradientsOf(variables: readonly tf.Variable[], random: Random): NamedTensor[] {
  return variables.map((variable) => ({
    name: variable.name,
    tensor: tf.tensor(
      (variable.dataSync() as Float32Array).map((x) => x + random.normal()),
      variable.shape,
    ),
  }));
}

/** The state of `Run`'s generator after so many steps. */
export function skip(steps: number): number {
  const random = mulberry32(3);
  const numbers = SHAPES.reduce((sum, shape) => sum + tf.util.sizeFromShape([...shape]), 0);
  for (let i = 0; i < steps * numbers; i++) {
    random.normal();
  }
  return random.save();
}

export function compile(
  optimizer: Optimizer,
  learningRate: TfOptions["learningRate"],
  hyperparameters: Changes = {},
  shapes = SHAPES,
) {
  const params = shapes.map((shape, i) => [`w${i}`, { shape, data: startOf(shape, i) }] as const);
  return compileOptimizer(optimizer, {
    params: Object.fromEntries(params),
    learningRate,
    hyperparameters,
  });
}

export function valuesOf(compiled: ReturnType<typeof compile>): number[][] {
  return Object.values(compiled.params).map(({ data }) => Array.from(data));
}

export function compiledSteps(
  optimizer: Optimizer,
  learningRate: TfOptions["learningRate"],
  steps: number,
  shapes = SHAPES,
): number[][] {
  const compiled = compile(optimizer, learningRate, {}, shapes);
  const random = mulberry32(3);
  for (let t = 0; t < steps; t++) {
    compiled.step(gradientsFor(compiled, random));
  }
  return valuesOf(compiled);
}

export function gradientsFor(compiled: ReturnType<typeof compile>, random: Random) {
  const gradients = Object.entries(compiled.params).map(
    ([name, { data }]) => [name, data.map((x) => x + random.normal())] as const,
  );
  return Object.fromEntries(gradients);
}

export function bits(values: unknown): string {
  return JSON.stringify(values, (_, x) => (Object.is(x, -0) ? "-0" : x) as unknown);
}

/**
 * Held to core's float32: the same formulas, but sums and what is one number a tensor are in float32 here and in
 * float64 there. A few units in the last place (6e-8), which the parabola does not amplify; 2.4e-7 was the most found.
 */
const TOLERANCE = 1e-6;

export function expectClose(got: number[][], expected: number[][]): void {
  expected.forEach((leaf, i) => {
    leaf.forEach((x, j) => {
      const difference = Math.abs((got[i]?.[j] as number) - x) / Math.max(1, Math.abs(x));
      expect(difference, `leaf ${i}, element ${j}: ${got[i]?.[j]}, not ${x}`).toBeLessThan(
        TOLERANCE,
      );
    });
  });
}

/** What these tests read of the `wasm` backend. */
export function wasmBackend() {
  return tf.backend() as tf.KernelBackend & {
    typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array;
    wasm: { asm: object; readonly HEAPU8: Uint8Array };
  };
}
