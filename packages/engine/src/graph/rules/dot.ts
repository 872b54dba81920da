/**
 * The rule of `dot`: the sum of x y over the last axis, all other axes broadcast.
 *
 * An axis both operands vary along is a batch axis, an axis only x varies along is a row axis, one
 * only y varies along a column axis. Without batch axes the product is one Gemm, else one
 * FusedMatMul. Either takes its matrices transposed, so data that already lies as [k, rows]
 * or [k, columns] needs no Transpose.
 */

import type { GraphBuilder } from "../builder.ts";
import { broadcastShape } from "../ops/index.ts";
import { broadcastTo, elementwise, isHeld, layout, pack, type View } from "../views.ts";
import { reduce } from "./reduce.ts";
import { at, type RuleTable } from "./rule.ts";

export const DOT: RuleTable = {
  dot: (builder, inputs) => [dot(builder, at(inputs, 0), at(inputs, 1))],
};

function dot(builder: GraphBuilder, left: View, right: View): View {
  const shape = broadcastShape([left.shape, right.shape]);
  const [x, y] = [broadcastTo(left, shape), broadcastTo(right, shape)];
  const last = shape.length - 1;
  if (!(isHeld(x, last) && isHeld(y, last) && x.tensor.dtype === "float32")) {
    return reduce(builder, elementwise(builder, "Mul", [x, y]), "ReduceSum", [last]);
  }
  const axesWhere = (inX: boolean, inY: boolean): number[] =>
    shape.flatMap((_, axis) =>
      axis !== last && isHeld(x, axis) === inX && isHeld(y, axis) === inY ? [axis] : [],
    );
  const batch = axesWhere(true, true);
  const rows = inLayout(x, axesWhere(true, false));
  const columns = inLayout(y, axesWhere(false, true));
  const sizeOf = (axes: readonly number[]): number =>
    axes.reduce((size, axis) => size * (shape[axis] as number), 1);
  const lead = batch.length === 0 ? [] : [sizeOf(batch)];

  const [m, k, n] = [sizeOf(rows), shape[last] as number, sizeOf(columns)];
  const transA = lies(x, [...batch, last, ...rows]) && rows.length > 0;
  const transB = !(lies(y, [...batch, last, ...columns]) && columns.length > 0);
  const a = transA
    ? pack(builder, x, [...batch, last, ...rows], [...lead, k, m])
    : pack(builder, x, [...batch, ...rows, last], [...lead, m, k]);
  const b = transB
    ? pack(builder, y, [...batch, ...columns, last], [...lead, n, k])
    : pack(builder, y, [...batch, last, ...columns], [...lead, k, n]);
  const product = builder.emit(lead.length === 0 ? "Gemm" : "FusedMatMul", [a, b], {
    transA: transA ? 1 : 0,
    transB: transB ? 1 : 0,
  });

  // One physical axis an output axis; a matrix of at most one row and one column axis is that already.
  const order = [...batch, ...rows, ...columns];
  const simple = batch.length <= 1 && rows.length <= 1 && columns.length <= 1;
  const tensor = simple
    ? product
    : builder.emit("Reshape", [product], { shape: order.map((axis) => shape[axis] as number) });
  const slots = simple
    ? [...batch, ...(rows.length === 0 ? [-1] : rows), ...(columns.length === 0 ? [-1] : columns)]
    : order;
  const out = shape.slice(0, last);
  return { tensor, shape: out, axes: out.map((_, axis) => slots.indexOf(axis)) };
}

function inLayout(view: View, axes: readonly number[]): number[] {
  return layout(view).filter((axis) => axes.includes(axis));
}

function lies(view: View, order: readonly number[]): boolean {
  return layout(view).join() === order.join();
}
