/**
 * MNIST-on-noise: a digit of MNIST at a random place before a background of coloured 1/f noise, 3 x 32 x 32 bytes.
 *
 *     pixel = |background − digit|          both in [0, 1], the digit the same in all three channels
 *
 * Made here, from MNIST; no pictures of things, and no figure on it compares with one on CIFAR-10. Where a digit is
 * white the background shows inverted, so its strokes have no colour of their own and a linear model sees little.
 */

import { mulberry32, type Random } from "@adastra/core";
import { noiseField } from "./colourNoise.ts";
import { type ImageSet, pixelScale } from "./images.ts";
import type { ImageData } from "./labelledIdx.ts";

export const colourMnistShape = [3, 32, 32] as const;

const side = 32;
const digitSide = 28;
const area = side * side;
const pixelsPerImage = 3 * area;

/** Writes image `index` of a set, `[3, 32, 32]`; the same bytes for the same digits, seed and index, in any order. */
export type DrawImage = (index: number, into: Uint8Array) => void;

/**
 * What makes images on the fly, one for each digit. Each has a generator of its own, forked from the seed by its index.
 *
 * @throws RangeError unless the digits are 28x28.
 */
export function colourDigits(digits: ImageSet, seed: number): DrawImage {
  if (digits.pixelsPerImage !== digitSide * digitSide) {
    throw new RangeError(
      `colourDigits: digits must have 784 pixels, got ${digits.pixelsPerImage}; pass a part of MNIST`,
    );
  }
  const root = mulberry32(seed);
  const drawBackground = background();
  return (index, into) => {
    if (!(Number.isSafeInteger(index) && index >= 0 && index < digits.count)) {
      throw new RangeError(
        `colourDigits: \`index\` must be an integer from 0 to ${digits.count - 1}, got ${index}`,
      );
    }
    const random = root.fork(`image ${index}`);
    const { values, lowest, range } = drawBackground(random);
    const top = random.integer(side - digitSide + 1);
    const left = random.integer(side - digitSide + 1);
    for (let pixel = 0; pixel < pixelsPerImage; pixel++) {
      into[pixel] = Math.round((255 * ((values[pixel] as number) - lowest)) / range);
    }
    let from = index * digits.pixelsPerImage;
    for (let y = top; y < top + digitSide; y++) {
      for (let x = left; x < left + digitSide; x++, from++) {
        const digit = digits.pixels[from] as number;
        for (let at = y * side + x; at < pixelsPerImage; at += area) {
          into[at] = Math.abs((into[at] as number) - digit);
        }
      }
    }
  };
}

/** Three independent fields, and what scales them to [0, 1] together. */
function background(): (random: Random) => {
  readonly values: Float64Array;
  readonly lowest: number;
  readonly range: number;
} {
  const draw = noiseField(side);
  const values = new Float64Array(pixelsPerImage);
  return (random) => {
    for (let channel = 0; channel < 3; channel++) {
      draw(random, values.subarray(channel * area, (channel + 1) * area));
    }
    let lowest = Number.POSITIVE_INFINITY;
    let highest = Number.NEGATIVE_INFINITY;
    for (const value of values) {
      lowest = Math.min(lowest, value);
      highest = Math.max(highest, value);
    }
    return { values, lowest, range: highest - lowest };
  };
}

export interface ColourMnistOptions {
  /** Default 1. Training and test images are drawn from different forks of it. */
  readonly seed?: number;
  /** Images to train on, from the first digit of MNIST's training part; default 20,000. */
  readonly train?: number;
  /** Images to test on, likewise; default 10,000. */
  readonly test?: number;
}

/**
 * Both parts in memory, half a millisecond and 3 kB an image. Mean and standard deviation are those of the training
 * images made.
 *
 * @throws RangeError for more images than there are digits.
 */
export function colourMnist(
  mnist: ImageData,
  { seed = 1, train = 20_000, test = 10_000 }: ColourMnistOptions = {},
): ImageData {
  requireCount("train", train, mnist.train.count);
  requireCount("test", test, mnist.test.count);
  const root = mulberry32(seed);
  const make = (part: "train" | "test", count: number) => {
    const digits = mnist[part];
    const draw = colourDigits(digits, seedOf(root.fork(part)));
    const pixels = new Uint8Array(new SharedArrayBuffer(count * pixelsPerImage));
    for (let index = 0; index < count; index++) {
      draw(index, pixels.subarray(index * pixelsPerImage, (index + 1) * pixelsPerImage));
    }
    return { count, pixels, pixelsPerImage, labels: digits.labels.subarray(0, count) };
  };
  const images = make("train", train);
  const scale = pixelScale(images.pixels);
  return { train: { ...images, ...scale }, test: { ...make("test", test), ...scale } };
}

function requireCount(part: string, count: number, digits: number): void {
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= digits)) {
    throw new RangeError(
      `colourMnist: \`${part}\` must be an integer from 1 to ${digits}, got ${count}`,
    );
  }
}

function seedOf(random: Random): number {
  return random.integer(2 ** 32);
}
