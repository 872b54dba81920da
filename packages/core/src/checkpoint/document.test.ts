import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DocumentPath, type DocumentValue, pack, unpack } from "./document.ts";
import { CheckpointError } from "./error.ts";
import { MAX_DEPTH, parseJson } from "./json.ts";
import { readSafetensors, type Tensor, writeSafetensors } from "./safetensors.ts";

const byPath = (path: DocumentPath, data: Tensor["data"]) => ({
  name: path.join("/"),
  shape: [data.length],
});

/** Through text and bytes, as in a file. */
function through(document: unknown): unknown {
  const { json, tensors } = pack("save", document, byPath);
  const read = readSafetensors(writeSafetensors(tensors, { json: JSON.stringify(json) }));
  const parsed = parseJson("load", "the document", read.metadata["json"] as string);
  return unpack("load", { json: parsed, tensors: read.tensors }).document;
}

describe("a document", () => {
  it("comes back bit for bit, whatever it holds", () => {
    const array = fc.oneof(
      fc.float64Array({ maxLength: 3 }),
      fc.float32Array({ maxLength: 3 }),
      fc.int32Array({ maxLength: 3 }),
      fc.uint16Array({ maxLength: 3 }),
      fc.uint8Array({ maxLength: 3 }),
    );
    const key = fc
      .oneof(fc.string(), fc.constantFrom("$tensor", "$number", "$", "$$", "$$tensor", "toString"))
      .filter((text) => text !== "__proto__");
    const { value } = fc.letrec<{ value: DocumentValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.oneof(fc.constant(null), fc.boolean(), fc.string(), fc.double(), fc.integer()),
        array,
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(key, tie("value"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(value, (document) => {
        // Prototypes aside: a dictionary's is null.
        const plain = structuredClone(document);
        // toStrictEqual tells 0 from -0 and one typed array from another.
        expect(through(document)).toStrictEqual(plain);
      }),
      { numRuns: 1000, seed: 1 },
    );
  });

  it("leaves out undefined, as JSON does", () => {
    expect(through({ a: undefined, b: 1 })).toStrictEqual({ b: 1 });
  });

  it("may come from another realm", () => {
    const foreign: unknown = runInNewContext("({ a: [new Float32Array([1])], b: -0 })");
    expect(through(foreign)).toStrictEqual({ a: [Float32Array.of(1)], b: -0 });
  });

  it("names tensors apart whose paths give one name", () => {
    const document = {
      "a/b": Uint8Array.of(1),
      a: { b: Uint8Array.of(2), "b~2": Uint8Array.of(3) },
    };
    const { tensors } = pack("save", document, byPath);
    expect(Object.keys(tensors)).toEqual(["a/b", "a/b~2", "a/b~2~2"]);
    expect(through(document)).toStrictEqual(document);
  });

  it("may have keys that no file can, in the names of its tensors", () => {
    const document = { "\ud800": Uint8Array.of(1), "\ud801": Uint8Array.of(2) };
    expect(Object.keys(pack("save", document, byPath).tensors)).toEqual(["\ufffd", "\ufffd~2"]);
    expect(through(document)).toStrictEqual(document);
  });

  it(`nests ${MAX_DEPTH} deep, tags included`, () => {
    const nested = (depth: number, leaf: unknown): unknown =>
      depth === 0 ? leaf : [nested(depth - 1, leaf)];
    for (const [leaf, depth] of [
      [1, MAX_DEPTH],
      [Number.NaN, MAX_DEPTH - 1],
      [Uint8Array.of(1), MAX_DEPTH - 1],
    ] as const) {
      expect(through(nested(depth, leaf))).toStrictEqual(nested(depth, leaf));
      expect(() => through(nested(depth + 1, leaf))).toThrow(
        'save: "0/0/0/0/0/0/0/0/0/0/0/0/..." must nest at most 64 deep, got 65',
      );
    }
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(() => through(cyclic)).toThrow("must nest at most 64 deep");
  });

  it.each([
    [{ a: () => 1 }, 'save: "a" must be JSON or a typed array of a tensor\'s dtype, got () => 1'],
    [
      { a: [undefined] },
      'save: "a/0" must be JSON or a typed array of a tensor\'s dtype, got undefined',
    ],
    [{ a: 1n }, 'save: "a" must be JSON or a typed array of a tensor\'s dtype, got 1'],
    [
      { a: new Date(0) },
      'save: "a" must be JSON or a typed array of a tensor\'s dtype, got an object',
    ],
    [
      { a: new (class Point {})() },
      'save: "a" must be JSON or a typed array of a tensor\'s dtype, got an object',
    ],
    [
      { a: new BigInt64Array(1) },
      'save: "a" must be JSON or a typed array of a tensor\'s dtype, got an object',
    ],
    [
      { a: JSON.parse('{"__proto__":1}') as unknown },
      'save: "a" must not have this key, got "__proto__"',
    ],
  ])("holds nothing that would be lost: %o", (document, message) => {
    const refused = () => pack("save", document, byPath);
    expect(refused).toThrow(TypeError);
    expect(refused).toThrow(message);
  });

  const tensors = { x: { shape: [1], data: Uint8Array.of(7) } };

  it.each([
    [{ a: { $tensor: "y" } }, "MISSING_TENSOR", 'the file must hold the tensor of "a", got "y"'],
    [
      { a: { $tensor: "toString" } },
      "MISSING_TENSOR",
      'the file must hold the tensor of "a", got "toString"',
    ],
    [{ a: { $tensor: 1 } }, "DOCUMENT", '"a" must name a tensor, got 1'],
    [
      { a: { $tensor: "x" }, b: { $tensor: "x" } },
      "DOCUMENT",
      'a tensor must have one place, got "x"',
    ],
    [{}, "EXTRA_TENSOR", 'the file must hold the tensors of its document alone, got "x"'],
    [{ a: { $number: "1" } }, "DOCUMENT", '"a" must be a number, got "1"'],
    [{ a: { $number: "toString" } }, "DOCUMENT", '"a" must be a number, got "toString"'],
    [
      { a: { $tensor: "x", b: 1 } },
      "DOCUMENT",
      '"a" must have a key this version knows, got "$tensor"',
    ],
    [
      JSON.parse('{"a":[1e999]}') as unknown,
      "DOCUMENT",
      '"a/0" must be a number as this version writes it, got Infinity',
    ],
    [{ a: { $date: 1 } }, "DOCUMENT", '"a" must have a key this version knows, got "$date"'],
  ])("is refused when it does not fit its tensors: %o", (json, code, message) => {
    // `unpack` works in the memory of `json`.
    const refused = () => unpack("load", { json: structuredClone(json), tensors });
    expect(refused).toThrow(CheckpointError);
    expect(refused).toThrow(expect.objectContaining({ code, message: `load: ${message}` }));
  });
});
