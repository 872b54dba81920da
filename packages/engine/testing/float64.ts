/** Dense networks in plain float64 loops: the independent reference that gradients are checked against. */

import { type Leaves, mulberry32 } from "@adastra/core";
import { expect } from "vitest";

/** A matrix by rows. */
export type Rows = readonly (readonly number[])[];

/** Parameters by path, row-major. */
export type Weights = Readonly<Record<string, Float64Array>>;

export function rows(shape: readonly number[], data: ArrayLike<number>): number[][] {
  const [count = 1] = shape;
  const width = data.length / count;
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length: width }, (_, column) => data[row * width + column]!),
  );
}

export function dense(x: Rows, kernel: Float64Array, bias: Float64Array | undefined): number[][] {
  const inputs = x[0]!.length;
  const units = kernel.length / inputs;
  return x.map((row) =>
    Array.from({ length: units }, (_, unit) =>
      row.reduce((sum, value, i) => sum + value * kernel[i * units + unit]!, bias?.[unit] ?? 0),
    ),
  );
}

export const relu = (x: number): number => Math.max(x, 0);

export const gelu = (x: number): number => (x * (1 + erf(x / Math.SQRT2))) / 2;

export function map(x: Rows, f: (value: number) => number): number[][] {
  return x.map((row) => row.map(f));
}

/** Mean cross-entropy of rows of logits against rows of probabilities. */
export function crossEntropy(logits: Rows, probabilities: Rows): number {
  const losses = logits.map((row, i) => {
    const top = Math.max(...row);
    const logSum = top + Math.log(row.reduce((sum, z) => sum + Math.exp(z - top), 0));
    return row.reduce((sum, z, j) => sum + probabilities[i]![j]! * (logSum - z), 0);
  });
  return mean(losses);
}

export function meanSquaredError(prediction: Rows, target: Rows): number {
  return mean(prediction.flatMap((row, i) => row.map((value, j) => (value - target[i]![j]!) ** 2)));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Maclaurin series of erf; below 4 in magnitude its terms stay small enough for 1e-10. */
export function erf(x: number): number {
  let [sum, term] = [0, x];
  for (let n = 0; Math.abs(term) > 1e-18; n++) {
    sum += term / (2 * n + 1);
    term *= -(x * x) / (n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/**
 * Compares gradients with central differences of `loss` along fixed directions.
 *
 * The step along direction d is sᵢ = ∛u max(1, |xᵢ|) dᵢ with u = 2⁻⁵³: truncation error u^(2/3) and
 * rounding error u / ∛u are then both about 1e-10 of the loss.
 */
export function expectMatchesDifferences(
  loss: (weights: Weights) => number,
  params: Leaves<Float32Array>,
  gradients: Leaves<Float32Array>,
): void {
  const paths = Object.keys(params);
  for (const seed of [101, 102, 103]) {
    const random = mulberry32(seed);
    const steps = paths.map((path) =>
      Float64Array.from(
        params[path]!.data,
        (x) => 2 ** (-53 / 3) * Math.max(1, Math.abs(x)) * random.normal(),
      ),
    );
    const shifted = (sign: number): Weights =>
      Object.fromEntries(
        paths.map((path, i) => [
          path,
          Float64Array.from(params[path]!.data, (x, j) => x + sign * steps[i]![j]!),
        ]),
      );
    const difference = (loss(shifted(1)) - loss(shifted(-1))) / 2;
    const products = paths.flatMap((path, i) =>
      Array.from(gradients[path]!.data, (g, j) => g * steps[i]![j]!),
    );
    const predicted = products.reduce((sum, product) => sum + product, 0);
    const magnitude = Math.sqrt(products.reduce((sum, product) => sum + product * product, 0));
    // Gradients are float32: each element carries a few ULP (6e-8) of its own largest partial sum.
    const tolerance = 1e-5;
    expect(
      Math.abs(predicted - difference) / magnitude,
      `direction ${seed}: gradient predicts ${predicted}, differences show ${difference}`,
    ).toBeLessThan(tolerance);
  }
}
