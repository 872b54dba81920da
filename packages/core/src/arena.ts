/**
 * Where the numbers lie: one memory, one segment an array, the leaves in the same order in each.
 *
 *     segment = [leaf 0 | pad | leaf 1 | pad | …]        pad to 16 elements
 *
 * An element has the same index in every segment, so one base address an array serves all leaves, and
 * neighbouring leaves can be processed in one run.
 */

import type { BackendMemory, DType } from "./codegen/kernel.ts";
import type { ArraySpec } from "./codegen/plan.ts";
import type { Leaf, Leaves, NumericArray } from "./contracts.ts";
import { sizeOf } from "./tree.ts";

/** One leaf's place in every segment, in elements. */
export interface Extent {
  readonly path: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly size: number;
}

export interface ArenaLayout {
  readonly extents: readonly Extent[];
  /** Elements of a segment, padding included. */
  readonly elements: number;
  /** Byte offset of each array's slot 0, and bytes from slot to slot. */
  readonly bases: readonly number[];
  readonly slotBytes: number;
  /** Where kernel frames go, and where kernels are warmed up. */
  readonly scratch: number;
  readonly warmup: number;
  readonly bytes: number;
}

/** Elements that a warm-up run may touch in each stream. */
export const WARMUP_ELEMENTS = 1024;

const LEAF_ALIGNMENT = 16;

export function bytesOf(dtype: DType): 4 | 8 {
  return dtype === "float32" ? 4 : 8;
}

/** Lays out leaves, arrays, `frameBytes` of frames and the warm-up area. */
export function layOut(
  leaves: Leaves,
  arrays: readonly ArraySpec[],
  dtype: DType,
  frames: number,
): ArenaLayout {
  let elements = 0;
  const extents = Object.entries(leaves).map(([path, { shape }]) => {
    const extent = { path, shape, start: elements, size: sizeOf(shape) };
    elements += roundUp(extent.size, LEAF_ALIGNMENT);
    return extent;
  });
  // Segments a multiple of 4096 bytes apart would collide in the cache; an odd number of lines is added.
  const slotBytes = roundUp(elements * bytesOf(dtype), 64) + 64 * 5;
  let offset = roundUp(frames, 64);
  const warmup = offset;
  offset += WARMUP_ELEMENTS * bytesOf(dtype);
  const bases = arrays.map(({ slots }) => {
    const base = offset;
    offset += slots * slotBytes;
    return base;
  });
  return { extents, elements, bases, slotBytes, scratch: 0, warmup, bytes: offset };
}

/** A leaf of an array's slot, as a view on the memory. */
export function viewOf(
  memory: BackendMemory,
  layout: ArenaLayout,
  dtype: DType,
  array: number,
  slot: number,
  extent: Extent,
): NumericArray {
  const at =
    (layout.bases[array] as number) + slot * layout.slotBytes + extent.start * bytesOf(dtype);
  return dtype === "float32"
    ? new Float32Array(memory.buffer, at, extent.size)
    : new Float64Array(memory.buffer, at, extent.size);
}

/** Every leaf of an array's slot. */
export function leavesOf(
  memory: BackendMemory,
  layout: ArenaLayout,
  dtype: DType,
  array: number,
  slot: number,
): Leaves {
  const leaves: Record<string, Leaf> = {};
  for (const extent of layout.extents) {
    leaves[extent.path] = {
      shape: extent.shape,
      data: viewOf(memory, layout, dtype, array, slot, extent),
    };
  }
  return leaves;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
