/** Data sets of the shape that MNIST has: images and labels to train and to test on, in four IDX files. */

import { type DataFile, type DataOptions, type DataSet, findData, readData } from "./dataset.ts";
import { parseIdx } from "./idx.ts";
import type { ImageSet } from "./images.ts";

/** Training and test part; the bytes lie in memory that threads share, so a copy of this object is small. */
export interface ImageData {
  readonly train: ImageSet;
  readonly test: ImageSet;
}

const names = {
  trainImages: "train-images-idx3-ubyte",
  trainLabels: "train-labels-idx1-ubyte",
  testImages: "t10k-images-idx3-ubyte",
  testLabels: "t10k-labels-idx1-ubyte",
} as const;

/** The four files of 60,000 and 10,000 images of 28x28, by the SHA-256 of each. */
export function labelledIdxFiles(
  sha256: Readonly<Record<keyof typeof names, string>>,
): readonly DataFile[] {
  const images = (count: number) => 16 + 784 * count;
  const labels = (count: number) => 8 + count;
  const bytes = {
    trainImages: images(60_000),
    trainLabels: labels(60_000),
    testImages: images(10_000),
    testLabels: labels(10_000),
  };
  return (Object.keys(names) as (keyof typeof names)[]).map((part) => ({
    name: names[part],
    bytes: bytes[part],
    hash: ["sha256", sha256[part]],
  }));
}

/** Mean and standard deviation of the training pixels, on a scale of 0 to 1. */
export type PixelScale = Pick<ImageSet, "mean" | "std">;

/**
 * Finds and reads the four files.
 *
 * @param where - names of the functions that find and read, for errors.
 * @throws Error naming the file that is missing or has other bytes than the published ones; RangeError when images
 * and labels differ in number.
 */
export function loadLabelledIdx(
  where: { readonly find: string; readonly load: string },
  set: DataSet,
  scale: PixelScale,
  options: DataOptions = {},
): ImageData {
  const folder = findData(where.find, set, options);
  const part = (images: string, labels: string): ImageSet => {
    const pixels = parseIdx(readData(where.load, set, folder, images), images);
    const marks = parseIdx(readData(where.load, set, folder, labels), labels);
    const [count = 0, ...extents] = pixels.shape;
    if (marks.data.length !== count) {
      throw new RangeError(
        `${where.load}: "${labels}" must hold a label for each of ${count} images, got ${marks.data.length}; get both files again`,
      );
    }
    return {
      count,
      pixels: pixels.data,
      pixelsPerImage: extents.reduce((product, extent) => product * extent, 1),
      labels: marks.data,
      ...scale,
    };
  };
  return {
    train: part(names.trainImages, names.trainLabels),
    test: part(names.testImages, names.testLabels),
  };
}
