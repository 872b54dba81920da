/**
 * The ops of the graph: a subset of ONNX opset 18, one row each.
 *
 * A row says how many inputs an op takes, which attributes it must carry, and what it returns.
 * The builder reads it to type new nodes, the verifier to check them, the encoder to write them.
 * Static operands that ONNX passes as int64 tensors (`shape`, `axes`, ...) are attributes of kind
 * "operand" here, so that equal nodes look equal.
 */

import { sizeOf } from "@adastra/core";
import { showShape } from "../errors.ts";
import type { Attributes, DType, TensorType } from "./types.ts";

export type OpName =
  | UnaryOp
  | BinaryOp
  | "Cast"
  | "Where"
  | `Reduce${"Max" | "Min" | "Prod" | "Sum"}`
  | "Transpose"
  | "Reshape"
  | "Expand"
  | "Slice"
  | "Pad"
  | "Concat"
  | "Split"
  | "Gemm"
  | "FusedMatMul";

type UnaryOp =
  | "Abs"
  | "Asin"
  | "Atan"
  | "Ceil"
  | "Cos"
  | "Erf"
  | "Exp"
  | "Floor"
  | "Log"
  | "Neg"
  | "Not"
  | "Reciprocal"
  | "Relu"
  | "Sign"
  | "Sin"
  | "Sqrt";

type BinaryOp =
  | "Add"
  | "And"
  | "Div"
  | "Equal"
  | "Less"
  | "LessOrEqual"
  | "Max"
  | "Min"
  | "Mod"
  | "Mul"
  | "Or"
  | "Sub";

export type AttributeKind = "int" | "ints" | "operand";

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

/** ONNX's numbers for element types (TensorProto.DataType). */
export const ELEMENT_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  int32: 6,
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
  if (value === undefined || typeof value === "number") {
    throw new RangeError(`ints: attribute "${name}" must be a list, got ${String(value)}`);
  }
  return value;
}

/** An attribute that is one integer. */
export function int(attributes: Attributes, name: string): number {
  const value = attributes[name];
  if (typeof value !== "number") {
    throw new RangeError(
      `int: attribute "${name}" must be a number, got ${showShape(value ?? [])}`,
    );
  }
  return value;
}

/** What an elementwise op computes on. */
const OPERANDS = {
  float: ["float32"],
  number: ["float32", "int32", "uint32"],
  bool: ["bool"],
  any: ["float32", "int32", "uint32", "bool"],
} as const satisfies Record<string, readonly DType[]>;

const elementwise = (arity: number, operands: keyof typeof OPERANDS, output?: DType): OpSpec => ({
  arity: [arity, arity],
  attributes: {},
  infer: (inputs) => {
    const dtype = sameType(inputs);
    requireDType(dtype, OPERANDS[operands]);
    return [{ shape: broadcastShape(inputs.map(shapeOf)), dtype: output ?? dtype }];
  },
});

const reduction: OpSpec = {
  arity: [1, 1],
  attributes: { axes: "operand", keepdims: "int" },
  infer: ([x], attributes) => {
    const axes = ints(attributes, "axes");
    const { shape, dtype } = x as TensorType;
    requireDType(dtype, OPERANDS.number);
    if (!axes.every((axis) => axis >= 0 && axis < shape.length)) {
      throw new RangeError(
        `reduction: axes must be of ${showShape(shape)}, got ${showShape(axes)}`,
      );
    }
    const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    const keep = int(attributes, "keepdims") === 1;
    return [{ shape: keep ? kept : kept.filter((_, axis) => !axes.includes(axis)), dtype }];
  },
};

export const OPS: Readonly<Record<OpName, OpSpec>> = {
  Abs: elementwise(1, "number"),
  Add: elementwise(2, "number"),
  And: elementwise(2, "bool"),
  Asin: elementwise(1, "float"),
  Atan: elementwise(1, "float"),
  Ceil: elementwise(1, "float"),
  Cos: elementwise(1, "float"),
  Div: elementwise(2, "number"),
  Equal: elementwise(2, "any", "bool"),
  Erf: elementwise(1, "float"),
  Exp: elementwise(1, "float"),
  Floor: elementwise(1, "float"),
  Less: elementwise(2, "number", "bool"),
  LessOrEqual: elementwise(2, "number", "bool"),
  Log: elementwise(1, "float"),
  Max: elementwise(2, "number"),
  Min: elementwise(2, "number"),
  Mul: elementwise(2, "number"),
  Neg: elementwise(1, "number"),
  Not: elementwise(1, "bool"),
  Or: elementwise(2, "bool"),
  Reciprocal: elementwise(1, "float"),
  Relu: elementwise(1, "float"),
  Sign: elementwise(1, "number"),
  Sin: elementwise(1, "float"),
  Sqrt: elementwise(1, "float"),
  Sub: elementwise(2, "number"),
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSum: reduction,
  Cast: {
    arity: [1, 1],
    attributes: { to: "int" },
    infer: ([x], attributes) => {
      const to = int(attributes, "to");
      const dtype = (Object.keys(ELEMENT_TYPE) as DType[]).find((key) => ELEMENT_TYPE[key] === to);
      if (dtype === undefined) {
        throw new RangeError(`Cast: \`to\` must be an element type of the graph, got ${to}`);
      }
      return [{ shape: shapeOf(x as TensorType), dtype }];
    },
  },
  /** Remainder with the sign of the dividend, as C and JavaScript. */
  Mod: { ...elementwise(2, "number"), attributes: { fmod: "int" } },
  Where: {
    arity: [3, 3],
    attributes: {},
    infer: ([condition, ...branches]) => {
      if (condition?.dtype !== "bool") {
        throw new RangeError(`Where: condition must be bool, got ${condition?.dtype}`);
      }
      const shape = broadcastShape([condition, ...branches].map(shapeOf));
      return [{ shape, dtype: sameType(branches) }];
    },
  },
  Transpose: {
    arity: [1, 1],
    attributes: { perm: "ints" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      const perm = ints(attributes, "perm");
      if ([...perm].sort((a, b) => a - b).join() !== shape.map((_, axis) => axis).join()) {
        throw new RangeError(
          `Transpose: \`perm\` must permute ${shape.length} axes, got ${showShape(perm)}`,
        );
      }
      return [{ shape: perm.map((axis) => shape[axis] as number), dtype }];
    },
  },
  Reshape: {
    arity: [1, 1],
    attributes: { shape: "operand" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      const to = ints(attributes, "shape");
      if (sizeOf(to) !== sizeOf(shape)) {
        throw new RangeError(
          `Reshape: \`shape\` must keep the size of ${showShape(shape)}, got ${showShape(to)}`,
        );
      }
      return [{ shape: to, dtype }];
    },
  },
  Expand: {
    arity: [1, 1],
    attributes: { shape: "operand" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      return [{ shape: broadcastShape([shape, ints(attributes, "shape")]), dtype }];
    },
  },
  Slice: {
    arity: [1, 1],
    attributes: { starts: "operand", ends: "operand", axes: "operand", steps: "operand" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      const [starts, ends, steps] = ["starts", "ends", "steps"].map((key) => ints(attributes, key));
      const sliced = [...shape];
      ints(attributes, "axes").forEach((axis, i) => {
        const extent = shape[axis] as number;
        const step = steps?.[i] as number;
        // Start may be negative (from the end); an end below -extent means "past the first element".
        const from = wrap(starts?.[i] as number, extent);
        const to = (ends?.[i] as number) < -extent ? -1 : wrap(ends?.[i] as number, extent);
        sliced[axis] = Math.max(0, Math.ceil((Math.min(to, extent) - from) / step));
      });
      return [{ shape: sliced, dtype }];
    },
  },
  Pad: {
    arity: [1, 1],
    attributes: { pads: "operand" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      const pads = ints(attributes, "pads");
      const pad = (axis: number): number => pads[axis] as number;
      return [{ shape: shape.map((e, axis) => e + pad(axis) + pad(axis + shape.length)), dtype }];
    },
  },
  Concat: {
    arity: [1, Number.POSITIVE_INFINITY],
    attributes: { axis: "int" },
    infer: (inputs, attributes) => {
      const axis = int(attributes, "axis");
      const shape = [...shapeOf(inputs[0] as TensorType)];
      shape[axis] = inputs.reduce((sum, input) => sum + (input.shape[axis] as number), 0);
      return [{ shape, dtype: sameType(inputs) }];
    },
  },
  Split: {
    arity: [1, 1],
    attributes: { split: "operand", axis: "int" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      const axis = int(attributes, "axis");
      return ints(attributes, "split").map((size) => ({
        shape: shape.map((extent, i) => (i === axis ? size : extent)),
        dtype,
      }));
    },
  },
  /** `A B` or `A B + C` of matrices, A and B transposed on request; C broadcasts to the result. */
  Gemm: {
    arity: [2, 3],
    attributes: { transA: "int", transB: "int" },
    infer: ([a, b, c], attributes) => {
      const shape = productShape("Gemm", a as TensorType, b as TensorType, attributes);
      if (c !== undefined && broadcastShape([shape, c.shape]).join() !== shape.join()) {
        throw new RangeError(
          `Gemm: C must broadcast to ${showShape(shape)}, got ${showShape(c.shape)}`,
        );
      }
      return [{ shape, dtype: "float32" }];
    },
  },
  /** Matrix products over equal leading axes, the last two transposed on request. */
  FusedMatMul: {
    domain: "com.microsoft",
    arity: [2, 2],
    attributes: { transA: "int", transB: "int" },
    infer: ([a, b], attributes) => [
      {
        shape: productShape("FusedMatMul", a as TensorType, b as TensorType, attributes),
        dtype: "float32",
      },
    ],
  },
};

function productShape(
  op: string,
  a: TensorType,
  b: TensorType,
  attributes: Attributes,
): readonly number[] {
  const matrix = ({ shape }: TensorType, transposed: number): number[] => {
    const [rows, columns] = shape.slice(-2) as [number, number];
    return transposed === 1 ? [columns, rows] : [rows, columns];
  };
  const [m, k] = matrix(a, int(attributes, "transA"));
  const [k2, n] = matrix(b, int(attributes, "transB"));
  const batch = a.shape.slice(0, -2);
  const matrices = a.shape.length >= 2 && (op !== "Gemm" || batch.length === 0);
  const agree =
    matrices &&
    k === k2 &&
    a.shape.length === b.shape.length &&
    batch.join() === b.shape.slice(0, -2).join() &&
    [a, b].every(({ dtype }) => dtype === "float32");
  if (!agree) {
    throw new RangeError(
      `${op}: inner and leading axes must agree, got ${a.dtype} ${showShape(a.shape)} and ${b.dtype} ${showShape(b.shape)}`,
    );
  }
  return [...batch, m as number, n as number];
}

function sameType(inputs: readonly TensorType[]): DType {
  const dtypes = new Set(inputs.map(({ dtype }) => dtype));
  const [dtype] = dtypes;
  if (dtypes.size !== 1 || dtype === undefined) {
    throw new RangeError(`infer: inputs must share a dtype, got ${[...dtypes].join(" and ")}`);
  }
  return dtype;
}

function requireDType(dtype: DType, allowed: readonly DType[]): void {
  if (!allowed.includes(dtype)) {
    throw new RangeError(`infer: inputs must be ${allowed.join(" or ")}, got ${dtype}`);
  }
}

function shapeOf({ shape }: TensorType): readonly number[] {
  return shape;
}

function wrap(index: number, extent: number): number {
  return index < 0 ? index + extent : index;
}
