/** Arrays that are kept in fewer bits, as views on the memory. */

import { codeBytes } from "../arena.ts";
import { blocksOf } from "../expr/int8.ts";
import type { StoredView, Tensor } from "./tensor.ts";

/** bfloat16 by their bits; of 8 bits the codes, then the scales of the blocks. */
export const inFewerBits: StoredView = (tensor, array, slot) => {
  const { owner, extent } = tensor;
  const { buffer } = owner.memory;
  const at = owner.address(array, slot, extent.start);
  switch (owner.plan.arrays[array]?.format) {
    case "bf16":
      return [new Uint16Array(buffer, at, extent.size)];
    case "int8":
      return [new Uint8Array(buffer, at, extent.size), scalesOf(tensor, array, slot)];
    default:
      return undefined;
  }
};

/** The scales of an array in 8 bits, one a block. */
export function scalesOf({ owner, extent }: Tensor, array: number, slot: number): Float32Array {
  const codes = owner.address(array, slot, 0);
  const at = codes + codeBytes(owner.layout.elements) + 4 * extent.block;
  return new Float32Array(owner.memory.buffer, at, blocksOf(extent.size));
}
