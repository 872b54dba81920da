/** Activation functions on values. */

import type { Value } from "../trace/value.ts";

/**
 * Rectifier: x where x > 0, else 0; NaN stays NaN.
 *
 * The gradient at exactly 0 is 0, as in PyTorch and TensorFlow; jax-js's own `relu` passes 1.
 */
export function relu(x: Value): Value {
  return x.lessEqual(0).select(0, x);
}

/**
 * Gaussian error linear unit: x Φ(x) = x (1 + erf(x / √2)) / 2, PyTorch's default form.
 *
 * @see Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415
 */
export function gelu(x: Value): Value {
  return x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5);
}
