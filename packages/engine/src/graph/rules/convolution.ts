/**
 * The rule of convolutions, forward and both gradients: jax-js knows one primitive for all three.
 *
 *     y[b, o, p] = Σ_c Σ_t x'[b, c, s p + d t] w[o, c, t]
 *
 * x' is x with `lhsDilation` − 1 zeros between its elements and `padding` around them, s `strides`,
 * d `rhsDilation`. With `vmapDims` the leading axes are groups, each with channels of its own.
 *
 * The gradient for x is a convolution of the dilated gradient of y with w flipped and its channels
 * swapped: ONNX knows it as ConvTranspose. The gradient for w is a convolution of x with the gradient of y
 * as its window, whose result is as small as w: that is a matrix product for each of its places.
 */

import type { Equation } from "../../trace/program.ts";
import type { GraphBuilder } from "../builder.ts";
import type { Tensor } from "../ir.ts";
import { ints } from "../ops/index.ts";
import { broadcastTo, materialize, reshape, transpose, type View, viewOf } from "../views.ts";
import { at, listParam, pairsParam, type RuleTable } from "./rule.ts";
import { cutOut, item, places, product, range, withZeros } from "./spatial.ts";

export const CONVOLUTION: RuleTable = {
  conv: (builder, inputs, equation) => [
    convolution(builder, at(inputs, 0), at(inputs, 1), equation),
  ],
};

/** Operands with one leading axis of groups, x [G, N, C, ...xs] and w [G, K, C, ...ks]. */
interface Convolution {
  readonly x: View;
  readonly w: View;
  readonly strides: readonly number[];
  readonly padding: readonly (readonly [before: number, after: number])[];
  /** How far apart the elements of x stand, zeros between them. */
  readonly spacing: readonly number[];
  readonly dilations: readonly number[];
  /** G, N, C, K and the extents of w's window and of the result. */
  readonly groups: number;
  readonly batch: number;
  readonly channels: number;
  readonly outputs: number;
  readonly window: readonly number[];
  readonly ys: readonly number[];
}

/** Axes before the spatial ones in the operands above. */
const LEAD = 3;

function convolution(builder: GraphBuilder, left: View, right: View, equation: Equation): View {
  const vmap = Number(equation.params["vmapDims"]);
  const shape = equation.outputs[0]?.shape ?? [];
  const lead = shape.slice(0, vmap);
  const grouped = (view: View): View => {
    const full = broadcastTo(view, [...lead, ...view.shape.slice(vmap)]);
    return reshape(builder, full, [product(lead), ...view.shape.slice(vmap)]);
  };
  const [x, w] = [grouped(left), grouped(right)];
  const conv: Convolution = {
    x,
    w,
    strides: listParam(equation, "strides"),
    padding: pairsParam(equation, "padding"),
    spacing: listParam(equation, "lhsDilation"),
    dilations: listParam(equation, "rhsDilation"),
    groups: item(x.shape, 0),
    batch: item(x.shape, 1),
    channels: item(x.shape, 2),
    outputs: item(w.shape, 1),
    window: w.shape.slice(LEAD),
    ys: shape.slice(vmap + 2),
  };
  return seesNothing(conv)
    ? broadcastTo({ tensor: builder.scalar(0, x.tensor.dtype), shape: [], axes: [] }, shape)
    : reshape(builder, chooseForm(builder, conv), shape);
}

/** Whether negative padding cuts off all of x along an axis: what the windows then read is padding, zeros. */
function seesNothing({ x, padding, spacing }: Convolution): boolean {
  return padding.some(([before, after], i) => {
    const extent = (item(x.shape, LEAD + i) - 1) * item(spacing, i) + 1;
    return extent + Math.min(0, before) + Math.min(0, after) <= 0;
  });
}

/** With fewer channels than this another form of a gradient is the faster one. */
const FEW_CHANNELS = 8;

function chooseForm(builder: GraphBuilder, conv: Convolution): View {
  const { w, spacing, groups, batch, outputs, window, ys } = conv;
  if (spacing.some((extent) => extent !== 1)) {
    return asTransposed(builder, conv) ?? asConv(builder, cropped(builder, spaced(builder, conv)));
  }
  // A result smaller than the window is a gradient for w.
  if (product(ys) < product(window)) {
    // ONNX Runtime's WebGPU miscomputes the one-hot convolution of columns.
    return batch < FEW_CHANNELS && builder.target !== "webgpu"
      ? byColumns(builder, cropped(builder, conv))
      : byTaps(builder, conv);
  }
  const runsBack = product(window) > 1 && unflipped(builder, w) !== undefined;
  const few = groups === 1 && outputs < FEW_CHANNELS;
  return (
    (runsBack && few ? asTransposed(builder, conv) : undefined) ??
    asConv(builder, cropped(builder, conv))
  );
}

/** ONNX's Conv with the groups' channels side by side: x [N, G C, ...xs], w [G K, C, ...ks]. */
function asConv(builder: GraphBuilder, conv: Convolution): View {
  const { w, strides, padding, dilations, groups, channels, outputs, window } = conv;
  const kernel = reshape(builder, w, [groups * outputs, channels, ...window]);
  const y = builder.emit("Conv", [sideBySide(builder, conv), materialize(builder, kernel)], {
    kernel_shape: window,
    strides,
    dilations,
    pads: sides(padding),
    group: groups,
  });
  return groupsFirst(builder, y, conv);
}

/**
 * ONNX's ConvTranspose, whose `strides` are the spacing of x and whose window runs backwards: its padding
 * is d (k − 1) − p. Undefined where that would be negative.
 */
function asTransposed(builder: GraphBuilder, conv: Convolution): View | undefined {
  const { w, strides, padding, spacing, dilations, groups, channels, outputs, window } = conv;
  const pads = padding.map(([before, after], i): [number, number] => {
    const reach = (item(window, i) - 1) * item(dilations, i);
    return [reach - before, reach - after];
  });
  // Negative padding behind is ONNX's output padding, which must be less than the stride.
  const possible =
    strides.every((stride) => stride === 1) &&
    pads.every(([before, after], i) => before >= 0 && -after < item(spacing, i));
  if (!possible) {
    return undefined;
  }
  const backwards = unflipped(builder, w) ?? flipped(builder, w);
  const inputsFirst = transpose(backwards, [0, 2, 1, ...range(window.length, LEAD)]);
  const kernel = reshape(builder, inputsFirst, [groups * channels, outputs, ...window]);
  const y = builder.emit(
    "ConvTranspose",
    [sideBySide(builder, conv), materialize(builder, kernel)],
    {
      kernel_shape: window,
      strides: spacing,
      dilations,
      pads: sides(pads.map(([before, after]) => [before, Math.max(0, after)])),
      output_padding: pads.map(([, after]) => Math.max(0, -after)),
      group: groups,
    },
  );
  return groupsFirst(builder, y, conv);
}

/**
 * A product for each place: y[b, o, p] = Σ_(c, t) x'[(c, t), b] w[(c, t), o], the rows of x' cut out at p.
 *
 * The sums run over the outer axes of both matrices, which Gemm takes without a Transpose of its own.
 */
function byTaps(builder: GraphBuilder, conv: Convolution): View {
  const { x, w, strides, padding, dilations, groups, batch, channels, outputs, window, ys } = conv;
  const lead = groups === 1 ? [] : [groups];
  const length = channels * product(window);
  const outerFirst = (view: View): View =>
    transpose(view, [0, 2, ...range(window.length, LEAD), 1]);
  const picture = withZeros(builder, materialize(builder, outerFirst(x)), 2, padding);
  const weights = materialize(builder, reshape(builder, outerFirst(w), [...lead, length, outputs]));
  const products = places(ys).map((place) => {
    const starts = place.map((p, i) => p * item(strides, i) + Math.max(0, -item(padding, i)[0]));
    const rows = cutOut(builder, picture, 2, starts, window, dilations);
    const data = builder.emit("Reshape", [rows], { shape: [...lead, length, batch] });
    const op = groups === 1 ? "Gemm" : "FusedMatMul";
    return builder.emit(op, [weights, data], { transA: 1, transB: 0 });
  });
  const all =
    products.length === 1
      ? item(products, 0)
      : builder.emit("Concat", products, { axis: lead.length + 1 });
  const apart = viewOf(builder.emit("Reshape", [all], { shape: [groups, outputs, ...ys, batch] }));
  return transpose(apart, [0, 2 + ys.length, 1, ...range(ys.length, 2)]);
}

/**
 * One product for all places, where x has few rows b: a convolution with one-hot windows lays what the
 * places read side by side ("columns"), and y is a product for each c, summed.
 */
function byColumns(builder: GraphBuilder, conv: Convolution): View {
  const { x, w, strides, padding, dilations, groups, batch, channels, outputs, window, ys } = conv;
  const channelsFirst = [2, 0, 1, ...range(window.length, LEAD)];
  const planes = groups * batch;
  const count = product(ys);
  const pictures = reshape(builder, transpose(x, channelsFirst), [
    channels,
    planes,
    ...x.shape.slice(LEAD),
  ]);
  const columns = builder.emit(
    "Conv",
    [materialize(builder, pictures), oneHotWindows(builder, planes, ys)],
    {
      kernel_shape: ys,
      strides: dilations,
      dilations: strides,
      pads: sides(padding),
      group: planes,
    },
  );
  // Where the last windows end before the picture does, ONNX's Conv has places that w lacks.
  const used = cutOut(
    builder,
    columns,
    2,
    window.map(() => 0),
    window,
    window.map(() => 1),
  );
  const length = product(window);
  const rows = builder.emit("Reshape", [used], {
    shape: [channels * groups, batch * count, length],
  });
  const weights = materialize(
    builder,
    reshape(builder, transpose(w, channelsFirst), [channels * groups, outputs, length]),
  );
  const products = builder.emit("FusedMatMul", [weights, rows], { transA: 0, transB: 1 });
  const apart = builder.emit("Reshape", [products], {
    shape: [channels, groups, outputs, batch, ...ys],
  });
  const sum = builder.emit("ReduceSum", [apart], { axes: [0], keepdims: 0 });
  return transpose(viewOf(sum), [0, 2, 1, ...range(ys.length, LEAD)]);
}

/** For each plane a channel a place of `ys`, with a window that reads that place alone. */
function oneHotWindows(builder: GraphBuilder, planes: number, ys: readonly number[]): Tensor {
  const count = product(ys);
  const windows = new Float32Array(planes * count * count);
  for (let row = 0; row < planes * count; row++) {
    windows[row * count + (row % count)] = 1;
  }
  return builder.constant({ shape: [planes * count, 1, ...ys], dtype: "float32" }, windows);
}

/** x [G, N, C, ...xs] as [N, G C, ...xs]. */
function sideBySide(builder: GraphBuilder, { x, groups, batch, channels }: Convolution): Tensor {
  const xs = x.shape.slice(LEAD);
  const batchFirst = transpose(x, [1, 0, 2, ...range(xs.length, LEAD)]);
  return materialize(builder, reshape(builder, batchFirst, [batch, groups * channels, ...xs]));
}

/** [N, G K, ...ys] as [G, N, K, ...ys]. */
function groupsFirst(
  builder: GraphBuilder,
  y: Tensor,
  { groups, batch, outputs, ys }: Convolution,
): View {
  const apart = reshape(builder, viewOf(y), [batch, groups, outputs, ...ys]);
  return transpose(apart, [1, 0, 2, ...range(ys.length, LEAD)]);
}

/** Physical axes of the spatial axes of w along which it varies. */
function spatialAxes(w: View): number[] {
  return w.axes.slice(LEAD).filter((physical) => physical >= 0);
}

/** The view before a flip of all its spatial axes, where that is how it came about. */
function unflipped(builder: GraphBuilder, w: View): View | undefined {
  const spatial = spatialAxes(w);
  if (spatial.length === 0) {
    return w; // one element lies the same either way
  }
  const node = builder.producer(w.tensor, "Slice");
  const source = node?.inputs[0];
  if (node === undefined || source === undefined) {
    return undefined;
  }
  const all = (name: string, value: number): boolean =>
    ints(node.attributes, name).every((each) => each === value);
  const axes = [...ints(node.attributes, "axes")].sort((a, b) => a - b).join();
  const flips =
    all("starts", -1) && all("steps", -1) && axes === spatial.sort((a, b) => a - b).join();
  return flips && source.shape.join() === w.tensor.shape.join()
    ? { ...w, tensor: source }
    : undefined;
}

function flipped(builder: GraphBuilder, w: View): View {
  const axes = spatialAxes(w);
  const tensor = builder.emit("Slice", [w.tensor], {
    starts: axes.map(() => -1),
    ends: axes.map(() => -(2 ** 31)), // past the first element
    axes,
    steps: axes.map(() => -1),
  });
  return { ...w, tensor };
}

/** ONNX pads with at least 0: what negative padding cuts off is cut off before. */
function cropped(builder: GraphBuilder, conv: Convolution): Convolution {
  const { x, padding } = conv;
  if (padding.every(([before, after]) => before >= 0 && after >= 0)) {
    return conv;
  }
  const starts = padding.map(([before]) => Math.max(0, -before));
  const lengths = padding.map(
    ([, after], i) => item(x.shape, LEAD + i) - item(starts, i) - Math.max(0, -after),
  );
  const steps = padding.map(() => 1);
  return {
    ...conv,
    x: viewOf(cutOut(builder, materialize(builder, x), LEAD, starts, lengths, steps)),
    padding: padding.map(([before, after]) => [Math.max(0, before), Math.max(0, after)]),
  };
}

/** x with the zeros between its elements stored. */
function spaced(builder: GraphBuilder, conv: Convolution): Convolution {
  const { x, spacing } = conv;
  const lead = x.shape.slice(0, LEAD);
  const xs = x.shape.slice(LEAD);
  const apart = builder.emit("Reshape", [materialize(builder, x)], {
    shape: [...lead, ...xs.flatMap((extent) => [extent, 1])],
  });
  const gaps = spacing.flatMap((extent): [number, number][] => [
    [0, 0],
    [0, extent - 1],
  ]);
  const together = builder.emit("Reshape", [withZeros(builder, apart, LEAD, gaps)], {
    shape: [...lead, ...xs.map((extent, i) => extent * item(spacing, i))],
  });
  const starts = xs.map(() => 0);
  const lengths = xs.map((extent, i) => (extent - 1) * item(spacing, i) + 1);
  const steps = xs.map(() => 1);
  const tensor = cutOut(builder, together, LEAD, starts, lengths, steps);
  return { ...conv, x: viewOf(tensor), spacing: steps };
}

/** ONNX's order of padding: before every axis, then after every axis. */
function sides(padding: Convolution["padding"]): number[] {
  return [...padding.map(([before]) => before), ...padding.map(([, after]) => after)];
}
