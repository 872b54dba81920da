/** Arrays for tests, and comparisons that say where they fail. */

import type { Leaves } from "@adastra/core";
import { expect } from "vitest";
import { type BatchArrays, compile, type LossResult, type Traced } from "../src/index.ts";

export type Float32Leaves = Leaves<Float32Array>;

export function zerosLike(leaves: Leaves): Float32Leaves {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { shape, data }]) => [
      path,
      { shape, data: new Float32Array(data.length) },
    ]),
  );
}

/**
 * Largest difference as a share of the largest expected magnitude, or of `terms`, the magnitude of the numbers
 * that were summed, where every sum may cancel.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "array",
  terms = 1e-30,
): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  const scale = Math.max(terms, ...Array.from(expected, (value) => Math.abs(value)));
  for (let i = 0; i < expected.length; i++) {
    const [got, want] = [actual[i]!, expected[i]!];
    const error = Object.is(got, want) ? 0 : Math.abs(got - want) / scale;
    if (!(error <= tolerance)) {
      expect.fail(`${what}[${i}]: ${got} differs from ${want} by ${error} of the scale`);
    }
  }
}

export interface GradientOutcome {
  readonly loss: number;
  readonly aux: Readonly<Record<string, ArrayLike<number>>>;
  readonly gradients: Float32Leaves;
}

/** Loss, aux and gradients of one batch on one backend. */
export async function gradientsOn<B extends BatchArrays>(
  backend: "cpu" | "jax",
  loss: (params: Traced<Float32Leaves>, batch: Traced<B>) => LossResult,
  params: Float32Leaves,
  batch: B,
): Promise<GradientOutcome> {
  const compiled = await compile(loss, { params, example: batch, backend });
  const gradients = zerosLike(params);
  const result = await compiled.run(batch, params, gradients);
  await compiled.dispose();
  return { ...result, gradients };
}

/** Both backends agree on a loss and all its gradients; returns the CPU's. */
export async function expectBackendsAgree<B extends BatchArrays>(
  loss: (params: Traced<Float32Leaves>, batch: Traced<B>) => LossResult,
  params: Float32Leaves,
  batch: B,
): Promise<GradientOutcome> {
  const cpu = await gradientsOn("cpu", loss, params, batch);
  const jax = await gradientsOn("jax", loss, params, batch);
  // Both compute in float32; sums of at most some hundred terms in different orders.
  const tolerance = 1e-5;
  expectClose([cpu.loss], [jax.loss], tolerance, "loss");
  for (const [path, { data }] of Object.entries(jax.gradients)) {
    expectClose(cpu.gradients[path]!.data, data, tolerance, path);
  }
  return cpu;
}
