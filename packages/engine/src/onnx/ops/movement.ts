/** Rows of ops that move elements, or say where they lie. */

import { sizeOf } from "@adastra/core";
import { broadcastShape } from "../../graph/ops/index.ts";
import { surround } from "../../nn/pooling.ts";
import { concat, type Value } from "../../trace/value.ts";
import {
  type Call,
  type Operand,
  type Row,
  type RowTable,
  valueOf,
  wrapAxes,
  wrapAxis,
} from "../call.ts";
import { Known, type Movable } from "../known.ts";

/** The same movement of a value and of numbers known while tracing. */
function moved(call: Call, movement: <T extends Movable<T>>(x: T) => T): Operand {
  const x = call.operand(0);
  return x instanceof Known ? movement(x) : movement(x);
}

const movement = (
  arity: readonly [number, number],
  known: readonly number[],
  move: (call: Call, shape: readonly number[]) => <T extends Movable<T>>(x: T) => T,
): Row => ({
  arity,
  known,
  run: (call) => moved(call, move(call, call.operand(0).shape)),
});

const toShape =
  (shape: readonly number[]) =>
  <T extends Movable<T>>(x: T): T =>
    x.reshape(shape);

/** 0 keeps the extent of that place (unless `allowzero`), -1 is what is left. */
function reshaped(call: Call, from: readonly number[]): number[] {
  const asked = call.opset < 5 ? call.ints("shape") : Array.from(call.known(1).data);
  const keepsZero = call.int("allowzero", 0) !== 0;
  const stated = (asked ?? []).map((extent, i) =>
    extent === 0 && !keepsZero ? (from[i] ?? 0) : extent,
  );
  const given = sizeOf(stated.filter((extent) => extent !== -1));
  const size = sizeOf(from);
  const free = stated.filter((extent) => extent === -1).length;
  const fits = free === 0 ? given === size : free === 1 && given > 0 && size % given === 0;
  if (!fits || !stated.every((extent) => extent >= -1)) {
    throw call.fail(`\`shape\` must fit ${size} elements, got [${(asked ?? []).join(", ")}]`);
  }
  return stated.map((extent) => (extent === -1 ? size / given : extent));
}

function expanded<T extends Movable<T>>(x: T, shape: readonly number[]): T {
  return x.broadcastTo(broadcastShape([x.shape, shape]));
}

/** Each axis as a copy after the other: a new axis before it, broadcast and joined. */
function tiled<T extends Movable<T>>(x: T, repeats: readonly number[]): T {
  return repeats.reduce((tile, times, axis) => {
    if (times === 1) {
      return tile;
    }
    const [before, after] = [tile.shape.slice(0, axis), tile.shape.slice(axis)];
    return tile
      .reshape([...before, 1, ...after])
      .broadcastTo([...before, times, ...after])
      .reshape([...before, times * (after[0] as number), ...after.slice(1)]);
  }, x);
}

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Attributes before opset 10, inputs from then on; ends past the last element mean it. */
function cutsOf(call: Call, shape: readonly number[]): Cut[] {
  const list = (name: string, index: number): readonly number[] | undefined =>
    call.opset < 10 ? call.ints(name) : call.integers(name, index);
  const [starts, ends] = [list("starts", 1) ?? [], list("ends", 2) ?? []];
  const axes = list("axes", 3) ?? starts.map((_, i) => i);
  const steps = list("steps", 4) ?? starts.map(() => 1);
  if (![ends, axes, steps].every(({ length }) => length === starts.length)) {
    throw call.fail(
      `starts, ends, axes and steps must be as many, got ${[starts, ends, axes, steps].map(({ length }) => length).join(", ")}`,
    );
  }
  return wrapAxes(call, axes, shape.length).map((axis, i) => {
    const [extent, step] = [shape[axis] as number, steps[i] as number];
    if (step === 0) {
      throw call.fail("`steps` must not be 0, got 0");
    }
    const within = (index: number, least: number, most: number): number =>
      Math.min(most, Math.max(least, index < 0 ? index + extent : index));
    const [start, end] = [starts[i] as number, ends[i] as number];
    return step > 0
      ? { axis, step, start: within(start, 0, extent), end: within(end, 0, extent) }
      : { axis, step, start: within(start, -1, extent - 1), end: within(end, -1, extent - 1) };
  });
}

function sliced<T extends Movable<T>>(call: Call, x: T, { axis, start, end, step }: Cut): T {
  if ((end - start) * Math.sign(step) <= 0) {
    throw call.fail(`the slice must not be empty, got [${start}, ${end}) along axis ${axis}`);
  }
  return step > 0
    ? x.slice(axis, start, end).every(step, axis)
    : x
        .slice(axis, end + 1, start + 1)
        .flip(axis)
        .every(-step, axis);
}

/** Of a table in the traced graph at indices known or not. */
function gathered(call: Call): Operand {
  const [x, indices] = [call.operand(0), call.operand(1)];
  const axis = wrapAxis(call, call.int("axis", 0), x.shape.length);
  if (x instanceof Known && indices instanceof Known) {
    return x.take(indices, axis);
  }
  const extent = x.shape[axis] as number;
  const taken = along(
    valueOf(x),
    axis,
    (rows) => rows.take(wrapped(call, indices, extent)),
    indices.shape.length,
  );
  return taken;
}

/** Indices counted from the front. */
function wrapped(call: Call, indices: Operand, extent: number): Value {
  if (indices instanceof Known) {
    const counted = Array.from(indices.data, (index) => (index < 0 ? index + extent : index));
    const wrong = counted.findIndex((index) => !(index >= 0 && index < extent));
    if (wrong >= 0) {
      throw call.fail(`indices must be in [${-extent}, ${extent}), got ${indices.data[wrong]}`);
    }
    return new Known("int32", indices.shape, counted).toValue();
  }
  // Labels and tokens that are the model's input itself stay what they are: `run` checks those.
  return indices;
}

/** `take` of the slices along `axis`, whose place the `count` axes of the indices get. */
function along(x: Value, axis: number, take: (rows: Value) => Value, count: number): Value {
  const axes = x.shape.map((_, i) => i);
  const first = axis === 0 ? x : x.transpose([axis, ...axes.filter((i) => i !== axis)]);
  const taken = take(first);
  if (axis === 0) {
    return taken;
  }
  const places = taken.shape.map((_, i) => i);
  return taken.transpose([
    ...places.slice(count, count + axis),
    ...places.slice(0, count),
    ...places.slice(count + axis),
  ]);
}

/** Numbers around each axis: a constant's, or those that `mode` picks from the axis itself. */
function padded(call: Call): Operand {
  const x = call.value(0);
  const rank = x.shape.length;
  const pads = (call.opset < 11 ? call.ints("pads") : call.integers("pads", 1)) ?? [];
  const axes = call.has(3)
    ? wrapAxes(call, Array.from(call.known(3).data), rank)
    : x.shape.map((_, i) => i);
  if (pads.length !== 2 * axes.length || pads.some((pad) => pad < 0 || pad > LARGEST_PAD)) {
    throw call.fail(`\`pads\` must be two of at least 0 for each axis, got [${pads.join(", ")}]`);
  }
  const mode = call.text("mode", "constant");
  const value =
    call.opset < 11 ? call.float("value", 0) : call.has(2) ? (call.known(2).data[0] ?? 0) : 0;
  return axes.reduce((framed, axis, i) => {
    const around = [pads[i] as number, pads[i + axes.length] as number] as const;
    return around[0] + around[1] === 0
      ? framed
      : mode === "constant"
        ? surround(framed, axis, around, value)
        : mirrored(call, framed, axis, around, mode);
  }, x);
}

/** Wider borders than any model's; a file that asks for more is broken. */
const LARGEST_PAD = 2 ** 16;

function mirrored(
  call: Call,
  x: Value,
  axis: number,
  [before, after]: readonly [number, number],
  mode: string,
): Value {
  const extent = x.shape[axis] as number;
  const pick = (index: number): number => {
    switch (mode) {
      case "edge":
        return Math.min(extent - 1, Math.max(0, index));
      case "reflect": {
        const period = Math.max(1, 2 * (extent - 1));
        const folded = Math.abs(index) % period;
        return folded < extent ? folded : period - folded;
      }
      case "wrap":
        return ((index % extent) + extent) % extent;
      default:
        throw call.fail(`\`mode\` must be constant, edge, reflect or wrap, got "${mode}"`);
    }
  };
  const indices = Array.from({ length: before + extent + after }, (_, i) => pick(i - before));
  return along(x, axis, (rows) => rows.take(Known.ints(indices).toValue()), 1);
}

/** Extents stated, or as equal as they get over the outputs, the last one smaller. */
function partsOf(call: Call, extent: number): readonly number[] {
  const stated = call.opset < 13 ? call.ints("split") : call.integers("split", 1);
  if (stated !== undefined) {
    return stated;
  }
  const count =
    call.opset < 18 ? call.node.outputs.length : call.int("num_outputs", call.node.outputs.length);
  const size = Math.ceil(extent / count);
  return Array.from({ length: count }, (_, i) => Math.min(size, extent - i * size));
}

function split(call: Call): readonly Operand[] {
  const { shape } = call.operand(0);
  const axis = wrapAxis(call, call.int("axis", 0), shape.length);
  const sizes = partsOf(call, shape[axis] as number);
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sum !== shape[axis] || sizes.some((size) => size < 1)) {
    throw call.fail(
      `parts must add up to ${shape[axis]} with none empty, got [${sizes.join(", ")}]`,
    );
  }
  let start = 0;
  return sizes.map((size) => {
    const from = start;
    start += size;
    return moved(call, (x) => x.slice(axis, from, from + size));
  });
}

/** Channels to places: blocks of `blocksize` squared channels become squares. */
function depthToSpace(call: Call): Value {
  const x = call.value(0);
  const block = call.int("blocksize");
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  const kept = channels / (block * block);
  const columnFirst = call.text("mode", "DCR") === "CRD";
  return x
    .reshape(
      columnFirst
        ? [batch, kept, block, block, height, width]
        : [batch, block, block, kept, height, width],
    )
    .transpose(columnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
    .reshape([batch, kept, height * block, width * block]);
}

function spaceToDepth(call: Call): Value {
  const x = call.value(0);
  const block = call.int("blocksize");
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  return x
    .reshape([batch, channels, height / block, block, width / block, block])
    .transpose([0, 3, 5, 1, 2, 4])
    .reshape([batch, channels * block * block, height / block, width / block]);
}

export const MOVEMENT: RowTable = {
  Concat: {
    arity: [1, Number.POSITIVE_INFINITY],
    run: (call) => {
      const operands = call.inputs.map((_, i) => call.operand(i));
      const axis = wrapAxis(call, call.int("axis"), operands[0]?.shape.length ?? 0);
      // Known parts may be empty, as a shape without leading axes is; traced ones never are.
      return operands.every((operand) => operand instanceof Known)
        ? Known.concat(operands, axis)
        : concat(operands.filter(({ shape }) => sizeOf(shape) > 0).map(valueOf), axis);
    },
  },
  ConstantOfShape: {
    arity: [1, 1],
    known: [0],
    run: (call) => {
      const value = call.node.attributes.get("value");
      const { dtype, data } = value instanceof Known ? value : new Known("float32", [1], [0]);
      return Known.filled(dtype, Array.from(call.known(0).data), data[0] ?? 0);
    },
  },
  DepthToSpace: { arity: [1, 1], run: depthToSpace },
  Expand: movement([2, 2], [1], (call) => {
    const shape = Array.from(call.known(1).data);
    return (x) => expanded(x, shape);
  }),
  Flatten: movement([1, 1], [], (call, shape) => {
    const axis = call.int("axis", 1);
    const at = axis < 0 ? axis + shape.length : axis;
    return toShape([sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]);
  }),
  Gather: { arity: [2, 2], run: gathered },
  Pad: { arity: [1, 4], known: [1, 2, 3], run: padded },
  Range: {
    arity: [3, 3],
    known: [0, 1, 2],
    run: (call) => {
      const [start, limit, delta] = [0, 1, 2].map((i) => call.known(i).data[0] ?? 0) as [
        number,
        number,
        number,
      ];
      const count = Math.max(0, Math.ceil((limit - start) / delta));
      const steps = Known.filled(call.known(0).dtype, [count], delta);
      return new Known(
        steps.dtype,
        [count],
        Array.from(steps.data, (step, i) => start + i * step),
      );
    },
  },
  Reshape: movement([1, 2], [1], (call, shape) => toShape(reshaped(call, shape))),
  Shape: {
    arity: [1, 1],
    run: (call) => {
      const { shape } = call.operand(0);
      return Known.ints(shape.slice(call.int("start", 0), call.int("end", shape.length)));
    },
  },
  Size: { arity: [1, 1], run: (call) => new Known("int32", [], [sizeOf(call.operand(0).shape)]) },
  Slice: movement([1, 5], [1, 2, 3, 4], (call, shape) => {
    const cuts = cutsOf(call, shape);
    return (x) => cuts.reduce((part, cut) => sliced(call, part, cut), x);
  }),
  SpaceToDepth: { arity: [1, 1], run: spaceToDepth },
  Split: { arity: [1, 2], known: [1], run: split },
  Squeeze: movement([1, 2], [1], (call, shape) => {
    const stated = call.opset < 13 ? call.ints("axes") : call.integers("axes", 1);
    const axes = stated === undefined ? undefined : wrapAxes(call, stated, shape.length);
    const dropped = (extent: number, axis: number): boolean =>
      axes === undefined ? extent === 1 : axes.includes(axis);
    return toShape(shape.filter((extent, axis) => !dropped(extent, axis)));
  }),
  Tile: movement([2, 2], [1], (call, shape) => {
    const repeats = Array.from(call.known(1).data);
    if (repeats.length !== shape.length || repeats.some((times) => times < 1)) {
      throw call.fail(
        `\`repeats\` must be one of at least 1 for each axis, got [${repeats.join(", ")}]`,
      );
    }
    return (x) => tiled(x, repeats);
  }),
  Transpose: movement([1, 1], [], (call, shape) => {
    const permutation = call.ints("perm") ?? shape.map((_, axis) => shape.length - 1 - axis);
    if (wrapAxes(call, permutation, shape.length).length !== shape.length) {
      throw call.fail(
        `\`perm\` must permute ${shape.length} axes, got [${permutation.join(", ")}]`,
      );
    }
    return (x) => x.transpose(permutation);
  }),
  Unsqueeze: movement([1, 2], [1], (call, shape) => {
    const stated = (call.opset < 13 ? call.ints("axes") : call.integers("axes", 1)) ?? [];
    const axes = wrapAxes(call, stated, shape.length + stated.length);
    const kept = shape.values();
    return toShape(
      Array.from({ length: shape.length + axes.length }, (_, axis) =>
        axes.includes(axis) ? 1 : (kept.next().value as number),
      ),
    );
  }),
};
