/**
 * Values: what a model and a loss compute with.
 *
 * A jax-js array is used up by the first operation that takes it unless the caller writes `.ref`.
 * A `Value` owns its array for as long as the trace lasts and lends every operation a reference,
 * so it may be used any number of times, or not at all. Nothing leaks: while tracing, an array is
 * a record of an operation and holds no memory.
 */

import { type Array as JaxArray, lax, numpy as np } from "@jax-js/jax";
import type { DType } from "./program.ts";

/** Index bounds that a batch input must keep, `0 <= element < bound`; found while tracing, checked by `run`. */
export type RequireBelow = (bound: number) => void;

export interface ReduceOptions {
  /** Axis or axes to reduce over, negative from the end; default all. */
  readonly axis?: number | readonly number[];
  /** Keep reduced axes with extent 1; default false. */
  readonly keepDims?: boolean;
}

/** An array of a traced computation; binary operations broadcast as NumPy's do. */
export class Value {
  readonly #array: JaxArray;
  readonly #requireBelow: RequireBelow | undefined;

  private constructor(array: JaxArray, requireBelow?: RequireBelow) {
    this.#array = array;
    this.#requireBelow = requireBelow;
  }

  /** @internal Takes over the caller's reference. */
  static own(array: JaxArray, requireBelow?: RequireBelow): Value {
    return new Value(array, requireBelow);
  }

  /** @internal A reference for one jax-js operation to use up; numbers pass through. */
  static lend(operand: Value): JaxArray;
  static lend(operand: Value | number): JaxArray | number;
  static lend(operand: Value | number): JaxArray | number {
    return typeof operand === "number" ? operand : operand.#array.ref;
  }

  /** @internal Has no effect on values that are computed. */
  static requireBelow(labels: Value, bound: number): void {
    labels.#requireBelow?.(bound);
  }

  get shape(): readonly number[] {
    return this.#array.shape;
  }

  get dtype(): DType {
    return this.#array.dtype as DType; // the engine creates no other
  }

  add(other: Value | number): Value {
    return Value.own(np.add(this.#array.ref, Value.lend(other)));
  }

  sub(other: Value | number): Value {
    return Value.own(np.subtract(this.#array.ref, Value.lend(other)));
  }

  mul(other: Value | number): Value {
    return Value.own(np.multiply(this.#array.ref, Value.lend(other)));
  }

  div(other: Value | number): Value {
    return Value.own(np.divide(this.#array.ref, Value.lend(other)));
  }

  neg(): Value {
    return Value.own(np.negative(this.#array.ref));
  }

  square(): Value {
    return this.mul(this);
  }

  sqrt(): Value {
    return Value.own(np.sqrt(this.#array.ref));
  }

  exp(): Value {
    return Value.own(np.exp(this.#array.ref));
  }

  log(): Value {
    return Value.own(np.log(this.#array.ref));
  }

  erf(): Value {
    return Value.own(lax.erf(this.#array.ref));
  }

  tanh(): Value {
    return Value.own(np.tanh(this.#array.ref));
  }

  /**
   * Rectifier: x where x > 0, else 0; NaN stays NaN.
   *
   * The gradient at exactly 0 is 0, as in PyTorch and TensorFlow; jax-js's own `relu` passes 1.
   */
  relu(): Value {
    return this.lessEqual(0).select(0, this);
  }

  /**
   * Gaussian error linear unit: x Φ(x) = x (1 + erf(x / √2)) / 2, PyTorch's default form.
   *
   * @see Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415
   */
  gelu(): Value {
    return this.mul(this.mul(Math.SQRT1_2).erf().add(1)).mul(0.5);
  }

  /** Elementwise maximum; where both are equal, the gradient goes to this operand. */
  maximum(other: Value | number): Value {
    return Value.own(np.maximum(this.#array.ref, Value.lend(other)));
  }

  equal(other: Value | number): Value {
    return Value.own(np.equal(this.#array.ref, Value.lend(other)));
  }

  lessEqual(other: Value | number): Value {
    return Value.own(np.lessEqual(this.#array.ref, Value.lend(other)));
  }

  /** `this` where true, elsewhere: `condition.select(a, b)` is a where condition holds, else b. */
  select(whenTrue: Value | number, whenFalse: Value | number): Value {
    return Value.own(np.where(this.#array.ref, Value.lend(whenTrue), Value.lend(whenFalse)));
  }

  /** Matrix product over the last axis of this and the last but one of `other`. */
  matmul(other: Value): Value {
    return Value.own(np.matmul(this.#array.ref, other.#array.ref));
  }

  sum(options: ReduceOptions = {}): Value {
    return Value.own(np.sum(this.#array.ref, axesOf(options), keep(options)));
  }

  mean(options: ReduceOptions = {}): Value {
    return Value.own(np.mean(this.#array.ref, axesOf(options), keep(options)));
  }

  max(options: ReduceOptions = {}): Value {
    return Value.own(np.max(this.#array.ref, axesOf(options), keep(options)));
  }

  min(options: ReduceOptions = {}): Value {
    return Value.own(np.min(this.#array.ref, axesOf(options), keep(options)));
  }

  reshape(shape: readonly number[]): Value {
    return Value.own(np.reshape(this.#array.ref, [...shape]));
  }

  transpose(permutation: readonly number[]): Value {
    return Value.own(np.transpose(this.#array.ref, [...permutation]));
  }

  cast(dtype: "float32" | "int32" | "bool"): Value {
    return Value.own(np.astype(this.#array.ref, np[dtype]));
  }

  /** The same numbers, through which no gradient flows. */
  stopGradient(): Value {
    return Value.own(lax.stopGradient(this.#array.ref));
  }
}

/** The integers 0 to `count` - 1 as int32. */
export function iota(count: number): Value {
  return Value.own(np.arange(count));
}

function axesOf({ axis }: ReduceOptions): number | number[] | null {
  return axis === undefined ? null : typeof axis === "number" ? axis : [...axis];
}

function keep({ keepDims = false }: ReduceOptions): { keepdims: boolean } {
  return { keepdims: keepDims };
}
