/** Gradients as a caller passes them, checked before anything is copied. */

import { GRADIENT } from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import { ShapeMismatchError, show } from "../errors.ts";
import { isNumericArray } from "../tree.ts";
import type { Tensor } from "./tensor.ts";

/** By leaf path; a leaf without one is skipped. */
export type Gradients = Readonly<Record<string, NumericArray | null | undefined>>;

/** Where the gradient of a tensor's next step is written. */
export function gradientSlot(tensor: Tensor): number {
  return tensor.owner.slotAt(GRADIENT, tensor.count + 1, 0);
}

/**
 * The tensors that have a gradient, each with it.
 *
 * @throws RangeError for a path that no leaf has, TypeError for what is no array, ShapeMismatchError for its length.
 */
export function acceptGradients(
  where: string,
  gradients: Gradients,
  tensorAt: ReadonlyMap<string, Tensor>,
): (readonly [Tensor, NumericArray])[] {
  const given: (readonly [Tensor, NumericArray])[] = [];
  for (const [path, data] of Object.entries(gradients)) {
    const tensor = tensorAt.get(path);
    if (tensor === undefined) {
      const paths = [...tensorAt.keys()];
      const shown = paths.slice(0, 8).join(", ") + (paths.length > 8 ? ", ..." : "");
      throw new RangeError(
        `${where}: gradients must belong to leaves, got "${path}"; leaves are ${shown}`,
      );
    }
    if (data === null || data === undefined) {
      continue;
    }
    if (!isNumericArray(data)) {
      throw new TypeError(
        `${where}: the gradient of leaf "${path}" must be a Float32Array or Float64Array, got ${show(data)}; convert it`,
      );
    }
    if (data.length !== tensor.extent.size) {
      throw new ShapeMismatchError(where, path, tensor.leaf.shape, [data.length]);
    }
    given.push([tensor, data]);
  }
  return given;
}
