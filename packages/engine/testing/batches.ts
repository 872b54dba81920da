/** Small batches for tests, the same for the same seed. */

import { type Leaf, mulberry32, sizeOf } from "@adastra/core";

/** Standard normal numbers, the same for the same seed. */
export function normal(seed: number, shape: readonly number[]): Leaf<Float32Array> {
  const random = mulberry32(seed);
  return { shape, data: new Float32Array(sizeOf(shape)).map(() => random.normal()) };
}

export function labels(
  seed: number,
  count: number,
  classes: number,
): { shape: number[]; data: Int32Array } {
  const random = mulberry32(seed);
  return { shape: [count], data: new Int32Array(count).map(() => random.integer(classes)) };
}

export function oneHot(
  { data }: { readonly data: Int32Array },
  classes: number,
): Leaf<Float32Array> {
  const hot = new Float32Array(data.length * classes);
  data.forEach((label, row) => {
    hot[row * classes + label] = 1;
  });
  return { shape: [data.length, classes], data: hot };
}
