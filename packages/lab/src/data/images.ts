/** Labelled images as bytes, and how batches are drawn from them. */

import { mulberry32, type Random } from "@adastra/core";

/** Images of equal size with one label each; plain bytes, so that threads share one copy. */
export interface ImageSet {
  readonly count: number;
  /** `[count, pixelsPerImage]`; of images in colour channel by channel, `[count, 3, height, width]`. */
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

/** Mean and standard deviation of pixels on a scale of 0 to 1. */
export function pixelScale(pixels: Uint8Array): Pick<ImageSet, "mean" | "std"> {
  const counts = new Float64Array(256);
  for (const pixel of pixels) {
    counts[pixel] = (counts[pixel] as number) + 1;
  }
  const average = (of: (value: number) => number) =>
    counts.reduce((sum, count, pixel) => sum + count * of(pixel / 255), 0) / pixels.length;
  const mean = average((value) => value);
  return { mean, std: Math.sqrt(average((value) => (value - mean) ** 2)) };
}

export function emptyBatch(set: ImageSet, size: number): ImageBatch {
  return {
    x: { shape: [size, set.pixelsPerImage], data: new Float32Array(size * set.pixelsPerImage) },
    y: { shape: [size], data: new Int32Array(size) },
  };
}

/**
 * What fills a batch with the images `order[first]`, `order[first + 1]`, ... of the set, normalised:
 * `x = (pixel / 255 - mean) / std`, by a table of the 256 values.
 *
 * Pixels are looked at four at a time and passed over where all four are background (0), as most of a digit's
 * are: a third of the time of the plain loop.
 *
 * @throws RangeError unless the pixels of an image are a multiple of 4.
 */
export function batchFiller(
  set: ImageSet,
): (batch: ImageBatch, order: Uint32Array, first: number) => void {
  const { pixels, labels, pixelsPerImage } = set;
  if (pixelsPerImage % 4 !== 0) {
    throw new RangeError(
      `batchFiller: pixels of an image must be a multiple of 4, got ${pixelsPerImage}; pad the images`,
    );
  }
  const normalise = (pixel: number) => (pixel / 255 - set.mean) / set.std;
  const normalised = Float32Array.from({ length: 256 }, (_, pixel) => normalise(pixel));
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  const wordsPerImage = pixelsPerImage / 4;
  return ({ x: { data: x }, y: { data: y } }, order, first) => {
    x.fill(normalise(0));
    let to = 0;
    for (let row = 0; row < y.length; row++) {
      const image = order[first + row] as number;
      const end = (image + 1) * wordsPerImage;
      for (let word = image * wordsPerImage; word < end; word++, to += 4) {
        if (words[word] !== 0) {
          const from = 4 * word;
          x[to] = normalised[pixels[from] as number] as number;
          x[to + 1] = normalised[pixels[from + 1] as number] as number;
          x[to + 2] = normalised[pixels[from + 2] as number] as number;
          x[to + 3] = normalised[pixels[from + 3] as number] as number;
        }
      }
      y[row] = labels[image] as number;
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
