/** Batches of labelled pictures, each in arrays of its own. */

import type { Leaf } from "@adastra/core";

/** `x` is `[examples, pixels]`, `y` the labels `[examples]`. */
export interface LabelledBatch {
  readonly [name: string]: Leaf<Float32Array> | Labels;
  readonly x: Leaf<Float32Array>;
  readonly y: Labels;
}

export interface Labels {
  readonly shape: readonly number[];
  readonly data: Int32Array;
}
