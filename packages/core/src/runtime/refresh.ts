/** Windows while they run: which elements continue theirs, and which sum them anew. */

import type { Pass, Variant } from "../codegen/passes.ts";
import { refreshRange } from "../codegen/windows.ts";
import type { Piece, Range } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

/** The pieces of a range, in order: before, within and after the block whose turn it is. */
export function refreshed(
  { steady, refresh }: Pass,
  { count, owner }: Tensor,
  { start, end }: Range,
): Piece[] {
  const [from, to] = refreshRange(count + 1, owner.layout.elements).map((at) =>
    Math.min(Math.max(at, start), end),
  ) as [number, number];
  return [
    { variant: steady, start, end: from },
    // A pass is cut into pieces because it has this variant.
    { variant: refresh as Variant, start: from, end: to },
    { variant: steady, start: to, end },
  ];
}
