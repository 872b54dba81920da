/**
 * The rules of data as indices: gather, its transpose scatter, and sorting.
 *
 * jax-js takes one array of indices an indexed axis, broadcasts them, and puts their axes at `outDim`
 * of the result.
 */

import type { Equation } from "../../trace/program.ts";
import type { GraphBuilder } from "../builder.ts";
import type { Tensor } from "../ir.ts";
import { broadcastShape, ELEMENT_TYPE } from "../ops/index.ts";
import { broadcastTo, materialize, transpose, type View, viewOf } from "../views.ts";
import { cast } from "./elementwise.ts";
import { at, listParam, type RuleTable } from "./rule.ts";
import { item, range } from "./spatial.ts";

export const INDEXING: RuleTable = {
  gather: (builder, inputs, equation) => [
    gather(builder, at(inputs, 0), inputs.slice(1), equation),
  ],
  scatter: (builder, inputs, equation) => [
    scatter(builder, at(inputs, 0), inputs.slice(1), equation),
  ],
  /** Ascending along the last axis; equal elements keep their order. */
  sort: (builder, inputs) => [sorted(builder, at(inputs, 0))[0]],
  argsort: (builder, inputs) => {
    const [values, order] = sorted(builder, at(inputs, 0));
    return [values, cast(builder, order, "int32")];
  },
};

function gather(
  builder: GraphBuilder,
  x: View,
  indices: readonly View[],
  equation: Equation,
): View {
  const axes = listParam(equation, "axis");
  const outDim = Number(equation.params["outDim"]);
  const rest = range(x.shape.length).filter((axis) => !axes.includes(axis));
  const rank = broadcastShape(indices.map(({ shape }) => shape)).length;
  if (indices.length === 1) {
    const axis = item(axes, 0);
    const index = materialize(builder, cast(builder, at(indices, 0), "int32")); // ONNX's are signed
    const picked = builder.emit("Gather", [materialize(builder, x), index], { axis });
    return placed(viewOf(picked), axis, rank, outDim);
  }
  const leading = materialize(builder, transpose(x, [...axes, ...rest]));
  const picked = builder.emit("GatherND", [leading, coordinates(builder, indices)]);
  return placed(viewOf(picked), 0, rank, outDim);
}

/** Zeros, with the updates added or put where the indices say; coordinates outside are an error of the run. */
function scatter(
  builder: GraphBuilder,
  updates: View,
  indices: readonly View[],
  equation: Equation,
): View {
  const axes = listParam(equation, "axis");
  const shape = listParam(equation, "shape");
  const outDim = Number(equation.params["outDim"]);
  const order = [...axes, ...range(shape.length).filter((axis) => !axes.includes(axis))];
  const rank = broadcastShape(indices.map((index) => index.shape)).length;
  const zero = builder.scalar(0, updates.tensor.dtype);
  const target = builder.emit("Expand", [zero], { shape: order.map((axis) => item(shape, axis)) });
  const indicesFirst = placed(updates, outDim, rank, 0);
  const filled = builder.emit(
    "ScatterND",
    [target, coordinates(builder, indices), materialize(builder, indicesFirst)],
    { reduction: equation.params["op"] === "add" ? "add" : "none" },
  );
  return transpose(
    viewOf(filled),
    range(shape.length).map((axis) => order.indexOf(axis)),
  );
}

function sorted(builder: GraphBuilder, x: View): readonly [values: View, order: View] {
  const axis = x.shape.length - 1;
  const [values, order] = builder.emitAll("TopK", [materialize(builder, x)], {
    k: [item(x.shape, axis)],
    axis,
    largest: 0,
    sorted: 1,
  });
  return [viewOf(values as Tensor), viewOf(order as Tensor)]; // TopK has two outputs
}

/** The `count` axes from `from` on moved to `to`, the others in their order. */
function placed(view: View, from: number, count: number, to: number): View {
  const moved = range(count, from);
  const others = range(view.shape.length).filter((axis) => !moved.includes(axis));
  return transpose(view, [...others.slice(0, to), ...moved, ...others.slice(to)]);
}

/** [...indices, axes]: what GatherND and ScatterND read. */
function coordinates(builder: GraphBuilder, indices: readonly View[]): Tensor {
  const shape = broadcastShape(indices.map((index) => index.shape));
  const columns = indices.map((index) => {
    const whole = materialize(builder, broadcastTo(index, shape));
    const column = builder.emit("Reshape", [whole], { shape: [...shape, 1] });
    return builder.emit("Cast", [column], { to: ELEMENT_TYPE.int64 });
  });
  return columns.length === 1
    ? item(columns, 0)
    : builder.emit("Concat", columns, { axis: shape.length });
}
