/** Ops whose indices are data, sorting, and the bits of integers. */

import { showShape } from "../../errors.ts";
import type { DType, TensorType } from "../types.ts";
import {
  broadcastShape,
  int,
  ints,
  type OpSpec,
  type OpTable,
  requireDType,
  sameType,
  shapeOf,
} from "./spec.ts";

const INDEX: readonly DType[] = ["int32", "int64"];

const bitwise = (arity: number, operands: readonly DType[] = ["int32", "uint32"]): OpSpec => ({
  arity: [arity, arity],
  attributes: {},
  infer: (inputs) => {
    const dtype = sameType(inputs);
    requireDType(dtype, operands);
    return [{ shape: broadcastShape(inputs.map(shapeOf)), dtype }];
  },
});

export type IndexingOp =
  | "Gather"
  | "GatherND"
  | "ScatterND"
  | "TopK"
  | "BitShift"
  | "BitwiseAnd"
  | "BitwiseNot"
  | "BitwiseOr"
  | "BitwiseXor";

export const INDEXING_OPS: OpTable<IndexingOp> = {
  /** Slices of x along `axis`, in the order of the indices. */
  Gather: {
    arity: [2, 2],
    attributes: { axis: "int" },
    infer: ([x, indices], attributes) => {
      const [{ shape, dtype }, index] = [x as TensorType, indices as TensorType];
      requireDType(index.dtype, INDEX);
      const axis = int(attributes, "axis");
      return [
        { shape: [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)], dtype },
      ];
    },
  },
  /** x at the leading coordinates that the last axis of the indices holds. */
  GatherND: {
    arity: [2, 2],
    attributes: {},
    infer: ([x, indices]) => {
      const [{ shape, dtype }, index] = [x as TensorType, indices as TensorType];
      requireDType(index.dtype, ["int64"]);
      return [{ shape: [...index.shape.slice(0, -1), ...shape.slice(index.shape.at(-1))], dtype }];
    },
  },
  /** x with updates put at, or added to, the leading coordinates that the last axis of the indices holds. */
  ScatterND: {
    arity: [3, 3],
    attributes: { reduction: "string" },
    infer: ([x, indices, updates]) => {
      const [target, index] = [x as TensorType, indices as TensorType];
      requireDType(index.dtype, ["int64"]);
      sameType([target, updates as TensorType]);
      const expected = [...index.shape.slice(0, -1), ...target.shape.slice(index.shape.at(-1))];
      if ((updates as TensorType).shape.join() !== expected.join()) {
        throw new RangeError(
          `ScatterND: updates must have shape ${showShape(expected)}, got ${showShape((updates as TensorType).shape)}`,
        );
      }
      return [target];
    },
  },
  /** The k first elements along `axis` in order, and where they stood. */
  TopK: {
    arity: [1, 1],
    attributes: { k: "operand", axis: "int", largest: "int", sorted: "int" },
    infer: ([x], attributes) => {
      const { shape, dtype } = x as TensorType;
      requireDType(dtype, ["float32", "int32"]);
      const [k] = ints(attributes, "k");
      const axis = int(attributes, "axis");
      const kept = shape.map((extent, i) => (i === axis ? (k as number) : extent));
      return [
        { shape: kept, dtype },
        { shape: kept, dtype: "int64" },
      ];
    },
  },
  BitShift: { ...bitwise(2, ["uint32"]), attributes: { direction: "string" } },
  BitwiseAnd: bitwise(2),
  BitwiseNot: bitwise(1),
  BitwiseOr: bitwise(2),
  BitwiseXor: bitwise(2),
};
