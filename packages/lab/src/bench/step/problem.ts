/** What every contestant starts from and is fed: the same parameters, the same gradients in turn. */

import { product, type StepSize } from "./sizes.ts";

export interface Tensor {
  readonly path: string;
  readonly shape: readonly number[];
  /** Its numbers in the flat arrays. */
  readonly begin: number;
  readonly end: number;
}

export interface StepProblem {
  readonly size: StepSize;
  readonly tensors: readonly Tensor[];
  /** p = sin i, over all tensors in turn. */
  readonly start: Float32Array;
  /** gₖ = 0.1·cos(7i + k), k = 1, 2, 3: one repeated gradient would flatter. */
  readonly gradients: readonly [Float32Array, Float32Array, Float32Array];
}

export const LEARNING_RATE = 1e-3;

export function createProblem(size: StepSize): StepProblem {
  const count = size.parameters;
  const gradient = (k: number): Float32Array => fill(count, (i) => 0.1 * Math.cos(7 * i + k));
  return {
    size,
    tensors: tensorsOf(size),
    start: fill(count, Math.sin),
    gradients: [gradient(1), gradient(2), gradient(3)],
  };
}

/** One tensor after the other. */
export function tensorsOf({ shapes }: StepSize): readonly Tensor[] {
  let at = 0;
  return shapes.map((shape, i) => {
    const begin = at;
    at += product(shape);
    return { path: `x${i}`, shape, begin, end: at };
  });
}

function fill(length: number, value: (i: number) => number): Float32Array {
  const array = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    array[i] = value(i);
  }
  return array;
}

/** Gradient number `k`, from 0; they come in turn. */
export function gradientOf({ gradients }: StepProblem, k: number): Float32Array {
  return gradients[k % gradients.length] as Float32Array;
}

/** Every `stride`-th number, so that at least a thousand are compared where there are as many. */
export function strideOf({ size }: StepProblem): number {
  return Math.max(1, Math.floor(size.parameters / 1000));
}

export function every(stride: number, values: ArrayLike<number>): Float32Array {
  return Float32Array.from(
    { length: Math.ceil(values.length / stride) },
    (_, i) => values[i * stride] as number,
  );
}
