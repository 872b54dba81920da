/** Ops that move elements. */

import { sizeOf } from "@adastra/core";
import { showShape } from "../../errors.ts";
import type { TensorType } from "../types.ts";
import { broadcastShape, int, ints, type OpTable, sameType, shapeOf } from "./spec.ts";

export type MovementOp = "Transpose" | "Reshape" | "Expand" | "Slice" | "Pad" | "Concat" | "Split";

export const MOVEMENT_OPS: OpTable<MovementOp> = {
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
        const extent = shape[axis];
        if (extent === undefined) {
          throw new RangeError(`Slice: axes must be of ${showShape(shape)}, got ${axis}`);
        }
        const step = steps?.[i] as number;
        // Start may be negative (from the end); an end below -extent means "past the first element".
        const from = wrap(starts?.[i] as number, extent);
        const to = (ends?.[i] as number) < -extent ? -1 : wrap(ends?.[i] as number, extent);
        sliced[axis] = Math.max(0, Math.ceil((Math.min(to, extent) - from) / step));
      });
      if (sliced.includes(0)) {
        throw new RangeError(`Slice: result must not be empty, got ${showShape(sliced)}`);
      }
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
};

function wrap(index: number, extent: number): number {
  return index < 0 ? index + extent : index;
}
