/** Gradients by central differences in float64: jax-js's interpreter runs the traced function on numbers. */

import { type Leaves, mulberry32 } from "@adastra/core";
import { defaultDevice, init, type Array as JaxArray, numpy as np } from "@jax-js/jax";
import { expect } from "vitest";
import type { BatchArrays, LossResult, Traced } from "../src/index.ts";
import { Mode } from "../src/trace/mode.ts";
import { Value } from "../src/trace/value.ts";
import type { Float32Leaves } from "./arrays.ts";

/** Leaves, or arrays of a batch. */
type Arrays = Readonly<
  Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>
>;

type Loss<B> = (params: Traced<Float32Leaves>, batch: Traced<B>, mode: Mode) => LossResult;

/** A step that keeps the truncation error of a function of size 1 near 1e-10, and its rounding too. */
const STEP = 1e-5;

// Node 20 lacks Float16Array, of which jax-js asks whether a float64 array is one.
(globalThis as { Float16Array?: unknown }).Float16Array ??= class {};

/** The loss in float64: exp, erf and their like by JavaScript's own Math. */
export async function lossInFloat64<B extends BatchArrays>(
  loss: Loss<B>,
  params: Leaves,
  batch: B,
  state: Leaves = {},
): Promise<number> {
  await init("cpu");
  const before = defaultDevice();
  defaultDevice("cpu");
  try {
    const values = (leaves: Arrays): Map<string, Value> =>
      new Map(
        Object.entries(leaves).map(([path, { shape, data }]) => [
          path,
          Value.own(
            data instanceof Int32Array
              ? np.array(data as Int32Array<ArrayBuffer>, { shape: [...shape] })
              : np.array(Array.from(data), { shape: [...shape], dtype: np.float64 }),
          ),
        ]),
      );
    const result = loss(
      Object.fromEntries(values(params)) as Traced<Float32Leaves>,
      Object.fromEntries(values(batch)) as unknown as Traced<B>, // the same keys
      new Mode(true, values(state)),
    );
    const scalar: JaxArray = Value.lend(result instanceof Value ? result : result[0]);
    return ((await scalar.data()) as Float64Array)[0]!;
  } finally {
    defaultDevice(before);
  }
}

/**
 * Gradients agree with central differences of the loss in float64, at `count` places of each leaf.
 *
 * @param tolerance - As a share of the largest difference of the leaf.
 */
export async function expectDifferences<B extends BatchArrays>(
  loss: Loss<B>,
  params: Float32Leaves,
  batch: B,
  gradients: Float32Leaves,
  { tolerance, count = 6, state = {} }: { tolerance: number; count?: number; state?: Leaves },
): Promise<void> {
  const random = mulberry32(7);
  const exact: Record<string, { shape: readonly number[]; data: Float64Array }> =
    Object.fromEntries(
      Object.entries(params).map(([path, { shape, data }]) => [
        path,
        { shape, data: Float64Array.from(data) },
      ]),
    );
  for (const [path, { data }] of Object.entries(exact)) {
    const places = Array.from({ length: count }, () => random.integer(data.length));
    const expected: number[] = [];
    for (const place of places) {
      const at = data[place]!;
      const shifted = async (by: number): Promise<number> => {
        data[place] = at + by;
        return lossInFloat64(loss, exact, batch, state);
      };
      expected.push(((await shifted(STEP)) - (await shifted(-STEP))) / (2 * STEP));
      data[place] = at;
    }
    const scale = Math.max(1e-6, ...expected.map(Math.abs));
    places.forEach((place, i) => {
      const error = Math.abs(gradients[path]!.data[place]! - expected[i]!) / scale;
      expect(
        error,
        `${path}[${place}]: ${gradients[path]!.data[place]} for ${expected[i]}`,
      ).toBeLessThan(tolerance);
    });
  }
}

/**
 * The gradient along one random direction over all leaves agrees with the central difference of the loss in
 * float64: two evaluations, whatever the model's size.
 *
 * @param tolerance - As a share of Σ |gᵢ dᵢ|.
 */
export async function expectDirectionalDifference<B extends BatchArrays>(
  loss: Loss<B>,
  params: Float32Leaves,
  batch: B,
  gradients: Float32Leaves,
  { tolerance, state = {} }: { tolerance: number; state?: Leaves },
): Promise<void> {
  const random = mulberry32(8);
  let [along, size] = [0, 0];
  const directions = Object.entries(params).map(([path, { shape, data }]) => {
    const direction = Float64Array.from(data, () => random.normal());
    direction.forEach((step, i) => {
      const share = step * gradients[path]!.data[i]!;
      along += share;
      size += Math.abs(share);
    });
    return { path, shape, data, direction };
  });
  const shifted = (by: number): Promise<number> =>
    lossInFloat64(
      loss,
      Object.fromEntries(
        directions.map(({ path, shape, data, direction }) => [
          path,
          { shape, data: Float64Array.from(data, (value, i) => value + by * direction[i]!) },
        ]),
      ),
      batch,
      state,
    );
  const expected = ((await shifted(STEP)) - (await shifted(-STEP))) / (2 * STEP);
  expect(Math.abs(along - expected) / size, `${along} for ${expected}`).toBeLessThan(tolerance);
}
