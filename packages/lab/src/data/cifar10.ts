/** CIFAR-10: 50,000 pictures to train on and 10,000 to test on, 3 x 32 x 32 bytes, from files that the user has. */

import {
  type DataOptions,
  type DataSet,
  type FileHash,
  findData,
  hexOf,
  readData,
} from "./dataset.ts";
import { type ImageSet, pixelScale } from "./images.ts";
import type { ImageData } from "./labelledIdx.ts";

/** Images in a file. */
const perFile = 10_000;
const pixelsPerImage = 3 * 32 * 32;
/** A label, then red, green and blue, each row by row. */
const recordBytes = 1 + pixelsPerImage;

/** The six files of the binary version by their MD5: what is published with them. */
export const cifar10: DataSet = {
  name: "cifar-10",
  version: "1",
  files: (
    [
      ["data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"],
      ["data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"],
      ["data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"],
      ["data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"],
      ["data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"],
      ["test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"],
    ] as const
  ).map(([name, md5]) => ({ name, bytes: perFile * recordBytes, hash: ["md5", md5] })),
  download: { from: "https://www.cs.toronto.edu/~kriz/", archive: "cifar-10-binary.tar.gz" },
  advice:
    "run adastra data --fetch cifar-10, or pass the folder cifar-10-batches-bin of cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html",
};

/** The classes, by label. */
export const cifar10Classes = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
] as const;

export interface Cifar10 extends ImageData {
  /** What stands in a result file about the data. */
  readonly data: readonly FileHash[];
}

/**
 * The folder of the six files: `folder`, else `cifar-10/1` or `cifar-10` in the environment's `ADASTRA_DATA_DIR` or the
 * cache.
 *
 * @throws Error saying where was looked and how to get the files.
 */
export function findCifar10(options: DataOptions = {}): string {
  return findData("findCifar10", cifar10, options);
}

/**
 * Reads CIFAR-10's binary version, each file's length and MD5 checked before a byte of it is used. Mean and standard
 * deviation are those of all training pixels, the channels together.
 *
 * @throws Error naming the file that is missing, cut off or another one.
 * @see Krizhevsky 2009, Learning multiple layers of features from tiny images
 */
export function loadCifar10(options: DataOptions = {}): Cifar10 {
  return loadRecords(cifar10, options);
}

/** The same of any set whose last file is the one to test on. */
export function loadRecords(set: DataSet, options: DataOptions): Cifar10 {
  const folder = findData("findCifar10", set, options);
  const files = set.files.map(({ name }) => ({
    name,
    bytes: readData("loadCifar10", set, folder, name),
  }));
  const train = parseRecords(files.slice(0, -1));
  const scale = pixelScale(train.pixels);
  return {
    train: { ...train, ...scale },
    test: { ...parseRecords(files.slice(-1)), ...scale },
    data: files.map(({ name, bytes }) => ({
      name: `${set.name}/${name}`,
      sha256: hexOf("sha256", bytes),
    })),
  };
}

/**
 * Records of one label and 3072 pixels, from several files into memory that threads share.
 *
 * @throws RangeError naming the file that holds a part of a record or a label above 9.
 */
export function parseRecords(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
): Omit<ImageSet, "mean" | "std"> {
  const partial = files.find(({ bytes }) => bytes.length === 0 || bytes.length % recordBytes !== 0);
  if (partial !== undefined) {
    throw new RangeError(
      `parseRecords: "${partial.name}" must hold records of ${recordBytes} bytes, got ${partial.bytes.length} bytes; it is cut off or not CIFAR-10's binary version`,
    );
  }
  const count = files.reduce((sum, { bytes }) => sum + bytes.length / recordBytes, 0);
  const pixels = new Uint8Array(new SharedArrayBuffer(count * pixelsPerImage));
  const labels = new Uint8Array(new SharedArrayBuffer(count));
  let image = 0;
  for (const { name, bytes } of files) {
    for (let start = 0; start < bytes.length; start += recordBytes, image++) {
      const label = bytes[start] as number;
      if (label >= cifar10Classes.length) {
        throw new RangeError(
          `parseRecords: labels of "${name}" must be from 0 to 9, got ${label} at byte ${start}; it is damaged or not CIFAR-10's binary version`,
        );
      }
      labels[image] = label;
      pixels.set(bytes.subarray(start + 1, start + recordBytes), image * pixelsPerImage);
    }
  }
  return { count, pixels, pixelsPerImage, labels };
}
