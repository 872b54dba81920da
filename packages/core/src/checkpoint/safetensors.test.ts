import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ShapeMismatchError } from "../errors.ts";
import { CheckpointError } from "./error.ts";
import {
  join,
  readSafetensors,
  safetensorsParts,
  type Tensor,
  writeSafetensors,
} from "./safetensors.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** A file with this header, whatever it says, and this much data. */
function fileOf(header: string | object, data: number | Uint8Array = 0, length?: number) {
  const text = typeof header === "string" ? ascii(header) : ascii(JSON.stringify(header));
  const start = new Uint8Array(8);
  new DataView(start.buffer).setBigUint64(0, BigInt(length ?? text.length), true);
  return join([start, text, typeof data === "number" ? new Uint8Array(data) : data]);
}

const f32 = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

/** One of each dtype, widest last, with every kind of number that a dtype has. */
const every: Readonly<Record<string, Tensor>> = {
  u8: { shape: [3], data: Uint8Array.of(0, 127, 255) },
  bf16: { shape: [1, 1], data: Uint16Array.of(0x3f80) },
  i32: { shape: [2], data: Int32Array.of(-1, 2 ** 31 - 1) },
  f32: { shape: [4], data: Float32Array.of(-0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45) },
  f64: { shape: [], data: Float64Array.of(Math.PI) },
  "": { shape: [0, 5], data: new Float64Array(0) },
};

describe("writeSafetensors", () => {
  it("writes length, header and data as the format says", () => {
    const bytes = writeSafetensors(
      {
        b: { shape: [2], data: Uint8Array.of(1, 2) },
        a: { shape: [1], data: Float32Array.of(1) },
      },
      { format: "pt" },
    );
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}';
    const padded = header.padEnd(144);
    expect(bytes).toEqual(
      join([
        Uint8Array.of(144, 0, 0, 0, 0, 0, 0, 0),
        ascii(padded),
        Uint8Array.of(0, 0, 0x80, 0x3f, 1, 2),
      ]),
    );
  });

  it("gives the same bytes whatever the order, and takes only the elements of a view", () => {
    const reversed = Object.fromEntries(Object.entries(every).toReversed());
    expect(writeSafetensors(reversed)).toEqual(writeSafetensors(every));
    const view = Float32Array.of(0, 1, 2, 3).subarray(1, 3);
    expect(readSafetensors(writeSafetensors({ x: { shape: [2], data: view } })).tensors).toEqual({
      x: { shape: [2], data: Float32Array.of(1, 2) },
    });
  });

  it("hands out the tensors' own memory in parts", () => {
    const parts = safetensorsParts(every);
    expect(join(parts)).toEqual(writeSafetensors(every));
    expect(parts.slice(1).map(({ buffer }) => buffer)).toContain(every["f32"]?.data.buffer);
  });

  it.each([
    [{ x: { shape: [1], data: [1] } }, "{ shape, data } with data in one of"],
    [{ x: { shape: [-1], data: new Float32Array(1) } }, "{ shape, data } with data in one of"],
    [{ x: { shape: 1, data: new Float32Array(1) } }, "{ shape, data } with data in one of"],
    [{ x: null }, "{ shape, data } with data in one of"],
  ])("refuses what is no tensor: %o", (tensors, message) => {
    const refused = () => writeSafetensors(tensors as never);
    expect(refused).toThrow(TypeError);
    expect(refused).toThrow(`writeSafetensors: tensor "x" must be ${message}`);
  });

  it.each(["__metadata__", "__proto__", "\ud800"])("refuses the name %s", (name) => {
    const tensors = Object.fromEntries([[name, { shape: [1], data: new Float32Array(1) }]]);
    expect(() => writeSafetensors(tensors)).toThrow(
      `writeSafetensors: a name must be well-formed and not reserved, got ${JSON.stringify(name)}; rename the tensor`,
    );
  });

  it("refuses data that does not fit its shape, and metadata that is not text", () => {
    const refused = () => writeSafetensors({ x: { shape: [2, 2], data: new Float32Array(3) } });
    expect(refused).toThrow(ShapeMismatchError);
    expect(() => writeSafetensors({}, { a: 1 } as never)).toThrow(
      'writeSafetensors: metadata "a" must be text under a plain key, got 1',
    );
    expect(() => writeSafetensors(null as never)).toThrow(
      "writeSafetensors: tensors must be a record, got null",
    );
    expect(() => writeSafetensors({}, [] as never)).toThrow(
      "writeSafetensors: metadata must be a record, got []",
    );
  });

  it("refuses a header that no reader takes", () => {
    expect(() => writeSafetensors({}, { a: "x".repeat(1e8) })).toThrow(
      "writeSafetensors: the header must be at most 100000000 bytes, got 100000032; split the file",
    );
  });
});

describe("readSafetensors", () => {
  it("gives back every dtype bit for bit", () => {
    const { tensors } = readSafetensors(writeSafetensors(every));
    for (const [name, { shape, data }] of Object.entries(every)) {
      const read = tensors[name] as Tensor;
      expect(read.shape).toEqual(shape);
      expect(read.data.constructor).toBe(data.constructor);
      const bits = ({ buffer, byteOffset, byteLength }: Tensor["data"]) =>
        new Uint8Array(buffer, byteOffset, byteLength);
      expect(bits(read.data)).toEqual(bits(data));
    }
  });

  it("gives back any tensors and metadata", () => {
    const tensor = fc
      .tuple(
        fc.array(fc.nat(4), { maxLength: 3 }),
        fc.constantFrom(Float64Array, Float32Array, Int32Array, Uint16Array, Uint8Array),
      )
      .map(([shape, Data]) => ({
        shape,
        data: new Data(shape.reduce((a, b) => a * b, 1)).map((_, i) => i + 1),
      }));
    const name = fc
      .string({ unit: "grapheme" })
      .filter((text) => text !== "__proto__" && text !== "__metadata__");
    fc.assert(
      fc.property(
        fc.dictionary(name, tensor),
        fc.dictionary(name, fc.string({ unit: "grapheme" })),
        (tensors, metadata) => {
          const bytes = writeSafetensors(tensors, metadata);
          const read = readSafetensors(bytes);
          expect(read).toEqual({ tensors: { ...tensors }, metadata: { ...metadata } });
          expect(writeSafetensors(read.tensors, read.metadata)).toEqual(bytes);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  it("views aligned tensors in place and copies the others", () => {
    const bytes = writeSafetensors(every);
    const { tensors } = readSafetensors(bytes);
    expect(Object.values(tensors).every(({ data }) => data.buffer === bytes.buffer)).toBe(true);

    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    const copied = readSafetensors(shifted).tensors;
    expect(copied).toEqual(tensors);
    expect(copied["u8"]?.data.buffer).toBe(shifted.buffer);
    expect(copied["f64"]?.data.buffer).not.toBe(shifted.buffer);

    // Node's buffers are views on a pool, and their `slice` does not copy.
    const pooled = Buffer.concat([Buffer.from(bytes)]);
    expect(readSafetensors(pooled).tensors).toEqual(tensors);
  });

  it("reads files of other writers: header not padded, names in any order, fields it does not know", () => {
    const header = { b: { ...f32(0, 4), note: 1 }, a: f32(4, 12, [1, 2]) };
    const data = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    expect(readSafetensors(fileOf(header, data))).toEqual({
      tensors: {
        b: { shape: [1], data: Float32Array.of(1) },
        a: { shape: [1, 2], data: Float32Array.of(2, 3) },
      },
      metadata: {},
    });
  });

  it.each([
    [
      new Uint8Array(7),
      "TOO_SHORT",
      "a file must have at least 8 bytes, got 7; the file is cut off",
    ],
    [
      fileOf("{}", 0, 3),
      "HEADER_LENGTH",
      "the header must end within the file of 10 bytes, got 11; the file is cut off",
    ],
    [
      fileOf("{}", 0, 100_000_001),
      "HEADER_LENGTH",
      "the header must be at most 100000000 bytes, got 100000001; this is no safetensors file",
    ],
    [
      new Uint8Array(16).fill(255),
      "HEADER_LENGTH",
      "the header must be at most 100000000 bytes, got 18446744073709552000; this is no safetensors file",
    ],
    [fileOf("", 0), "NOT_JSON", 'the header must be JSON, got ""'],
    [
      join([Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe)]),
      "NOT_JSON",
      'the header must be UTF-8, got "2 bytes"',
    ],
    [fileOf("[]"), "ENTRY", "the header must hold tensors by name, got []"],
    [
      fileOf({ __metadata__: { a: 1 } }),
      "ENTRY",
      "`__metadata__` must hold text by key, got an object",
    ],
    [fileOf({ a: 1 }), "ENTRY", 'tensor "a" must be an entry of dtype and shape, got 1'],
    [
      fileOf(String.raw`{"\ud800":${JSON.stringify(f32(0, 0))}}`),
      "ENTRY",
      String.raw`a name must be well-formed Unicode, got "\ud800"`,
    ],
    [
      fileOf({ a: { ...f32(0, 4), dtype: "F16" } }, 4),
      "DTYPE",
      'tensor "a" must be one of F64, F32, I32, BF16, U8, got "F16"; convert it',
    ],
    [
      fileOf({ a: f32(0, 4, [-1]) }, 4),
      "SHAPE",
      'tensor "a" must have a shape of natural numbers, got [-1]',
    ],
    [
      fileOf({ a: f32(0, 4, ["1"]) }, 4),
      "SHAPE",
      'tensor "a" must have a shape of natural numbers, got an array of 1',
    ],
    [
      fileOf({ a: f32(0, 4, [2 ** 32, 2 ** 32]) }, 4),
      "SHAPE",
      'tensor "a" must have a size below 2^53 bytes, got [4294967296, 4294967296]',
    ],
    [
      fileOf({ a: f32(0, 0, [2 ** 52, 2 ** 52, 0]) }),
      "SHAPE",
      'tensor "a" must have a size below 2^53 bytes, got [4503599627370496, 4503599627370496, 0]',
    ],
    [
      fileOf({ a: { ...f32(0, 4), data_offsets: [0] } }, 4),
      "OFFSETS",
      'tensor "a" must have two offsets, got [0]',
    ],
    [fileOf({ a: f32(-4, 0, [1]) }, 4), "OFFSETS", 'tensor "a" must have two offsets, got [-4, 0]'],
    [
      fileOf({ a: f32(0, 8) }, 4),
      "OFFSETS",
      'tensor "a" must lie within the 4 bytes of data, got [0, 8]; the file is cut off, or its header wrong',
    ],
    [
      fileOf({ a: f32(4, 0, [0]) }, 4),
      "OFFSETS",
      'tensor "a" must lie within the 4 bytes of data, got [4, 0]; the file is cut off, or its header wrong',
    ],
    [
      fileOf({ a: f32(0, 4, [2]) }, 4),
      "SIZE",
      'tensor "a" of dtype F32 and shape [2] must take 8 bytes, got 4',
    ],
    [
      fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12),
      "OFFSETS",
      'tensor "b" must start where the one before it ends, at 8, got 4',
    ],
    [
      fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12),
      "OFFSETS",
      'tensor "b" must start where the one before it ends, at 4, got 8',
    ],
    [fileOf({ a: f32(0, 4) }, 5), "OFFSETS", "the data must end with the last tensor, at 4, got 5"],
  ])("refuses a bad file in one sentence %#", (bytes, code, message) => {
    const refused = () => readSafetensors(bytes);
    expect(refused).toThrow(CheckpointError);
    expect(refused).toThrow(
      expect.objectContaining({ code, message: `readSafetensors: ${message}` }),
    );
  });

  it("refuses what is not bytes", () => {
    expect(() => readSafetensors(new ArrayBuffer(8) as never)).toThrow(
      "readSafetensors: bytes must be a Uint8Array, got an object; wrap the buffer",
    );
  });
});

describe("on a big-endian machine", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("nothing is read or written", () => {
    vi.stubGlobal("Uint16Array", { of: () => Uint8Array.of(0, 1) });
    for (const refused of [() => writeSafetensors({}), () => readSafetensors(fileOf("{}"))]) {
      expect(refused).toThrow(/must be little-endian, got a big-endian one/);
    }
  });
});
