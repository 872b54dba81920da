/** Matrix products. */

import { showShape } from "../../errors.ts";
import type { Attributes, TensorType } from "../types.ts";
import { broadcastShape, int, type OpTable } from "./spec.ts";

export type ProductOp = "Gemm" | "FusedMatMul";

export const PRODUCT_OPS: OpTable<ProductOp> = {
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
