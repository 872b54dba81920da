/** Freezing: some leaves of a model stay as they are while the others are trained. */

import { type LeafMask, type Leaves, splitLeaves, type Tree } from "@adastra/core";

/**
 * Splits parameters into those that are trained and those that are not.
 *
 * Compile with `params`, and hand `frozen` to it as state, beside what the layers keep: `state: { ...state,
 * ...frozen }`. `apply` reads a parameter that `params` does not hold from the state of its third argument, so
 * the loss stays as it is; no gradient of frozen leaves is computed, and none flows further back than the first
 * trained one needs. Unfreezing is compiling with `{ ...optimizer.params, ...frozen }`.
 *
 * @param mask - Patterns of paths (`"backbone/**"`) or a function of path and shape; each must take a leaf.
 * @returns Leaves by path; arrays are those of the tree, not copies.
 * @throws TypeError or RangeError for what is no mask, or takes no leaf.
 * @example
 * const { params, frozen } = freeze(model.init(random, shape), "onnx1/**");
 * const gradient = await compile(loss, { params, state: { ...state, ...frozen }, example });
 */
export function freeze(
  params: Tree<Float32Array>,
  mask: LeafMask,
): { readonly params: Leaves<Float32Array>; readonly frozen: Leaves<Float32Array> } {
  const { taken, others } = splitLeaves(params, mask, "freeze");
  return { params: others, frozen: taken };
}
