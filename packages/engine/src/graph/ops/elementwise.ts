/** Ops that compute each element from the elements at its place, and reductions. */

import { showShape } from "../../errors.ts";
import type { DType, TensorType } from "../types.ts";
import {
  broadcastShape,
  ELEMENT_TYPE,
  int,
  ints,
  OPERANDS,
  type OpSpec,
  type OpTable,
  requireDType,
  sameType,
  shapeOf,
} from "./spec.ts";

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
    requireDType(dtype, OPERANDS.signed);
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

export type ElementwiseOp =
  | "Abs"
  | "Add"
  | "And"
  | "Asin"
  | "Atan"
  | "Ceil"
  | "Cos"
  | "Div"
  | "Equal"
  | "Erf"
  | "Exp"
  | "Floor"
  | "Less"
  | "LessOrEqual"
  | "Log"
  | "Max"
  | "Min"
  | "Mul"
  | "Neg"
  | "Not"
  | "Or"
  | "Reciprocal"
  | "Relu"
  | "Sign"
  | "Sin"
  | "Sqrt"
  | "Sub"
  | "Xor"
  | "ReduceMax"
  | "ReduceMin"
  | "ReduceProd"
  | "ReduceSum"
  | "Cast"
  | "Mod"
  | "Where";

export const ELEMENTWISE_OPS: OpTable<ElementwiseOp> = {
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
  Neg: elementwise(1, "signed"),
  Not: elementwise(1, "bool"),
  Or: elementwise(2, "bool"),
  Reciprocal: elementwise(1, "float"),
  Relu: elementwise(1, "float"),
  Sign: elementwise(1, "number"),
  Sin: elementwise(1, "float"),
  Sqrt: elementwise(1, "float"),
  Sub: elementwise(2, "number"),
  Xor: elementwise(2, "bool"),
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
      const dtype = sameType(branches);
      requireDType(dtype, OPERANDS.signed);
      return [{ shape, dtype }];
    },
  },
};
