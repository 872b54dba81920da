/** Rows of convolutions and pooling. */

import { type AxisWindows, overWindows } from "../../nn/pooling.ts";
import { constant, type Value } from "../../trace/value.ts";
import type { Call, Row, RowTable } from "../call.ts";

interface Window {
  readonly extents: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Elements from the first to the last that a window reads. */
  readonly reach: readonly number[];
}

/** Attributes of a window over `rank` axes, defaults filled in and checked. */
function windowOf(call: Call, rank: number, kernel?: readonly number[]): Window {
  const extents = call.ints("kernel_shape") ?? kernel ?? [];
  const strides = call.ints("strides") ?? extents.map(() => 1);
  const dilations = call.ints("dilations") ?? extents.map(() => 1);
  const fits =
    (kernel === undefined || kernel.join() === extents.join()) &&
    [extents, strides, dilations].every(
      (list) => list.length === rank && list.every((item) => item >= 1 && item <= LARGEST),
    );
  if (rank < 1 || !fits) {
    throw call.fail(
      `kernel_shape, strides and dilations must be ${rank} integers of at least 1, got [${extents.join(", ")}], [${strides.join(", ")}], [${dilations.join(", ")}]`,
    );
  }
  const reach = extents.map((extent, i) => (extent - 1) * (dilations[i] as number) + 1);
  return { extents, strides, dilations, reach };
}

/** Wider windows than any model's; a file that asks for more is broken. */
const LARGEST = 2 ** 16;

type Around = readonly [before: number, after: number];

/** `pads`, or what `auto_pad` makes them: enough for ⌈extent / stride⌉ windows, the odd one behind (UPPER) or before. */
function paddingOf(
  call: Call,
  { strides, reach }: Window,
  xs: readonly number[],
): readonly Around[] {
  const mode = call.text("auto_pad", "NOTSET");
  if (mode === "NOTSET") {
    return statedPads(call, xs.length);
  }
  if (mode === "VALID") {
    return xs.map(() => [0, 0]);
  }
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") {
    throw call.fail(`\`auto_pad\` must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, got "${mode}"`);
  }
  return xs.map((extent, i): Around => {
    const stride = strides[i] as number;
    const total = Math.max(
      0,
      (Math.ceil(extent / stride) - 1) * stride + (reach[i] as number) - extent,
    );
    return halves(total, mode);
  });
}

function halves(total: number, mode: string): Around {
  const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
  return mode === "SAME_LOWER" ? [more, less] : [less, more];
}

function statedPads(call: Call, rank: number): readonly Around[] {
  const pads = call.ints("pads") ?? Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank || !pads.every((pad) => pad >= 0 && pad <= LARGEST)) {
    throw call.fail(
      `\`pads\` must be ${2 * rank} integers of at least 0, got [${pads.join(", ")}]`,
    );
  }
  return Array.from({ length: rank }, (_, i) => [pads[i] as number, pads[i + rank] as number]);
}

function withBias(call: Call, y: Value): Value {
  const ones = y.shape.slice(2).map(() => 1);
  return call.has(2) ? y.add(call.value(2).reshape([1, y.shape[1] as number, ...ones])) : y;
}

const conv: Row = {
  arity: [2, 3],
  run: (call) => {
    const [x, kernel] = [call.value(0), call.value(1)];
    const xs = x.shape.slice(2);
    const window = windowOf(call, xs.length, kernel.shape.slice(2));
    const padding = paddingOf(call, window, xs);
    const groups = call.int("group", 1);
    requireChannels(
      call,
      x.shape[1],
      (kernel.shape[1] as number) * groups,
      kernel.shape[0],
      groups,
    );
    requireRoom(call, window, xs, padding);
    const { strides, dilations: dilation } = window;
    return withBias(call, x.conv(kernel, { strides, dilation, padding, groups }));
  },
};

/** A convolution of x with gaps between its elements, by the kernel turned around. */
const convTranspose: Row = {
  arity: [2, 3],
  run: (call) => {
    const [x, kernel] = [call.value(0), call.value(1)];
    const xs = x.shape.slice(2);
    const ks = kernel.shape.slice(2);
    const { strides, dilations, reach } = windowOf(call, xs.length, ks);
    const groups = call.int("group", 1);
    const [channels = 1, perGroup = 1] = kernel.shape;
    requireChannels(call, x.shape[1], channels, channels, groups);
    const extra = call.ints("output_padding") ?? xs.map(() => 0);
    const pads = transposedPads(call, xs, strides, reach, extra);
    const turned = ks
      .reduce((w, _, i) => w.flip(i + 2), kernel)
      .reshape([groups, channels / groups, perGroup, ...ks])
      .transpose([0, 2, 1, ...ks.map((_, i) => i + 3)])
      .reshape([groups * perGroup, channels / groups, ...ks]);
    const padding = pads.map(([before, after], i): Around => {
      const around = (reach[i] as number) - 1;
      return [around - before, around - after + (extra[i] as number)];
    });
    if (padding.some(([before, after]) => before < 0 || after < 0)) {
      throw call.fail("`pads` must be below the reach of the kernel, got more");
    }
    const y = x.conv(turned, { padding, dilation: dilations, inputDilation: strides, groups });
    return withBias(call, y);
  },
};

/** `pads`, or those that make the result `output_shape` or extent × stride. */
function transposedPads(
  call: Call,
  xs: readonly number[],
  strides: readonly number[],
  reach: readonly number[],
  extra: readonly number[],
): readonly Around[] {
  const mode = call.text("auto_pad", "NOTSET");
  const asked =
    call.ints("output_shape") ??
    (mode.startsWith("SAME") ? xs.map((extent, i) => extent * (strides[i] as number)) : undefined);
  if (asked === undefined) {
    return mode === "VALID" ? xs.map(() => [0, 0]) : statedPads(call, xs.length);
  }
  return xs.map((extent, i) => {
    const whole =
      (extent - 1) * (strides[i] as number) + (reach[i] as number) + (extra[i] as number);
    // The odd one is taken off behind for UPPER, and before where no mode is stated.
    const total = Math.max(0, whole - (asked.slice(-xs.length)[i] as number));
    return halves(total, mode === "SAME_UPPER" ? mode : "SAME_LOWER");
  });
}

function requireChannels(
  call: Call,
  channels: number | undefined,
  expected: number,
  divided: number | undefined,
  groups: number,
): void {
  if (channels !== expected || !(groups >= 1) || (divided ?? 0) % groups !== 0) {
    throw call.fail(`input must have ${expected} channels in ${groups} groups, got ${channels}`);
  }
}

function requireRoom(
  call: Call,
  { reach }: Window,
  xs: readonly number[],
  padding: readonly Around[],
): void {
  const tight = xs.findIndex((extent, i) => {
    const [before, after] = padding[i] as Around;
    return extent + before + after < (reach[i] as number);
  });
  if (tight >= 0) {
    throw call.fail(
      `input must be at least as large as the window, got extent ${xs[tight]} and padding ${padding[tight]?.join(" + ")} for ${reach[tight]}`,
    );
  }
}

/** Windows along each axis; `ceil_mode` adds one that begins inside but does not end there. */
function poolWindows(call: Call, xs: readonly number[]): readonly AxisWindows[] {
  const window = windowOf(call, xs.length);
  const padding = paddingOf(call, window, xs);
  requireRoom(call, window, xs, padding);
  const ceil = call.int("ceil_mode", 0) !== 0;
  return xs.map((extent, i): AxisWindows => {
    const [before, after] = padding[i] as Around;
    const [step, reach] = [window.strides[i] as number, window.reach[i] as number];
    if (before >= reach || after >= reach) {
      throw call.fail(
        `\`pads\` must be below the reach of the window, got ${before} and ${after} for ${reach}`,
      );
    }
    const room = (extent + before + after - reach) / step;
    const begins = Math.ceil(room) * step < extent + before;
    const count = (ceil && begins ? Math.ceil(room) : Math.floor(room)) + 1;
    const needed = (count - 1) * step + reach - extent - before;
    return {
      count,
      step,
      extent: window.extents[i] as number,
      spread: window.dilations[i] as number,
      around: [before, Math.max(after, needed)],
    };
  });
}

const maxPool: Row = {
  arity: [1, 1],
  run: (call) => {
    if (call.outputs > 1) {
      throw call.fail("the indices must not be read, got a reader of output 1");
    }
    const x = call.value(0);
    const windows = poolWindows(call, x.shape.slice(2));
    return overWindows(x, windows, Number.NEGATIVE_INFINITY, (parts) =>
      parts.reduce((largest, part) => largest.maximum(part)),
    );
  },
};

/** Sums, divided by how many elements a window has: those of padding count or not, those past it never. */
const averagePool: Row = {
  arity: [1, 1],
  run: (call) => {
    const x = call.value(0);
    const xs = x.shape.slice(2);
    const windows = poolWindows(call, xs);
    const padding = paddingOf(call, windowOf(call, xs.length), xs);
    const sums = overWindows(x, windows, 0, (parts) => parts.reduce((sum, part) => sum.add(part)));
    const countsPadding = call.int("count_include_pad", 0) !== 0;
    const counts = windows.map(({ count, step, extent, spread, around: [before] }, i) => {
      const [first, end] = countsPadding
        ? [0, before + (xs[i] as number) + (padding[i] as Around)[1]]
        : [before, before + (xs[i] as number)];
      return Array.from({ length: count }, (_, w) => {
        const places = Array.from({ length: extent }, (_place, k) => w * step + k * spread);
        return places.filter((place) => place >= first && place < end).length;
      });
    });
    return counts.reduce((mean, each, i) => {
      const [size = 1] = each;
      const shape = counts.map((_, axis) => (axis === i ? each.length : 1));
      return each.every((other) => other === size)
        ? mean.mul(1 / size)
        : mean.mul(
            constant(
              Float32Array.from(each, (n) => 1 / n),
              shape,
            ),
          );
    }, sums);
  },
};

const overPlaces = (reduce: (x: Value, axis: readonly number[]) => Value): Row => ({
  arity: [1, 1],
  run: (call) => {
    const x = call.value(0);
    return reduce(x, x.shape.map((_, i) => i).slice(2));
  },
});

export const WINDOWS: RowTable = {
  AveragePool: averagePool,
  Conv: conv,
  ConvTranspose: convTranspose,
  GlobalAveragePool: overPlaces((x, axis) => x.mean({ axis, keepDims: true })),
  GlobalMaxPool: overPlaces((x, axis) => x.max({ axis, keepDims: true })),
  MaxPool: maxPool,
};
