/**
 * Where the numbers lie: one memory; in it the leaves of a class one segment an array, in the same order in each.
 *
 *     memory  = frames | warm-up | working memory | tiles | class | class | …
 *     class   = segment of array 0, slot 0 | … | numbers of the columns
 *     segment = [leaf 0 | pad | leaf 1 | pad | …]        pad to 16 elements
 *               of an array in 8 bits: the codes, then the scales of the leaves' blocks
 *
 * An element has the same index in every segment of its class, so one base address an array serves all leaves, and
 * neighbouring leaves can be processed in one run.
 */

import type { BackendMemory, DType } from "./codegen/kernel.ts";
import type { ArraySpec } from "./codegen/passes.ts";
import type { NumericArray } from "./contracts.ts";
import { blocksOf } from "./expr/int8.ts";
import { type LeafInfo, matrixOf } from "./expr/node.ts";
import { sizeOf } from "./tree.ts";

/** One leaf's place in every segment, in elements. */
export interface Extent {
  readonly start: number;
  readonly size: number;
  /** Blocks of the leaves before it. */
  readonly block: number;
}

/** Where the leaves of one class lie. */
export interface ClassLayout {
  readonly extents: readonly Extent[];
  /** Elements of a segment, padding included. */
  readonly elements: number;
  /** Byte offset of each array's slot 0, and its bytes from slot to slot. */
  readonly bases: readonly number[];
  readonly slotBytes: readonly number[];
  /** Byte offset of each array of numbers of the columns. */
  readonly columns: readonly number[];
}

/** The parts of the memory that no class owns. */
export interface ArenaLayout {
  /** Where kernel frames go, and where kernels are warmed up. */
  readonly scratch: number;
  readonly warmup: number;
  /** Where matrix stages and evaluation work. */
  readonly work: number;
  /** Where numbers of arrays in 8 bits lie while a pass runs: `TILE` of each array that a pass has beside it. */
  readonly tiles: readonly number[];
  readonly classes: readonly ClassLayout[];
  readonly bytes: number;
}

/** What the layout needs to know of a class. */
export interface ClassContents {
  readonly leaves: readonly LeafInfo[];
  readonly arrays: readonly ArraySpec[];
  /** Arrays of numbers of the columns that a pass has beside it, at most. */
  readonly columns: number;
  /** Elements that its matrix stages and its evaluation work in. */
  readonly work: number;
  /** Arrays in 8 bits that a pass has beside it, at most. */
  readonly packed: number;
}

/** Elements that a warm-up run may touch in each stream. */
export const WARMUP_ELEMENTS = 1024;

/** Elements that a pass over arrays in 8 bits takes at once: whole blocks, and few enough to stay in the L1 cache. */
export const TILE = 1024;

const LEAF_ALIGNMENT = 16;

export function bytesOf(dtype: DType): 4 | 8 {
  return dtype === "float32" ? 4 : 8;
}

/** Bytes of an element of an array, scales of blocks apart. */
export function widthOf({ format }: ArraySpec, dtype: DType): 1 | 2 | 4 | 8 {
  return format === "int8" ? 1 : format === "bf16" ? 2 : bytesOf(dtype);
}

/** Bytes of a leaf of some elements in an array. */
export function leafBytes(spec: ArraySpec, dtype: DType, size: number): number {
  return size * widthOf(spec, dtype) + (spec.format === "int8" ? 4 * blocksOf(size) : 0);
}

/** Bytes from the codes of a segment to its scales. */
export function codeBytes(elements: number): number {
  return roundUp(elements, 64);
}

/** Lays out `frames` bytes of frames, the warm-up area and the classes, from byte `origin` of the memory. */
export function layOut(
  classes: readonly ClassContents[],
  dtype: DType,
  frames: number,
  origin = 0,
): ArenaLayout {
  const bytes = bytesOf(dtype);
  const scratch = roundUp(origin, 64);
  const warmup = roundUp(scratch + frames, 64);
  let offset = warmup + WARMUP_ELEMENTS * bytes;
  const take = (size: number): number => {
    const at = offset;
    offset += size;
    return at;
  };
  const needed = Math.max(...classes.map((each) => each.work), 0);
  const work = take(roundUp(needed * bytes, 64));
  const tiles = Array.from({ length: Math.max(...classes.map(({ packed }) => packed), 0) }, () =>
    take(TILE * bytes),
  );
  const placed = classes.map(({ leaves, arrays, columns }): ClassLayout => {
    let [elements, blocks] = [0, 0];
    const extents = leaves.map(({ shape }) => {
      const extent = { start: elements, size: sizeOf(shape), block: blocks };
      elements += roundUp(extent.size, LEAF_ALIGNMENT);
      blocks += blocksOf(extent.size);
      return extent;
    });
    const segmentBytes = (array: ArraySpec): number =>
      array.format === "int8"
        ? codeBytes(elements) + roundUp(4 * blocks, 64)
        : roundUp(elements * widthOf(array, dtype), 64);
    // Segments a multiple of 4096 bytes apart would collide in the cache; an odd number of lines is added.
    const slotBytes = arrays.map((array) => segmentBytes(array) + 64 * 5);
    const widest = Math.max(...leaves.map(({ shape }) => matrixOf(shape).columns), 0);
    return {
      extents,
      elements,
      bases: arrays.map(({ slots }, array) => take(slots * (slotBytes[array] as number))),
      slotBytes,
      columns: Array.from({ length: columns }, () => take(roundUp(widest * bytes, 64))),
    };
  });
  return { classes: placed, scratch, warmup, work, tiles, bytes: offset };
}

/** `size` numbers of the dtype from byte `at` of the memory. */
export function numbersAt(
  { buffer }: BackendMemory,
  dtype: DType,
  at: number,
  size: number,
): NumericArray {
  return dtype === "float32"
    ? new Float32Array(buffer, at, size)
    : new Float64Array(buffer, at, size);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
