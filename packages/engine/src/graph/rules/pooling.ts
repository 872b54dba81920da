/**
 * The rules of windows: `pool` lays every window of the last axes out in axes of its own,
 * `pool_transpose` adds up again what belongs to one element.
 *
 *     pool(x)[..., p, t] = x[..., s p + t]        pool_transpose(y)[..., i] = Σ_{s p + t = i} y[..., p, t]
 */

import type { GraphBuilder } from "../builder.ts";
import { isHeld, materialize, reshape, transpose, type View, viewOf } from "../views.ts";
import { at, listParam, type RuleTable } from "./rule.ts";
import { cutOut, item, places, product, range, withZeros } from "./spatial.ts";

export const POOLING: RuleTable = {
  pool: (builder, inputs, equation) => {
    const windows: Windows = {
      shape: at(inputs, 0).shape,
      window: listParam(equation, "window"),
      strides: listParam(equation, "strides"),
    };
    return [pool(builder, at(inputs, 0), windows)];
  },
  pool_transpose: (builder, inputs, equation) => {
    const windows: Windows = {
      shape: listParam(equation, "inShape"),
      window: listParam(equation, "window"),
      strides: listParam(equation, "strides"),
    };
    return [poolTranspose(builder, at(inputs, 0), windows)];
  },
};

/** Windows over the last axes of a picture of `shape`. */
interface Windows {
  readonly shape: readonly number[];
  readonly window: readonly number[];
  readonly strides: readonly number[];
}

/** Axes before the pooled ones, and how many windows fit along each of those. */
function framesOf({ shape, window, strides }: Windows): {
  readonly lead: readonly number[];
  readonly counts: readonly number[];
} {
  const first = shape.length - window.length;
  const counts = window.map((extent, i) =>
    Math.ceil((item(shape, first + i) - extent + 1) / item(strides, i)),
  );
  return { lead: shape.slice(0, first), counts };
}

function pool(builder: GraphBuilder, x: View, windows: Windows): View {
  const { window, strides } = windows;
  const { lead, counts } = framesOf(windows);
  const [first, rank] = [lead.length, window.length];
  const tensor = materialize(builder, x);
  if (window.every((extent, i) => extent === strides[i])) {
    // Side by side: the rows of the picture apart.
    const used = counts.map((count, i) => count * item(window, i));
    const whole = cutOut(
      builder,
      tensor,
      first,
      used.map(() => 0),
      used,
      used.map(() => 1),
    );
    const apart = reshape(builder, viewOf(whole), [
      ...lead,
      ...counts.flatMap((count, i) => [count, item(window, i)]),
    ]);
    const pairs = range(rank).map((i) => first + 2 * i);
    return transpose(apart, [...range(first), ...pairs, ...pairs.map((axis) => axis + 1)]);
  }
  // A picture for each place of the window.
  const pictures = places(window).map((place) => {
    const picture = cutOut(builder, tensor, first, place, counts, strides);
    return builder.emit("Reshape", [picture], { shape: [1, ...lead, ...counts] });
  });
  const together =
    pictures.length === 1 ? item(pictures, 0) : builder.emit("Concat", pictures, { axis: 0 });
  const all = builder.emit("Reshape", [together], { shape: [...window, ...lead, ...counts] });
  return transpose(viewOf(all), [...range(first + rank, rank), ...range(rank)]);
}

function poolTranspose(builder: GraphBuilder, y: View, windows: Windows): View {
  const { shape, window, strides } = windows;
  const { lead, counts } = framesOf(windows);
  const [first, rank] = [lead.length, window.length];
  if (window.some((extent, i) => extent > item(strides, i))) {
    return fitted(builder, overlapping(builder, y, windows), shape, first);
  }
  const interleaved = range(rank).flatMap((i) => [first + i, first + rank + i]);
  const apart = transpose(y, [...range(first), ...interleaved]);
  const gaps = window.flatMap((extent, i): [number, number][] => [
    [0, 0],
    [0, item(strides, i) - extent],
  ]);
  const spread = gaps.every(([, after]) => after === 0)
    ? apart
    : viewOf(withZeros(builder, materialize(builder, apart), first, gaps));
  const reached = counts.map((count, i) => count * item(strides, i));
  return fitted(builder, reshape(builder, spread, [...lead, ...reached]), shape, first);
}

/**
 * A transposed convolution of pictures with a channel for each place of the window, whose kernel puts
 * the channel there.
 */
function overlapping(builder: GraphBuilder, y: View, windows: Windows): View {
  const { window, strides } = windows;
  const { lead, counts } = framesOf(windows);
  const [first, rank] = [lead.length, window.length];
  const size = product(window);
  // The same number at every place, as in the gradient of a sum: one channel says it.
  const uniform = range(rank).every((i) => !isHeld(y, first + rank + i));
  const channels = uniform ? 1 : size;
  const placesFirst = uniform
    ? { ...y, shape: y.shape.slice(0, first + rank), axes: y.axes.slice(0, first + rank) }
    : transpose(y, [...range(first), ...range(rank, first + rank), ...range(rank, first)]);
  const pictures = reshape(builder, placesFirst, [product(lead), channels, ...counts]);
  const kernel = new Float32Array(channels * size);
  for (let place = 0; place < size; place++) {
    kernel[(place % channels) * size + place] = 1;
  }
  const sum = builder.emit(
    "ConvTranspose",
    [
      materialize(builder, pictures),
      builder.constant({ shape: [channels, 1, ...window], dtype: "float32" }, kernel),
    ],
    {
      kernel_shape: window,
      strides,
      dilations: window.map(() => 1),
      pads: window.flatMap(() => [0, 0]),
      output_padding: window.map(() => 0),
      group: 1,
    },
  );
  const reached = window.map((extent, i) => (item(counts, i) - 1) * item(strides, i) + extent);
  return reshape(builder, viewOf(sum), [...lead, ...reached]);
}

/** The axes from `first` on, filled up with zeros or cut to `shape`. */
function fitted(builder: GraphBuilder, view: View, shape: readonly number[], first: number): View {
  const extents = shape.slice(first);
  const missing = extents.map((extent, i) => extent - item(view.shape, first + i));
  if (missing.every((count) => count === 0)) {
    return view;
  }
  const filled = withZeros(
    builder,
    materialize(builder, view),
    first,
    missing.map((count) => [0, count]),
  );
  const starts = extents.map(() => 0);
  return viewOf(
    cutOut(
      builder,
      filled,
      first,
      starts,
      extents,
      extents.map(() => 1),
    ),
  );
}
