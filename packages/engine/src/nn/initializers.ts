/** Initial values of parameters, drawn from a seeded generator. */

import { type Random, sizeOf } from "@adastra/core";
import { requirePositive } from "./options.ts";

/** How many inputs one unit sums, and how many units one input feeds. */
export interface Fans {
  readonly in: number;
  readonly out: number;
}

/** Fills an array for a leaf of `shape`; `fans` as the layer counts them. */
export type Initializer = (random: Random, shape: readonly number[], fans: Fans) => Float32Array;

/**
 * Uniform in [-a, a) with a = √(6 / (fanIn + fanOut)), of all weights of a unit.
 *
 * Keeps the variance of activations and gradients equal through linear and tanh layers.
 * @see Glorot & Bengio 2010, eq. 16, https://proceedings.mlr.press/v9/glorot10a.html
 */
export const glorotUniform: Initializer = (random, shape, fans) => {
  const limit = Math.sqrt(6 / (fans.in + fans.out));
  return fill(shape, () => limit * (2 * random.next() - 1));
};

/**
 * Normal with mean 0 and variance 2 / fanIn, before a rectifier.
 *
 * @see He et al. 2015, eq. 10, https://arxiv.org/abs/1502.01852
 */
export const heNormal: Initializer = (random, shape, fans) => {
  const deviation = Math.sqrt(2 / fans.in);
  return fill(shape, () => deviation * random.normal());
};

export const zeros: Initializer = (_, shape) => new Float32Array(sizeOf(shape));

export const ones: Initializer = (_, shape) => new Float32Array(sizeOf(shape)).fill(1);

/** Uniform in [-limit, limit). */
export function uniform(limit: number): Initializer {
  requirePositive("uniform", "limit", limit);
  return (random, shape) => fill(shape, () => limit * (2 * random.next() - 1));
}

/** Normal with mean 0. */
export function normal(deviation: number): Initializer {
  requirePositive("normal", "deviation", deviation);
  return (random, shape) => fill(shape, () => deviation * random.normal());
}

/** Normal with mean 0, drawn again beyond two deviations; `deviation` is that before it is cut. */
export function truncatedNormal(deviation: number): Initializer {
  requirePositive("truncatedNormal", "deviation", deviation);
  return (random, shape) =>
    fill(shape, () => {
      for (;;) {
        const drawn = random.normal();
        if (Math.abs(drawn) <= 2) {
          return deviation * drawn;
        }
      }
    });
}

/**
 * A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`; the last axis is that
 * of columns. Orthonormalised by Gram-Schmidt, twice, in float64.
 *
 * @see Saxe et al. 2014, https://arxiv.org/abs/1312.6120
 */
export function orthogonal(gain = 1): Initializer {
  requirePositive("orthogonal", "gain", gain);
  return (random, shape) => {
    const columns = shape.at(-1) ?? 1;
    const rows = sizeOf(shape) / columns;
    const [count, length] = rows < columns ? [rows, columns] : [columns, rows];
    const vectors: Float64Array[] = [];
    while (vectors.length < count) {
      const vector = new Float64Array(length).map(() => random.normal());
      for (const known of [...vectors, ...vectors]) {
        const along = dot(vector, known);
        vector.forEach((value, i) => {
          vector[i] = value - along * (known[i] as number);
        });
      }
      const norm = Math.sqrt(dot(vector, vector));
      vectors.push(vector.map((value) => value / norm));
    }
    return Float32Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const [vector, at] = rows < columns ? [row, column] : [column, row];
      return gain * (vectors[vector]?.[at] as number);
    });
  };
}

/** The fans of a kernel [..., in, out]: the last two axes, times the receptive field before them. */
export function fansOf(shape: readonly number[]): Fans {
  const [fanIn = 1, fanOut = fanIn] = shape.slice(-2);
  const field = sizeOf(shape.slice(0, -2));
  return { in: fanIn * field, out: fanOut * field };
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function fill(shape: readonly number[], draw: () => number): Float32Array {
  return new Float32Array(sizeOf(shape)).map(draw);
}
