/** Labelled images as bytes, and how batches are drawn from them. */

import { mulberry32, type Random } from "@adastra/core";

/** Images of equal size with one label each; plain bytes, so that threads share one copy. */
export interface ImageSet {
  readonly count: number;
  /** `[count, pixelsPerImage]`. */
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  readonly pixelsPerImage: number;
  /** `[count]`. */
  readonly labels: Uint8Array<SharedArrayBuffer>;
  /** Of the training pixels on a scale of 0 to 1; batches are normalised with them. */
  readonly mean: number;
  readonly std: number;
}

/** Arrays of one batch, written again and again: `x` is `[batch, pixelsPerImage]`, `y` is `[batch]`. */
export interface ImageBatch {
  readonly x: { readonly shape: readonly number[]; readonly data: Float32Array };
  readonly y: { readonly shape: readonly number[]; readonly data: Int32Array };
}

export function emptyBatch(set: ImageSet, size: number): ImageBatch {
  return {
    x: { shape: [size, set.pixelsPerImage], data: new Float32Array(size * set.pixelsPerImage) },
    y: { shape: [size], data: new Int32Array(size) },
  };
}

/**
 * Writes a function that fills a batch with the images `order[first]`, `order[first + 1]`, ... of the set,
 * normalised: `x = (pixel / 255 - mean) / std`, by a table of the 256 values.
 */
export function batchFiller(
  set: ImageSet,
): (batch: ImageBatch, order: Uint32Array, first: number) => void {
  const normalised = Float32Array.from(
    { length: 256 },
    (_, pixel) => (pixel / 255 - set.mean) / set.std,
  );
  const { pixels, labels, pixelsPerImage } = set;
  return ({ x, y }, order, first) => {
    for (let row = 0; row < y.data.length; row++) {
      const image = order[first + row] as number;
      const from = image * pixelsPerImage;
      const to = row * pixelsPerImage;
      for (let i = 0; i < pixelsPerImage; i++) {
        x.data[to + i] = normalised[pixels[from + i] as number] as number;
      }
      y.data[row] = labels[image] as number;
    }
  };
}

/** 0, 1, ..., count - 1. */
export function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** Fisher-Yates, in place. */
export function shuffle(order: Uint32Array, random: Random): Uint32Array {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}

/** Which training images are held out; a property of the problem, so that every optimizer has the same. */
const splitSeed = 20_181_000;

/**
 * Splits a training set for tuning: a fixed random choice of `heldOut` images to validate on, the others to train on.
 */
export function validationSplit(
  set: ImageSet,
  heldOut: number,
): { readonly train: Uint32Array; readonly validation: Uint32Array } {
  const order = shuffle(inOrder(set.count), mulberry32(splitSeed));
  return { train: order.slice(heldOut), validation: order.slice(0, heldOut) };
}
