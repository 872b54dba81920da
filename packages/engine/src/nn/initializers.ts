/** Initial values of parameters, drawn from a seeded generator. */

import { type Random, sizeOf } from "@adastra/core";

/** Fills an array for a leaf of `shape`. */
export type Initializer = (random: Random, shape: readonly number[]) => Float32Array;

/**
 * Uniform in [-a, a) with a = √(6 / (fanIn + fanOut)), for kernels of shape [..., in, out].
 *
 * Keeps the variance of activations and gradients equal through linear and tanh layers.
 * @see Glorot & Bengio 2010, eq. 16, https://proceedings.mlr.press/v9/glorot10a.html
 */
export const glorotUniform: Initializer = (random, shape) => {
  const [fanIn, fanOut] = fans(shape);
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  return fill(shape, () => limit * (2 * random.next() - 1));
};

/**
 * Normal with mean 0 and variance 2 / fanIn, for kernels of shape [..., in, out] before a rectifier.
 *
 * @see He et al. 2015, eq. 10, https://arxiv.org/abs/1502.01852
 */
export const heNormal: Initializer = (random, shape) => {
  const [fanIn] = fans(shape);
  const deviation = Math.sqrt(2 / fanIn);
  return fill(shape, () => deviation * random.normal());
};

export const zeros: Initializer = (_, shape) => new Float32Array(sizeOf(shape));

function fill(shape: readonly number[], draw: () => number): Float32Array {
  return new Float32Array(sizeOf(shape)).map(draw);
}

/** Inputs and outputs of one unit: the last two axes, times the receptive field before them. */
function fans(shape: readonly number[]): [number, number] {
  const [fanIn = 1, fanOut = fanIn] = shape.slice(-2);
  const field = sizeOf(shape.slice(0, -2));
  return [fanIn * field, fanOut * field];
}
