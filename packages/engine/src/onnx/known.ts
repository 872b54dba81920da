/**
 * Arrays whose numbers are known while tracing: shapes, axes, constants.
 *
 * Exporters write shape arithmetic as nodes (Shape, Slice, Concat, Reshape); it is computed here, on the host,
 * where the traced graph needs the numbers themselves. Movements have the names that `Value` gives them, so that
 * a row of the op table says once what it moves.
 */

import { sizeOf } from "@adastra/core";
import { showShape } from "../errors.ts";
import { broadcastShape } from "../graph/ops/index.ts";
import { constant, type Value } from "../trace/value.ts";

/** Integers of any width are int32 in a traced graph; here they are exact up to 2⁵³. */
export type KnownType = "float32" | "int32" | "bool";

/** What a movement needs of its operand. */
export interface Movable<T> {
  readonly shape: readonly number[];
  reshape(shape: readonly number[]): T;
  transpose(permutation: readonly number[]): T;
  broadcastTo(shape: readonly number[]): T;
  slice(axis: number, start: number, end: number): T;
  every(step: number, axis: number): T;
  flip(axis: number): T;
}

/** More elements than any shape or mask of a model has; a file that asks for more is broken. */
const LARGEST = 2 ** 24;

export class Known implements Movable<Known> {
  readonly dtype: KnownType;
  readonly shape: readonly number[];
  /** Row-major; bool as 0 and 1. */
  readonly data: ArrayLike<number>;

  constructor(dtype: KnownType, shape: readonly number[], data: ArrayLike<number>) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  /** A vector of integers. */
  static ints(values: readonly number[]): Known {
    return new Known("int32", [values.length], values);
  }

  /** Filled with one number. */
  static filled(dtype: KnownType, shape: readonly number[], value: number): Known {
    return new Known(dtype, [], [value]).broadcastTo(shape);
  }

  /** `f` of the elements at each place, NumPy's broadcast; rounded as `dtype` is. */
  static pointwise(
    dtype: KnownType,
    f: (...x: number[]) => number,
    operands: readonly Known[],
  ): Known {
    const shape = broadcastShape(operands.map((operand) => operand.shape));
    const spread = operands.map((operand) => operand.broadcastTo(shape).data);
    return new Known(
      dtype,
      shape,
      filled(shape, (i) => rounded(dtype, f(...spread.map((data) => data[i] as number)))),
    );
  }

  /** End to end along `axis`. */
  static concat(parts: readonly Known[], axis: number): Known {
    const [first] = parts as readonly [Known];
    const extent = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
    const shape = first.shape.with(axis, extent);
    const inner = sizeOf(shape.slice(axis + 1));
    const outer = sizeOf(shape.slice(0, axis));
    const data: number[] = [];
    requireSize(shape);
    for (let row = 0; row < outer; row++) {
      for (const part of parts) {
        const run = (part.shape[axis] as number) * inner;
        for (let i = 0; i < run; i++) {
          data.push(part.data[row * run + i] as number);
        }
      }
    }
    return new Known(first.dtype, shape, data);
  }

  reshape(shape: readonly number[]): Known {
    if (sizeOf(shape) !== this.data.length) {
      throw new RangeError(
        `reshape: \`shape\` must keep the size of ${showShape(this.shape)}, got ${showShape(shape)}`,
      );
    }
    return new Known(this.dtype, shape, this.data);
  }

  transpose(permutation: readonly number[]): Known {
    const strides = stridesOf(this.shape);
    return this.#strided(
      permutation.map((axis) => this.shape[axis] as number),
      permutation.map((axis) => strides[axis] as number),
    );
  }

  broadcastTo(shape: readonly number[]): Known {
    if (broadcastShape([this.shape, shape]).join() !== shape.join()) {
      throw new RangeError(
        `broadcastTo: shapes must agree, got ${showShape(this.shape)} and ${showShape(shape)}`,
      );
    }
    const own = stridesOf(this.shape);
    const added = shape.length - this.shape.length;
    const strides = shape.map((_, i) =>
      i < added || this.shape[i - added] === 1 ? 0 : (own[i - added] as number),
    );
    return this.#strided(shape, strides);
  }

  slice(axis: number, start: number, end: number): Known {
    const strides = stridesOf(this.shape);
    const shape = this.shape.with(axis, end - start);
    return this.#strided(shape, strides, start * (strides[axis] as number));
  }

  every(step: number, axis: number): Known {
    const strides = stridesOf(this.shape);
    const shape = this.shape.with(axis, Math.ceil((this.shape[axis] as number) / step));
    return this.#strided(shape, strides.with(axis, (strides[axis] as number) * step));
  }

  flip(axis: number): Known {
    const strides = stridesOf(this.shape);
    const stride = strides[axis] as number;
    const last = Math.max(0, (this.shape[axis] as number) - 1);
    return this.#strided(this.shape, strides.with(axis, -stride), last * stride);
  }

  /** Slices along `axis` at integers in [-extent, extent). */
  take(indices: Known, axis: number): Known {
    const extent = this.shape[axis] as number;
    const [before, after] = [this.shape.slice(0, axis), this.shape.slice(axis + 1)];
    const inner = sizeOf(after);
    const picks = Array.from(indices.data, (index) => (index < 0 ? index + extent : index));
    const wrong = picks.find((index) => !(index >= 0 && index < extent));
    if (wrong !== undefined) {
      throw new RangeError(`take: indices must be in [0, ${extent}), got ${wrong}`);
    }
    const shape = [...before, ...indices.shape, ...after];
    return new Known(
      this.dtype,
      shape,
      filled(shape, (i) => {
        const row = Math.floor(i / (picks.length * inner));
        const pick = picks[Math.floor(i / inner) % picks.length] as number;
        return this.data[(row * extent + pick) * inner + (i % inner)] as number;
      }),
    );
  }

  /** `f` folded over `axes`, which stay with extent 1. */
  reduce(axes: readonly number[], f: (a: number, b: number) => number): Known {
    const kept = this.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const rows = this.transpose([...kept, ...axes]);
    const length = sizeOf(axes.map((axis) => this.shape[axis] as number));
    const shape = this.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    return new Known(
      this.dtype,
      shape,
      filled(shape, (i) => {
        const row = Array.from({ length }, (_, j) => rows.data[i * length + j] as number);
        return rounded(this.dtype, row.reduce(f));
      }),
    );
  }

  cast(dtype: KnownType): Known {
    return new Known(
      dtype,
      this.shape,
      Array.from(this.data, (x) => rounded(dtype, x)),
    );
  }

  /** As a constant of the traced graph. */
  toValue(): Value {
    if (this.data.length === 0) {
      throw new RangeError(
        `toValue: arrays must have elements, got shape ${showShape(this.shape)}`,
      );
    }
    if (this.dtype === "float32") {
      return constant(Float32Array.from(this.data), this.shape);
    }
    // Exporters write "to the end" as the largest int64.
    const clamped = Int32Array.from(this.data, (x) =>
      Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), x)),
    );
    const integers = constant(clamped, this.shape);
    return this.dtype === "bool" ? integers.cast("bool") : integers;
  }

  #strided(shape: readonly number[], strides: readonly number[], offset = 0): Known {
    return new Known(
      this.dtype,
      shape,
      filled(shape, (i) => {
        let [rest, at] = [i, offset];
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          const extent = shape[axis] as number;
          at += (rest % extent) * (strides[axis] as number);
          rest = Math.floor(rest / extent);
        }
        return this.data[at] as number;
      }),
    );
  }
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function rounded(dtype: KnownType, x: number): number {
  switch (dtype) {
    case "float32":
      return Math.fround(x);
    case "int32":
      return Math.trunc(x);
    case "bool":
      return x === 0 ? 0 : 1;
  }
}

function filled(shape: readonly number[], at: (i: number) => number): number[] {
  requireSize(shape);
  return Array.from({ length: sizeOf(shape) }, (_, i) => at(i));
}

function requireSize(shape: readonly number[]): void {
  const size = sizeOf(shape);
  if (!(size <= LARGEST && shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0))) {
    throw new RangeError(
      `known: arrays known while tracing must have at most ${LARGEST} elements, got shape ${showShape(shape)}`,
    );
  }
}
