/** What a compiled function takes: parameters by path and batch arrays by name, in a fixed order. */

import {
  flatten,
  type Leaves,
  ShapeMismatchError,
  sameShape,
  sizeOf,
  type Tree,
} from "@adastra/core";
import { BatchShapeError, showShape } from "./errors.ts";
import { isShared } from "./sharedMemory.ts";

/** One array of a batch: row-major features (float32) or labels (int32). */
export interface BatchArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** Arrays of a batch by name, such as `{ x, y }`. */
export type BatchArrays = Readonly<Record<string, BatchArray>>;

export interface InputSlot {
  /** Path of a parameter or name of a batch array. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
}

export interface Signature {
  readonly params: readonly InputSlot[];
  readonly batch: readonly InputSlot[];
  /** What layers keep, by path. */
  readonly state: readonly InputSlot[];
}

/** Reads shapes, refusing whatever no graph could be compiled for. */
export function signatureOf(
  where: string,
  params: Tree,
  example: BatchArrays,
  state: Leaves = {},
): Signature {
  const slotsOf = (leaves: Leaves): InputSlot[] =>
    Object.entries(leaves).map(([path, { shape, data }]) => {
      requireFloat32(where, path, data);
      requireSize(where, `leaf "${path}"`, shape, data.length);
      return { name: path, shape: [...shape], dtype: "float32" };
    });
  const slots = slotsOf(flatten(params));
  if (slots.length === 0) {
    throw new RangeError(`${where}: \`params\` must hold at least one leaf, got none`);
  }
  const batch = Object.entries(example).map(([name, array]): InputSlot => {
    const { shape, data } = array;
    if (!(data instanceof Float32Array || data instanceof Int32Array)) {
      throw new TypeError(
        `${where}: example "${name}" must hold a Float32Array or Int32Array, got ${kindOf(data)}`,
      );
    }
    requireSize(where, `example "${name}"`, shape, data.length);
    return { name, shape: [...shape], dtype: data instanceof Int32Array ? "int32" : "float32" };
  });
  return { params: slots, batch, state: slotsOf(state) };
}

/** The arrays of `leaves` in slot order; `role` names the argument in messages. */
export function readLeaves(
  where: string,
  role: string,
  slots: readonly InputSlot[],
  leaves: Leaves,
): Float32Array[] {
  return slots.map(({ name, shape }) => {
    const leaf = leaves[name];
    if (leaf === undefined) {
      throw new RangeError(
        `${where}: \`${role}\` must hold leaf "${name}", got ${listOf(Object.keys(leaves))}`,
      );
    }
    if (!sameShape(leaf.shape, shape)) {
      throw new ShapeMismatchError(where, name, shape, leaf.shape);
    }
    const { data } = leaf;
    requireFloat32(where, name, data);
    requireSize(where, `leaf "${name}"`, shape, data.length);
    requireUnshared(where, `leaf "${name}"`, data);
    return data;
  });
}

/** The arrays of `batch` in slot order, each of the shape and kind it was compiled for. */
export function readBatch(
  where: string,
  slots: readonly InputSlot[],
  batch: BatchArrays,
): (Float32Array | Int32Array)[] {
  return slots.map(({ name, shape, dtype }) => {
    const array = batch[name];
    if (array === undefined) {
      throw new RangeError(
        `${where}: batch must hold "${name}", got ${listOf(Object.keys(batch))}`,
      );
    }
    if (!sameShape(array.shape, shape)) {
      throw new BatchShapeError(name, shape, array.shape);
    }
    const { data } = array;
    if (!(dtype === "float32" ? data instanceof Float32Array : data instanceof Int32Array)) {
      throw new TypeError(
        `${where}: batch "${name}" must hold ${dtype === "float32" ? "a Float32Array" : "an Int32Array"}, got ${kindOf(data)}`,
      );
    }
    requireSize(where, `batch "${name}"`, shape, data.length);
    requireUnshared(where, `batch "${name}"`, data);
    return data;
  });
}

function requireFloat32(where: string, path: string, data: unknown): asserts data is Float32Array {
  if (!(data instanceof Float32Array)) {
    throw new TypeError(`${where}: leaf "${path}" must hold a Float32Array, got ${kindOf(data)}`);
  }
}

function requireSize(where: string, what: string, shape: readonly number[], length: number): void {
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 1)) {
    throw new RangeError(
      `${where}: ${what} must have extents that are integers of at least 1, got ${showShape(shape)}`,
    );
  }
  if (length !== sizeOf(shape)) {
    throw new RangeError(
      `${where}: ${what} of shape ${showShape(shape)} must hold ${sizeOf(shape)} elements, got ${length}`,
    );
  }
}

/** ONNX Runtime's Node binding refuses shared memory with "Invalid argument". */
function requireUnshared(where: string, what: string, array: ArrayBufferView): void {
  if (isShared(array)) {
    throw new TypeError(
      `${where}: ${what} must not lie on shared memory, got a SharedArrayBuffer; use one thread for the arena, or copy`,
    );
  }
}

function kindOf(value: unknown): string {
  return value === null || typeof value !== "object" ? String(value) : value.constructor.name;
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ");
}
