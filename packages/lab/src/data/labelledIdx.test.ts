import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DataSet, hexOf } from "./dataset.ts";
import { fashion, fashionClasses, fashionData, loadFashion } from "./fashion.ts";
import { loadLabelledIdx } from "./labelledIdx.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "adastra-idx-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const images = (...pixels: number[]) =>
  Uint8Array.from([0, 0, 8, 3, 0, 0, 0, pixels.length / 4, 0, 0, 0, 2, 0, 0, 0, 2, ...pixels]);
const labels = (...values: number[]) =>
  Uint8Array.from([0, 0, 8, 1, 0, 0, 0, values.length, ...values]);

/** Four small files under the names of the real ones, compressed as Debian has them, and the set they are. */
function smallSet(testLabels: Uint8Array): DataSet {
  const contents = [images(1, 2, 3, 4, 5, 6, 7, 8), labels(7, 9), images(9, 8, 7, 6), testLabels];
  const files = fashion.files.map(({ name }, i) => {
    const bytes = contents[i] as Uint8Array;
    writeFileSync(join(folder, `${name}.gz`), gzipSync(bytes));
    return { name, bytes: bytes.length, hash: ["sha256", hexOf("sha256", bytes)] as const };
  });
  return { ...fashion, files, systemFolder: folder };
}

const where = { find: "find", load: "load" };
const scale = { mean: 0.5, std: 0.25 };
/** A cache without anything in it. */
const options = () => ({ environment: { XDG_CACHE_HOME: folder } });

describe("four IDX files", () => {
  test("are read from a system folder, compressed, into training and test images", () => {
    const { train, test: held } = loadLabelledIdx(where, smallSet(labels(3)), scale, options());
    expect({ ...train, pixels: [...train.pixels], labels: [...train.labels] }).toEqual({
      count: 2,
      pixelsPerImage: 4,
      pixels: [1, 2, 3, 4, 5, 6, 7, 8],
      labels: [7, 9],
      ...scale,
    });
    expect([...held.pixels, ...held.labels]).toEqual([9, 8, 7, 6, 3]);
    expect(train.pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test("with a label too many are refused", () => {
    expect(() => loadLabelledIdx(where, smallSet(labels(3, 3)), scale, options())).toThrow(
      new RangeError(
        'load: "t10k-labels-idx1-ubyte" must hold a label for each of 1 images, got 2; get both files again',
      ),
    );
  });
});

describe("Fashion-MNIST", () => {
  test("is not downloaded unasked: what is missing is named, with three ways to get it", () => {
    expect(() => loadFashion({ folder })).toThrow(
      new Error(
        `findFashion: "train-images-idx3-ubyte" must lie in ${folder}, got no such file; run adastra data --fetch fashion-mnist, install the Debian package dataset-fashion-mnist, or pass a folder with the four IDX files`,
      ),
    );
  });

  test("is looked for in Debian's folder, and is not MNIST though its files have the same names", () => {
    expect(fashion.systemFolder).toBe("/usr/share/datasets/fashion-mnist");
    smallSet(labels(3));
    expect(() => loadFashion({ folder })).toThrow(
      `loadFashion: "${join(folder, "train-images-idx3-ubyte.gz")}" must hold 47040016 bytes decompressed, got 24`,
    );
  });

  test("stands in result files by name and hash", () => {
    expect(fashionData[0]).toEqual({
      name: "fashion-mnist/train-images-idx3-ubyte",
      sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    });
    expect(fashionData.length).toBe(4);
    expect(fashionClasses.length).toBe(10);
  });
});
