/**
 * Values: what a model and a loss compute with.
 *
 * A jax-js array is used up by the first operation that takes it unless the caller writes `.ref`.
 * A `Value` owns its array for as long as the trace lasts and lends every operation a reference,
 * so it may be used any number of times, or not at all. Nothing leaks: while tracing, an array is
 * a record of an operation and holds no memory.
 */

import { type Array as JaxArray, lax, numpy as np, random } from "@jax-js/jax";
import type { DType } from "./program.ts";

/** Index bounds that a batch input must keep, `0 <= element < bound`; found while tracing, checked by `run`. */
export type RequireBelow = (bound: number) => void;

export interface ReduceOptions {
  /** Axis or axes to reduce over, negative from the end; default all. */
  readonly axis?: number | readonly number[];
  /** Keep reduced axes with extent 1; default false. */
  readonly keepDims?: boolean;
}

/** Where the windows of a convolution or pooling lie; one number an axis, or one for all. */
export interface WindowOptions {
  /** Steps between windows; default 1. */
  readonly strides?: number | readonly number[];
  /**
   * Zeros around the input: `"same"` so that stride 1 keeps extents, `"valid"` none (default), one number
   * for all sides, or [before, after] for each axis.
   */
  readonly padding?: Padding;
  /** Steps between the elements of a window; default 1. */
  readonly dilation?: number | readonly number[];
}

export type Padding =
  | "same"
  | "valid"
  | number
  | readonly (readonly [before: number, after: number])[];

export interface ConvOptions extends WindowOptions {
  /** Groups of channels that are convolved apart; default 1. */
  readonly groups?: number;
  /** Steps between the elements of the input, with zeros in the gaps; default 1. More is a transposed convolution. */
  readonly inputDilation?: readonly number[];
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

  sin(): Value {
    return Value.own(np.sin(this.#array.ref));
  }

  cos(): Value {
    return Value.own(np.cos(this.#array.ref));
  }

  abs(): Value {
    return Value.own(np.abs(this.#array.ref));
  }

  /** The largest integer not above; no gradient flows. */
  floor(): Value {
    return Value.own(np.floor(this.#array.ref));
  }

  /** The smallest integer not below; no gradient flows. */
  ceil(): Value {
    return Value.own(np.ceil(this.#array.ref));
  }

  /** -1, 0 or 1; no gradient flows. */
  sign(): Value {
    return Value.own(np.sign(this.#array.ref));
  }

  /** 1 / (1 + exp(-x)). */
  sigmoid(): Value {
    return this.neg().exp().add(1).reciprocal();
  }

  reciprocal(): Value {
    return Value.own(np.reciprocal(this.#array.ref));
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

  /** Elementwise minimum; where both are equal, the gradient goes to this operand. */
  minimum(other: Value | number): Value {
    return Value.own(np.minimum(this.#array.ref, Value.lend(other)));
  }

  equal(other: Value | number): Value {
    return Value.own(np.equal(this.#array.ref, Value.lend(other)));
  }

  lessEqual(other: Value | number): Value {
    return Value.own(np.lessEqual(this.#array.ref, Value.lend(other)));
  }

  less(other: Value | number): Value {
    return Value.own(np.less(this.#array.ref, Value.lend(other)));
  }

  /** Of bools. */
  and(other: Value): Value {
    return Value.own(np.logicalAnd(this.#array.ref, other.#array.ref));
  }

  /** Of bools. */
  or(other: Value): Value {
    return Value.own(np.logicalOr(this.#array.ref, other.#array.ref));
  }

  /** Of bools. */
  not(): Value {
    return Value.own(np.logicalNot(this.#array.ref));
  }

  /** `this` where true, elsewhere: `condition.select(a, b)` is a where condition holds, else b. */
  select(whenTrue: Value | number, whenFalse: Value | number): Value {
    return Value.own(np.where(this.#array.ref, Value.lend(whenTrue), Value.lend(whenFalse)));
  }

  /** Matrix product over the last axis of this and the last but one of `other`. */
  matmul(other: Value): Value {
    const rank = Math.max(this.shape.length, other.shape.length);
    // jax-js 0.1.25 pairs leading axes from the front where the operands have different numbers of them.
    const sameRank = (x: Value): Value =>
      x.shape.length >= 2 && x.shape.length < rank && other.shape.length > 2
        ? x.reshape([...Array<number>(rank - x.shape.length).fill(1), ...x.shape])
        : x;
    const [a, b] = [sameRank(this), sameRank(other)];
    return Value.own(np.matmul(a.#array.ref, b.#array.ref));
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

  prod(options: ReduceOptions = {}): Value {
    return Value.own(np.prod(this.#array.ref, axesOf(options), keep(options)));
  }

  reshape(shape: readonly number[]): Value {
    return Value.own(np.reshape(this.#array.ref, [...shape]));
  }

  transpose(permutation: readonly number[]): Value {
    return Value.own(np.transpose(this.#array.ref, [...permutation]));
  }

  /** NumPy's broadcast to `shape`. */
  broadcastTo(shape: readonly number[]): Value {
    return Value.own(np.broadcastTo(this.#array.ref, [...shape]));
  }

  /** Elements from `start` up to before `end` along `axis`. */
  slice(axis: number, start: number, end: number): Value {
    const ranges = this.shape.map((_, i): [] | [number, number] =>
      i === wrap(axis, this.shape.length) ? [start, end] : [],
    );
    return Value.own(this.#array.ref.slice(...ranges));
  }

  /** In reverse along `axis`. */
  flip(axis: number): Value {
    return Value.own(np.flip(this.#array.ref, axis));
  }

  /** Parts of equal extent along `axis`. */
  split(count: number, axis: number): readonly Value[] {
    return np.split(this.#array.ref, count, axis).map((part) => Value.own(part));
  }

  /** Zeros before and after each axis. */
  pad(widths: readonly (readonly [before: number, after: number])[]): Value {
    const each = widths.map(([before, after]): [number, number] => [before, after]);
    return Value.own(np.pad(this.#array.ref, each));
  }

  /**
   * Slices of this along its first axis at int32 `indices`: a table's rows. Indices that are a batch input
   * are checked by `run`.
   */
  take(indices: Value): Value {
    Value.requireBelow(indices, this.shape[0] ?? 0);
    return Value.own(this.#array.ref.slice(indices.#array.ref));
  }

  /**
   * Cross-correlation, as machine learning calls convolution: this [N, C, ...xs] with a kernel
   * [K, C / groups, ...ks] to [N, K, ...ys].
   *
   *     y[n, k, p] = Σ_c Σ_t x[n, c, s p + d t − before] w[k, c, t]
   */
  conv(kernel: Value, { groups = 1, inputDilation, ...options }: ConvOptions = {}): Value {
    const window = kernel.shape.slice(2);
    const { strides, dilation, padding } = windowsOf(window, options);
    return Value.own(
      lax.convGeneralDilated(this.#array.ref, kernel.#array.ref, strides, padding, {
        rhsDilation: dilation,
        featureGroupCount: groups,
        ...(inputDilation !== undefined && { lhsDilation: [...inputDilation] }),
      }),
    );
  }

  /** Every `step`-th element along `axis`, from the first on. */
  every(step: number, axis: number): Value {
    if (step === 1) {
      return this;
    }
    // A window of one element steps like a slice; jax-js has no slice with steps.
    const rank = this.shape.length;
    const window = Array<number>(rank - wrap(axis, rank)).fill(1);
    const strides = window.with(0, step);
    return Value.own(lax.reduceWindow(this.#array.ref, (one) => np.sum(one), window, strides));
  }

  cast(dtype: "float32" | "int32" | "uint32" | "bool"): Value {
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

/** Values end to end along `axis`. */
export function concat(values: readonly Value[], axis: number): Value {
  return Value.own(
    np.concatenate(
      values.map((value) => Value.lend(value)),
      axis,
    ),
  );
}

/** Values of one shape along a new first axis. */
export function stack(values: readonly Value[]): Value {
  return concat(
    values.map((value) => value.reshape([1, ...value.shape])),
    0,
  );
}

/** Every element `value`, float32. */
export function full(shape: readonly number[], value: number): Value {
  return Value.own(np.full([...shape], value));
}

/** An array known while tracing, row-major: float32, or int32 for integers. */
export function constant(data: Float32Array | Int32Array, shape: readonly number[]): Value {
  const dtype = data instanceof Float32Array ? np.float32 : np.int32;
  return Value.own(
    np.array(data as Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>, {
      shape: [...shape],
      dtype,
    }),
  );
}

/** `random.bits` of jax-js: uint32 by Threefry under a key of two uint32. */
export function randomBits(key: Value, shape: readonly number[]): Value {
  return Value.own(random.bits(Value.lend(key), [...shape]));
}

/** Strides, dilation and padding an axis. */
export function windowsOf(
  window: readonly number[],
  { strides = 1, dilation = 1, padding = "valid" }: WindowOptions,
): { strides: number[]; dilation: number[]; padding: [number, number][] } {
  const each = (value: number | readonly number[]): number[] =>
    typeof value === "number" ? window.map(() => value) : [...value];
  const spread = each(dilation);
  const around = (extent: number, i: number): [number, number] => {
    if (typeof padding === "object") {
      const [before = 0, after = 0] = padding[i] ?? [];
      return [before, after];
    }
    // An even window has its middle after the half: one zero more behind.
    const reach = padding === "same" ? (extent - 1) * (spread[i] ?? 1) : 0;
    return typeof padding === "number"
      ? [padding, padding]
      : [Math.floor(reach / 2), Math.ceil(reach / 2)];
  };
  return { strides: each(strides), dilation: spread, padding: window.map(around) };
}

function wrap(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function axesOf({ axis }: ReduceOptions): number | number[] | null {
  return axis === undefined ? null : typeof axis === "number" ? axis : [...axis];
}

function keep({ keepDims = false }: ReduceOptions): { keepdims: boolean } {
  return { keepdims: keepDims };
}
