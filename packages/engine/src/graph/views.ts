/**
 * Lazy views: broadcasts, transposes and most reshapes cost nothing until an op needs the data.
 *
 * A view says which physical axis of a tensor each logical axis reads: a matrix transposed is
 * `axes: [1, 0]`, a bias over a batch is `axes: [-1, 0]`. An op asks for a physical order it can
 * work in, and only what differs from that order becomes a Transpose, Reshape or Expand node.
 * `dot(broadcast(x), transpose(w))` thus ends as one Gemm, and no broadcast is ever stored.
 *
 * Invariant: a logical axis is *held* (`axes[i] >= 0`) exactly if the tensor varies along it; held
 * axes have the physical extent; every physical axis of extent other than 1 is held once.
 */

import { sameShape } from "@adastra/core";
import type { GraphBuilder } from "./builder.ts";
import type { Attributes, Tensor } from "./ir.ts";
import { broadcastShape, type OpName } from "./ops/index.ts";

export interface View {
  readonly tensor: Tensor;
  readonly shape: readonly number[];
  /** Physical axis of each logical axis; -1 where it has extent 1 or repeats. */
  readonly axes: readonly number[];
}

/** A whole tensor as it lies. */
export function viewOf(tensor: Tensor): View {
  const axes = tensor.shape.map((extent, axis) => (extent === 1 ? -1 : axis));
  return { tensor, shape: tensor.shape, axes };
}

/** Held logical axes in physical order: how the data lies. */
export function layout(view: View): number[] {
  return signature(view).filter((axis) => axis >= 0);
}

export function isHeld(view: View, axis: number): boolean {
  return (view.axes[axis] ?? -1) >= 0;
}

export function transpose(view: View, perm: readonly number[]): View {
  return {
    tensor: view.tensor,
    shape: perm.map((axis) => view.shape[axis] as number),
    axes: perm.map((axis) => view.axes[axis] as number),
  };
}

/** NumPy's broadcast: unit axes in front, extents of 1 repeated. */
export function broadcastTo(view: View, shape: readonly number[]): View {
  const missing = shape.length - view.shape.length;
  return { tensor: view.tensor, shape, axes: [...Array(missing).fill(-1), ...view.axes] };
}

/** A broadcast whose new axes stand at `inserted`; the others follow the view's in order. */
export function broadcastAt(
  view: View,
  shape: readonly number[],
  inserted: readonly number[],
): View {
  let next = 0;
  const axes = shape.map((_, axis) =>
    inserted.includes(axis) ? -1 : (view.axes[next++] as number),
  );
  return { tensor: view.tensor, shape, axes };
}

/** Elementwise op over views that broadcast; the result keeps the cheapest operand order. */
export function elementwise(
  builder: GraphBuilder,
  op: OpName,
  views: readonly View[],
  attributes: Attributes = {},
): View {
  const shape = broadcastShape(views.map((view) => view.shape));
  const operands = views.map((view) => broadcastTo(view, shape));
  const frame = chooseFrame(operands, shape.length);
  const tensor = builder.emit(
    op,
    operands.map((view) => (fits(view, frame) ? view.tensor : arrange(builder, view, frame))),
    attributes,
  );
  const lead = frame.length - tensor.shape.length; // leading unit axes are not stored
  const axes = shape.map((_, axis) => (frame.includes(axis) ? frame.indexOf(axis) - lead : -1));
  return { tensor, shape, axes };
}

/** The view's data with one physical axis a slot: held axes keep their extent, others get 1. */
function arrange(builder: GraphBuilder, view: View, slots: readonly number[]): Tensor {
  const wanted = slots.filter((axis) => isHeld(view, axis));
  const dims = slots.map((axis) => (isHeld(view, axis) ? (view.shape[axis] as number) : 1));
  return reshapeTensor(builder, ordered(builder, view, wanted), dims);
}

/** The view's data in row-major order of `order` (all held axes), then shaped to `dims`. */
export function pack(
  builder: GraphBuilder,
  view: View,
  order: readonly number[],
  dims: readonly number[],
): Tensor {
  return reshapeTensor(builder, ordered(builder, view, order), dims);
}

/** A tensor of exactly the view's shape. */
export function materialize(builder: GraphBuilder, view: View): Tensor {
  const every = view.shape.map((_, axis) => axis);
  const tensor = arrange(builder, view, every);
  return sameShape(tensor.shape, view.shape)
    ? tensor
    : builder.emit("Expand", [tensor], { shape: view.shape });
}

/** A tensor whose row-major data is the view's; unit axes may differ, which saves a Reshape. */
export function flatData(builder: GraphBuilder, view: View): Tensor {
  const held = view.shape.flatMap((_, axis) => (isHeld(view, axis) ? [axis] : []));
  const repeats = view.shape.some((extent, axis) => extent !== 1 && !isHeld(view, axis));
  return repeats ? materialize(builder, view) : ordered(builder, view, held);
}

export function reshape(builder: GraphBuilder, view: View, shape: readonly number[]): View {
  const groups = matchAxes(view.shape, shape);
  const axes: number[] = Array(shape.length).fill(-1);
  const regrouped: AxisGroup[] = [];
  for (const group of groups) {
    const held = group.from.filter((axis) => isHeld(view, axis));
    const [source] = group.from;
    const [target] = group.to;
    if (held.length === 0) {
      continue; // repeated along the whole group, before and after
    }
    if (held.length < group.from.length) {
      return viewOf(reshapeTensor(builder, materialize(builder, view), shape));
    }
    regrouped.push(group);
    if (group.from.length === 1 && group.to.length === 1) {
      axes[target as number] = view.axes[source as number] as number;
    }
  }
  if (regrouped.every(({ from, to }) => from.length === 1 && to.length === 1)) {
    return { tensor: view.tensor, shape, axes };
  }
  // Some axes merge or split: they must lie together, in order.
  const lying = layout(view);
  const together = regrouped.every(({ from }) => {
    const start = lying.indexOf(from[0] as number);
    return from.every((axis, offset) => lying[start + offset] === axis);
  });
  const sequence = [...regrouped];
  if (together) {
    sequence.sort(
      (a, b) => lying.indexOf(a.from[0] as number) - lying.indexOf(b.from[0] as number),
    );
  }
  const dims = sequence.flatMap(({ to }) => to.map((axis) => shape[axis] as number));
  const tensor = pack(
    builder,
    view,
    sequence.flatMap(({ from }) => from),
    dims,
  );
  sequence
    .flatMap(({ to }) => to)
    .forEach((axis, physical) => {
      axes[axis] = physical;
    });
  return { tensor, shape, axes };
}

interface AxisGroup {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Splits two shapes of equal size into the smallest runs of axes with equal products; unit axes drop out. */
function matchAxes(from: readonly number[], to: readonly number[]): AxisGroup[] {
  const left = from.flatMap((extent, axis) => (extent === 1 ? [] : [axis]));
  const right = to.flatMap((extent, axis) => (extent === 1 ? [] : [axis]));
  const groups: AxisGroup[] = [];
  while (left.length > 0 || right.length > 0) {
    const group = { from: [] as number[], to: [] as number[] };
    let [taken, given] = [1, 1];
    do {
      if (taken <= given) {
        const axis = left.shift() as number; // sizes are equal, so the shorter side has more
        group.from.push(axis);
        taken *= from[axis] as number;
      } else {
        const axis = right.shift() as number;
        group.to.push(axis);
        given *= to[axis] as number;
      }
    } while (taken !== given);
    groups.push(group);
  }
  return groups;
}

/** Logical axis of each physical axis, -1 for unit axes. */
function signature(view: View): number[] {
  return view.tensor.shape.map((_, physical) => view.axes.indexOf(physical));
}

/** Whether ONNX's right-aligned broadcast reads the tensor as the frame asks, without any node. */
function fits(view: View, frame: readonly number[]): boolean {
  const own = signature(view);
  const offset = frame.length - own.length;
  return own.every((axis, slot) =>
    axis === -1 ? offset + slot >= 0 : axis === frame[offset + slot],
  );
}

/** The physical order to compute in: the one that moves the fewest elements, natural order on a tie. */
function chooseFrame(views: readonly View[], rank: number): readonly number[] {
  const needed = Array.from({ length: rank }, (_, axis) => axis).filter((axis) =>
    views.some((view) => isHeld(view, axis)),
  );
  const covers = (frame: readonly number[]): boolean =>
    needed.every((axis) => frame.includes(axis));
  let best = needed;
  for (const frame of views.map(signature).filter(covers)) {
    if (cost(views, frame) < cost(views, best)) {
      best = frame;
    }
  }
  return best;
}

/** Elements a Transpose would move; a Reshape moves none but is a node. */
function cost(views: readonly View[], frame: readonly number[]): number {
  return views.reduce((sum, view) => {
    if (fits(view, frame)) {
      return sum;
    }
    const own = layout(view);
    const asked = frame.filter((axis) => isHeld(view, axis));
    const size = own.reduce((elements, axis) => elements * (view.shape[axis] as number), 1);
    return sum + 1 + (own.join() === asked.join() ? 0 : size);
  }, 0);
}

/** A tensor whose non-unit axes are the held axes in `order`. */
function ordered(builder: GraphBuilder, view: View, order: readonly number[]): Tensor {
  if (layout(view).join() === order.join()) {
    return view.tensor;
  }
  const units = view.tensor.shape.flatMap((extent, physical) => (extent === 1 ? [physical] : []));
  const perm = [...units, ...order.map((axis) => view.axes[axis] as number)];
  return builder.emit("Transpose", [view.tensor], { perm });
}

function reshapeTensor(builder: GraphBuilder, tensor: Tensor, shape: readonly number[]): Tensor {
  return sameShape(tensor.shape, shape) ? tensor : builder.emit("Reshape", [tensor], { shape });
}
