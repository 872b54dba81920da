import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cifar10, cifar10Classes, loadCifar10, loadRecords, parseRecords } from "./cifar10.ts";
import { type DataSet, hexOf } from "./dataset.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "adastra-cifar-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A record whose red, green and blue are one value each. */
const record = (label: number, ...rgb: readonly [number, number, number]) =>
  Buffer.concat([Buffer.of(label), ...rgb.map((value) => Buffer.alloc(1024, value))]);

/** Six small files under the published names, and the set they are. */
function smallSet(): DataSet {
  const files = cifar10.files.map(({ name }, i) => {
    const bytes = Buffer.concat([record(i, 10 * i, 1, 2), record(9 - i, 3, 4, 5)]);
    writeFileSync(join(folder, name), bytes);
    return { name, bytes: bytes.length, hash: ["md5", hexOf("md5", bytes)] as const };
  });
  return { ...cifar10, files };
}

describe("CIFAR-10's binary version", () => {
  test("five files to train on and one to test on, channel by channel, with SHA-256 for results", () => {
    const { train, test: held, data } = loadRecords(smallSet(), { folder });
    expect([train.count, held.count, train.pixelsPerImage]).toEqual([10, 2, 3072]);
    expect([...train.labels]).toEqual([0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
    expect([...held.labels]).toEqual([5, 4]);
    const third = train.pixels.subarray(2 * 3072, 3 * 3072);
    expect([0, 1023, 1024, 2047, 2048, 3071].map((at) => third[at])).toEqual([10, 10, 1, 1, 2, 2]);
    expect(train.pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
    const mean = (0 + 10 + 20 + 30 + 40 + 5 * (1 + 2 + 3 + 4 + 5)) / 30 / 255;
    expect(train.mean).toBeCloseTo(mean, 12);
    expect([held.mean, held.std]).toEqual([train.mean, train.std]);
    const first = Buffer.concat([record(0, 0, 1, 2), record(9, 3, 4, 5)]);
    expect(data.length).toBe(6);
    expect(data[0]).toEqual({ name: "cifar-10/data_batch_1.bin", sha256: hexOf("sha256", first) });
  });

  test("is 10,000 records a file and ten classes", () => {
    expect(cifar10.files.map(({ bytes }) => bytes)).toEqual(Array(6).fill(30_730_000));
    expect(cifar10.files[0]?.hash).toEqual(["md5", "5dd7e06a14cb22eb9f671a540d1b7c25"]);
    expect(cifar10Classes.length).toBe(10);
  });

  test("a file that is missing is named, with where to get it", () => {
    smallSet();
    rmSync(join(folder, "test_batch.bin"));
    expect(() => loadCifar10({ folder })).toThrow(
      new Error(
        `findCifar10: "test_batch.bin" must lie in ${folder}, got no such file; run adastra data --fetch cifar-10, or pass the folder cifar-10-batches-bin of cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html`,
      ),
    );
  });

  test("a file that is cut off or another one is named", () => {
    const set = smallSet();
    const path = join(folder, "data_batch_1.bin");
    expect(() => loadCifar10({ folder })).toThrow(
      `loadCifar10: "${path}" must hold 30730000 bytes, got 6146; it is cut off or another file, delete it and get the published one`,
    );
    const other = Buffer.alloc(2 * 3073, 1);
    writeFileSync(path, other);
    expect(() => loadRecords(set, { folder })).toThrow(
      `loadCifar10: "${path}" must have MD5 ${set.files[0]?.hash[1]}, got ${hexOf("md5", other)}; delete it and get the published file`,
    );
  });
});

test("records that are not CIFAR-10's are refused", () => {
  const parse = (bytes: Uint8Array) => () => parseRecords([{ name: "f", bytes }]);
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(3074)]) {
    expect(parse(bytes)).toThrow(
      new RangeError(
        `parseRecords: "f" must hold records of 3073 bytes, got ${bytes.length} bytes; it is cut off or not CIFAR-10's binary version`,
      ),
    );
  }
  expect(parse(Buffer.concat([record(1, 1, 1, 1), record(10, 1, 1, 1)]))).toThrow(
    new RangeError(
      'parseRecords: labels of "f" must be from 0 to 9, got 10 at byte 3073; it is damaged or not CIFAR-10\'s binary version',
    ),
  );
});
