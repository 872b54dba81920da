/** What a row of the op tables says, and what the rows share. */

import { showShape } from "../../errors.ts";
import type { Attributes, DType, TensorType } from "../types.ts";

export type AttributeKind = "int" | "ints" | "string" | "operand";

export interface OpSpec {
  /** Operator set; default ONNX's own. */
  readonly domain?: "com.microsoft";
  /** Least and greatest number of inputs. */
  readonly arity: readonly [number, number];
  /** All are required, so that a node states what it does. */
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  /** Types of the outputs; throws a `RangeError` on inputs the op does not take. */
  infer(inputs: readonly TensorType[], attributes: Attributes): TensorType[];
}

/** Rows by ONNX op name. */
export type OpTable<Name extends string> = Readonly<Record<Name, OpSpec>>;

/** ONNX's numbers for element types (TensorProto.DataType). */
export const ELEMENT_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  uint32: 12,
};

/** NumPy's broadcast of several shapes. */
export function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const extent = extents.find((candidate) => candidate !== 1) ?? 1;
    if (!extents.every((candidate) => candidate === 1 || candidate === extent)) {
      throw new RangeError(
        `broadcast: shapes must agree, got ${shapes.map(showShape).join(" and ")}`,
      );
    }
    return extent;
  });
}

/** An attribute that is a list of integers. */
export function ints(attributes: Attributes, name: string): readonly number[] {
  const value = attributes[name];
  if (typeof value !== "object") {
    throw new RangeError(`ints: attribute "${name}" must be a list, got ${String(value)}`);
  }
  return value;
}

/** An attribute that is one integer. */
export function int(attributes: Attributes, name: string): number {
  const value = attributes[name];
  if (typeof value !== "number") {
    throw new RangeError(`int: attribute "${name}" must be a number, got ${String(value)}`);
  }
  return value;
}

/** An attribute that is a word. */
export function text(attributes: Attributes, name: string): string {
  const value = attributes[name];
  if (typeof value !== "string") {
    throw new RangeError(`text: attribute "${name}" must be a string, got ${String(value)}`);
  }
  return value;
}

/** What an elementwise op computes on. */
export const OPERANDS: Readonly<
  Record<"float" | "signed" | "number" | "bool" | "any", readonly DType[]>
> = {
  float: ["float32"],
  signed: ["float32", "int32"],
  number: ["float32", "int32", "uint32"],
  bool: ["bool"],
  any: ["float32", "int32", "uint32", "bool"],
};

/** The dtype that all inputs share. */
export function sameType(inputs: readonly TensorType[]): DType {
  const dtypes = new Set(inputs.map(({ dtype }) => dtype));
  const [dtype] = dtypes;
  if (dtypes.size !== 1 || dtype === undefined) {
    throw new RangeError(`infer: inputs must share a dtype, got ${[...dtypes].join(" and ")}`);
  }
  return dtype;
}

export function requireDType(dtype: DType, allowed: readonly DType[]): void {
  if (!allowed.includes(dtype)) {
    throw new RangeError(`infer: inputs must be ${allowed.join(" or ")}, got ${dtype}`);
  }
}

export function shapeOf({ shape }: TensorType): readonly number[] {
  return shape;
}
