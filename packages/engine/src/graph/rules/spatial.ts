/** What the rules of windows share: convolutions and pooling. */

import type { GraphBuilder } from "../builder.ts";
import type { Tensor } from "../ir.ts";

/** Of the axes from `first` on, `lengths` elements from `starts`, `steps` apart. */
export function cutOut(
  builder: GraphBuilder,
  tensor: Tensor,
  first: number,
  starts: readonly number[],
  lengths: readonly number[],
  steps: readonly number[],
): Tensor {
  const axes = starts.flatMap((start, i) =>
    start === 0 && lengths[i] === tensor.shape[first + i] && steps[i] === 1 ? [] : [i],
  );
  return axes.length === 0
    ? tensor
    : builder.emit("Slice", [tensor], {
        starts: axes.map((i) => item(starts, i)),
        ends: axes.map((i) => item(starts, i) + (item(lengths, i) - 1) * item(steps, i) + 1),
        axes: axes.map((i) => first + i),
        steps: axes.map((i) => item(steps, i)),
      });
}

/** Zeros before and after the axes from `first` on; negative widths count as 0. */
export function withZeros(
  builder: GraphBuilder,
  tensor: Tensor,
  first: number,
  widths: readonly (readonly [before: number, after: number])[],
): Tensor {
  const side = (which: 0 | 1): number[] =>
    tensor.shape.map((_, axis) => Math.max(0, widths[axis - first]?.[which] ?? 0));
  const pads = [...side(0), ...side(1)];
  return pads.every((width) => width === 0) ? tensor : builder.emit("Pad", [tensor], { pads });
}

/** Every index of an array of these extents, row by row. */
export function places(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>(
    (found, extent) =>
      found.flatMap((place) => Array.from({ length: extent }, (_, i) => [...place, i])),
    [[]],
  );
}

export function product(extents: readonly number[]): number {
  return extents.reduce((size, extent) => size * extent, 1);
}

/** The integers from 0 to `count` - 1, `offset` added. */
export function range(count: number, offset = 0): number[] {
  return Array.from({ length: count }, (_, i) => i + offset);
}

/** An element that the rank of a primitive's operands says is there. */
export function item<T>(values: readonly T[], index: number): T {
  return values[index] as T;
}
