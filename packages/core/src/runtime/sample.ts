/**
 * Which elements of a tensor an inspected step looks at.
 *
 *     blocks of 256 in groups of k = min(1021, ⌊n/512⌋): of group i, block (⌊0.618 k⌋ i + t) mod k
 *
 * So about n/k elements in as many places as there are groups, all of them below 1024 elements. From group to group the
 * place moves on by a part of k that fits no width of a matrix, and from step to step by one block: in k steps every
 * element has been looked at.
 */

import type { RowRange } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

const BLOCK = 256;
const LEAST = 512;
const MOST_GROUPED = 1021;

/** Elements [start, end) of a tensor. */
export type Block = readonly [start: number, end: number];

/** Elements of n in the sample of step number `t`, in order; blocks begin at multiples of 8. */
export function sampleOf(n: number, t: number): readonly Block[] {
  const group = Math.min(MOST_GROUPED, Math.floor(n / LEAST));
  if (group <= 1) {
    return n === 0 ? [] : [[0, n]];
  }
  const shift = Math.floor(0.618 * group);
  const sample: Block[] = [];
  for (let i = 0, first = 0; first < n; i++, first += group * BLOCK) {
    const start = first + ((shift * i + t) % group) * BLOCK;
    if (start < n) {
      sample.push([start, Math.min(start + BLOCK, n)]);
    }
  }
  return sample;
}

/** How many elements blocks have. */
export function sizeOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** Blocks of a tensor as ranges of its class's segments, cut where rows end if they run row by row. */
export function rangesOf(
  { extent, matrix: { columns } }: Tensor,
  blocks: readonly Block[],
  perRow: boolean,
): RowRange[] {
  const ranges: RowRange[] = [];
  for (const [from, to] of blocks) {
    for (let at = from; at < to; ) {
      const row = perRow ? Math.floor(at / columns) : 0;
      const end = perRow ? Math.min(to, (row + 1) * columns) : to;
      ranges.push({ start: extent.start + at, end: extent.start + end, row });
      at = end;
    }
  }
  return ranges;
}
