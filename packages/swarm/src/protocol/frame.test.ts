import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encode } from "./compression.ts";
import { crc32 as crc32Browser } from "./crc32.browser.ts";
import { crc32 } from "./crc32.node.ts";
import { bytesOf, encodeFrame, seal, type Wire, wireOf } from "./frame.ts";
import { FrameError, frameDecoder } from "./frameDecoder.ts";
import { type Layout, layoutId, parametersOf } from "./layout.ts";
import type { Message, Payload } from "./message.ts";
import { bytesOf as sizeOf } from "./size.ts";

const run = "00112233445566ff";
const id = "8899aabbccddeeff";
const layout = (parameters: number, more: Partial<Layout> = {}): Layout => ({
  dtype: "float32",
  leaves: { w: { shape: [parameters] } },
  vectors: ["p", "utilde"],
  ...more,
});
const wire = (parameters: number, more: Partial<Layout> = {}): Wire =>
  wireOf(run, layout(parameters, more), id);

/** One frame as one array. */
function frameOf(message: Message, of: Wire): Uint8Array {
  return Uint8Array.from(encodeFrame(message, of).flatMap((piece) => [...piece]));
}

/** What a decoder hands out and refuses of bytes in pieces. */
function decodeAll(pieces: Iterable<Uint8Array>, of: Wire) {
  const messages: Message[] = [];
  const refused: string[] = [];
  const take = frameDecoder(
    of,
    (message) => messages.push(message),
    (fault) => refused.push(fault),
  );
  try {
    for (const piece of pieces) {
      take(piece);
    }
  } catch (error) {
    if (!(error instanceof FrameError)) {
      throw error;
    }
    refused.push(error.fault);
  }
  return { messages, refused };
}

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const settlement = fc.record({ session: word, mixed: word, closed: word, unknown: word });

function payloads(numbers: number, dtype: "float32" | "float64"): fc.Arbitrary<Payload> {
  const floats = (length: number) =>
    fc
      .array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
        minLength: length,
        maxLength: length,
      })
      .map((values) => Float32Array.from(values));
  const dense = floats(numbers).map((values): Payload => {
    return { form: "dense", values: dtype === "float64" ? Float64Array.from(values) : values };
  });
  const sparse = fc
    .tuple(word, fc.uniqueArray(fc.nat(numbers - 1), { maxLength: numbers }))
    .chain(([base, picked]) =>
      floats(picked.length).map((values): Payload => {
        const indices = Uint32Array.from(picked).sort();
        return { form: "sparse", base, length: numbers, indices, values };
      }),
    );
  return fc.oneof(
    dense,
    // Within what bf16 and int8 hold: rounding the largest float32 up is an infinity.
    floats(numbers).map((values) =>
      encode(
        values.map((v) => v / 2),
        "bf16",
      ),
    ),
    floats(numbers).map((values) => encode(values, "int8")),
    sparse,
  );
}

const messages = (numbers: number, dtype: "float32" | "float64"): fc.Arbitrary<Message> =>
  fc.oneof(
    fc.record({
      kind: fc.constant("values" as const),
      round: word,
      settled: settlement,
      payload: payloads(numbers, dtype),
    }),
    fc.record({
      kind: fc.constant("snapshot" as const),
      round: word,
      payload: payloads(numbers, dtype),
    }),
    fc.record({ kind: fc.constant("have" as const), round: word }),
    fc.record({ kind: fc.constant("beat" as const), round: word, settled: settlement }),
    fc.record({ kind: fc.constant("want" as const), round: word, holds: fc.boolean() }),
    fc.record({ kind: fc.constant("fetch" as const) }),
    fc.record({ kind: fc.constant("leave" as const) }),
  );

/** Bytes cut at the places of `cuts`, which repeat. */
function* cut(bytes: Uint8Array, cuts: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = cuts[i % cuts.length] ?? bytes.length;
    yield bytes.slice(at, at + size);
    at += size;
  }
}

describe("a frame", () => {
  it.each(["float32", "float64"] as const)(
    "of %s brings every message back unchanged, in pieces of any size, and is as long as its size says",
    (dtype) => {
      // More than one block of int8, the last one not full.
      const of = wire(150, { dtype });
      fc.assert(
        fc.property(
          fc.array(messages(300, dtype), { minLength: 1, maxLength: 4 }),
          fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
          (sent, cuts) => {
            const frames = sent.map((message) => frameOf(message, of));
            expect(frames.map(({ length }) => length)).toEqual(sent.map(sizeOf));
            const stream = Uint8Array.from(frames.flatMap((frame) => [...frame]));
            expect(decodeAll(cut(stream, cuts), of)).toEqual({ messages: sent, refused: [] });
          },
        ),
        { numRuns: 200 },
      );
    },
  );

  it("may come byte by byte", () => {
    const of = wire(150);
    fc.assert(
      fc.property(messages(300, "float32"), (message) => {
        const got = decodeAll(cut(frameOf(message, of), [1]), of);
        expect(got).toEqual({ messages: [message], refused: [] });
      }),
      { numRuns: 50 },
    );
  });

  it("is of views of the message's arrays, not of copies", () => {
    const values = new Float32Array(8);
    const pieces = encodeFrame(
      { kind: "snapshot", round: 1, payload: { form: "dense", values } },
      wire(4),
    );
    expect(pieces.at(-1)?.buffer).toBe(values.buffer);
  });

  it("is not made of values that are not the layout's", () => {
    const snapshot = (payload: Payload): Message => ({ kind: "snapshot", round: 1, payload });
    expect(() =>
      encodeFrame(snapshot({ form: "dense", values: new Float32Array(7) }), wire(4)),
    ).toThrow(new RangeError("encodeFrame: a payload must hold 2 × 4 numbers, got 7"));
    expect(() =>
      encodeFrame(snapshot({ form: "dense", values: new Float64Array(8) }), wire(4)),
    ).toThrow(new RangeError("encodeFrame: values must be float32, got float64"));
  });
});

describe("a decoder refuses", () => {
  const of = wire(4, { nonNegative: ["utilde"] });
  const settled = { session: 1, mixed: 0, closed: 0, unknown: 0 };
  const values = (payload: Payload): Message => ({ kind: "values", round: 3, settled, payload });
  const good = (): Uint8Array =>
    frameOf(values({ form: "dense", values: Float32Array.of(-1, 2, 3, 4, 5, 6, 7, 0) }), of);
  const have = (): Uint8Array => frameOf({ kind: "have", round: 3 }, of);

  /** A frame with some bytes changed and the header's checksum right again. */
  const changed = (frame: Uint8Array, changes: Readonly<Record<number, number>>): Uint8Array => {
    for (const [at, byte] of Object.entries(changes)) {
      frame[Number(at)] = byte;
    }
    seal(frame);
    return frame;
  };

  it.each([
    ["magic", "other bytes", changed(good(), { 0: 0 })],
    ["version", "another version", changed(good(), { 4: 2 })],
    ["kind", "an unknown kind", changed(good(), { 5: 7 })],
    ["kind", "a byte that must be zero", changed(good(), { 7: 1 })],
    ["form", "an unknown form", changed(good(), { 6: 6 })],
    ["form", "numbers of another dtype", changed(good(), { 6: 2 })],
    ["form", "values without numbers", changed(good(), { 6: 0 })],
    ["form", "numbers in a message without", changed(have(), { 6: 1 })],
    ["run", "another run", changed(good(), { 8: 1 })],
    ["layout", "another layout", changed(good(), { 16: 1 })],
    ["length", "too many bytes", changed(good(), { 28: 49, 31: 0 })],
    ["length", "4 GiB of them", changed(good(), { 28: 255, 29: 255, 30: 255, 31: 255 })],
    ["length", "too few bytes", changed(good(), { 28: 0 })],
    ["length", "bytes after a message without", changed(have(), { 28: 1 })],
    ["checksum", "a payload that was changed", changed(good(), { 60: 77 })],
    ["header", "a header that was changed", Uint8Array.from(good(), (b, i) => (i === 24 ? 9 : b))],
  ])("for its %s %s", (fault, _, frame) => {
    expect(decodeAll([frame, have()], of)).toEqual({ messages: [], refused: [fault] });
  });

  const dense = (...list: number[]): Payload => ({
    form: "dense",
    values: Float32Array.from(list),
  });
  const sparse = (indices: number[], list: number[], length = 8): Uint8Array => {
    const payload = {
      form: "sparse",
      base: 2,
      length: 8,
      indices: Uint32Array.from(indices),
      values: Float32Array.from(list),
    } as const;
    const pieces = encodeFrame(values(payload), of);
    new DataView(pieces[2]?.buffer as ArrayBuffer).setUint32(4, length, true);
    const [header, ...body] = pieces as [Uint8Array, ...Uint8Array[]];
    const crc = body.reduce((sum, piece) => crc32(piece, sum), 0);
    new DataView(header.buffer).setUint32(32, crc, true);
    seal(header);
    return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  };
  const int8 = (scale: number, ...codes: number[]): Payload => ({
    form: "int8",
    scales: Float32Array.of(scale),
    values: Int8Array.from(codes),
  });
  const bf16 = (...halves: number[]): Payload => ({
    form: "bf16",
    values: Uint16Array.from(halves),
  });

  it.each([
    ["notFinite", "NaN", frameOf(values(dense(0, Number.NaN, 0, 0, 0, 0, 0, 0)), of)],
    ["notFinite", "∞", frameOf(values(dense(0, 0, 0, 0, 0, 0, 0, Number.POSITIVE_INFINITY)), of)],
    ["negative", "−1 as a second moment", frameOf(values(dense(0, 0, 0, 0, 0, -1, 0, 0)), of)],
    ["notFinite", "a bf16 infinity", frameOf(values(bf16(0, 0xff80, 0, 0, 0, 0, 0, 0)), of)],
    ["negative", "a bf16 below 0", frameOf(values(bf16(0, 0, 0, 0, 0xbf80, 0, 0, 0)), of)],
    ["notFinite", "a scale of NaN", frameOf(values(int8(Number.NaN, 0, 0, 0, 0, 0, 0, 0, 0)), of)],
    ["negative", "a scale below 0", frameOf(values(int8(-1, 0, 0, 0, 0, 0, 0, 0, 0)), of)],
    ["code", "a code of −128", frameOf(values(int8(1, 0, -128, 0, 0, 0, 0, 0, 0)), of)],
    ["negative", "a code below 0", frameOf(values(int8(1, 0, -1, 0, 0, 0, -2, 0, 0)), of)],
    ["indices", "indices that repeat", sparse([1, 1], [5, 5])],
    ["indices", "indices out of range", sparse([1, 8], [5, 5])],
    ["indices", "another length", sparse([1, 2], [5, 5], 9)],
    ["notFinite", "NaN among a few", sparse([1, 2], [5, Number.NaN])],
    ["negative", "a sparse second moment below 0", sparse([1, 4], [-5, -5])],
  ])("for %s %s, and reads on", (fault, _, frame) => {
    const next: Message = { kind: "have", round: 3 };
    expect(decodeAll([frame, have()], of)).toEqual({ messages: [next], refused: [fault] });
  });

  it("nothing that is in range", () => {
    const all = [
      bf16(0x8000, 0xbf80, 0, 0, 0x8000, 0x3f80, 0, 0),
      int8(1, -127, 0, 0, 0, 127, 0, 0, 0),
    ];
    for (const payload of [dense(-1, -2, -3, -4, -0, 0, 1, 2), ...all]) {
      const got = decodeAll([frameOf(values(payload), of)], of);
      expect(got).toEqual({ messages: [values(payload)], refused: [] });
    }
  });

  it("with the fault and what was expected, and takes nothing more", () => {
    const take = frameDecoder(
      of,
      () => undefined,
      () => undefined,
    );
    const error = new FrameError("version", "a frame must be of version 1", 2);
    expect(error.message).toBe("frameDecoder: a frame must be of version 1, got 2");
    expect(() => take(changed(good(), { 4: 2 }))).toThrow(error);
    expect(() => take(good())).toThrow(error);
  });
});

describe("100,000 broken frames", () => {
  const numbers = 40;
  const of = wire(numbers / 2, { nonNegative: ["utilde"] });

  /** A generator whose numbers are the same everywhere; a property of fast-check takes a minute for as many. */
  function* numbersFrom(seed: number): Generator<number, never> {
    for (let state = seed; ; ) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      yield state >>> 8;
    }
  }

  const sound = (payload: Payload): boolean => {
    const list = payload.form === "int8" ? payload.scales : payload.values;
    return payload.form === "bf16" || [...list].every(Number.isFinite);
  };

  it("yield refusals or sound messages, and no array longer than the layout's", () => {
    const next = numbersFrom(1);
    const draw = (bound: number): number => next.next().value % bound;
    const samples = fc.sample(messages(numbers, "float32"), { numRuns: 200, seed: 1 });
    const frames = samples.map((message) => frameOf(message, of));
    const counts: Record<string, number> = {};
    const count = (what: string): void => {
      counts[what] = (counts[what] ?? 0) + 1;
    };
    for (let round = 0; round < 100_000; round++) {
      const frame = (frames[draw(frames.length)] as Uint8Array).slice();
      for (let change = draw(4); change >= 0; change--) {
        // Half of the changes to the header, where most can go wrong, and half to bytes at the ends of ranges.
        const byte = draw(2) === 0 ? draw(256) : ([0, 1, 0x7f, 0x80, 0xff][draw(5)] as number);
        frame[draw(draw(2) === 0 ? 40 : frame.length)] = byte;
      }
      // Most with checksums made right again: what is behind them must hold by itself.
      if (draw(4) > 0) {
        new DataView(frame.buffer).setUint32(32, crc32(frame.subarray(40)), true);
      }
      if (draw(8) > 0) {
        seal(frame);
      }
      const { messages: got, refused } = decodeAll(cut(frame, [1 + draw(200)]), of);
      refused.forEach(count);
      for (const message of got) {
        count("delivered");
        if ("payload" in message) {
          const { payload } = message;
          const bytes = payload.values.byteLength;
          expect(sound(payload) && bytes <= 4 * numbers).toBe(true);
        }
      }
    }
    // Each way to refuse was met, and some changes leave a message: another round is one.
    for (const what of [
      "header",
      "kind",
      "form",
      "length",
      "checksum",
      "notFinite",
      "negative",
      "indices",
      "code",
      "magic",
      "version",
      "run",
      "layout",
      "delivered",
    ]) {
      expect(counts[what], what).toBeGreaterThan(0);
    }
  });
});

describe("crc32", () => {
  it("is the same by zlib and by table, in one piece and in two", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, at) => {
        const sum = crc32(bytes);
        expect(crc32Browser(bytes)).toBe(sum);
        const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
        expect(crc32Browser(tail, crc32Browser(head))).toBe(sum);
        expect(crc32(tail, crc32(head))).toBe(sum);
      }),
    );
  });
});

describe("a layout", () => {
  it("has an id that changes with epoch, dtype, leaves and vectors", async () => {
    const base = layout(4);
    const others = [
      layout(5),
      layout(4, { dtype: "float64" }),
      layout(4, { vectors: ["p"] }),
      layout(4, { nonNegative: ["utilde"] }),
      layout(4, { leaves: { w: { shape: [2, 2] } } }),
      layout(4, { leaves: { v: { shape: [4] } } }),
    ];
    const ids = await Promise.all([
      layoutId(base, 1),
      ...others.map((other) => layoutId(other, 0)),
    ]);
    ids.push(await layoutId(base, 0));
    expect(new Set(ids).size).toBe(8);
    expect(ids.every((text) => /^[0-9a-f]{16}$/.test(text))).toBe(true);
    expect(await layoutId(layout(4), 0)).toBe(ids.at(-1));
  });

  it("counts the numbers of all leaves, scalars as one", () => {
    const leaves = { kernel: { shape: [3, 4] }, bias: { shape: [4] }, scale: { shape: [] } };
    expect(parametersOf(layout(0, { leaves }))).toBe(17);
  });

  it("is refused where it has no numbers, too many, or an id is none", () => {
    expect(() => wire(0)).toThrow(
      new RangeError(
        "wireOf: values of a run must take more than 0 bytes and less than 4 GiB, got 0",
      ),
    );
    expect(() => wire(2 ** 29)).toThrow(RangeError);
    expect(() => wireOf("xyz", layout(4), id)).toThrow(
      new RangeError('wireOf: `run` must be 16 hexadecimal digits, got "xyz"'),
    );
    expect(() => wire(4, { nonNegative: ["v"] })).toThrow(
      new RangeError('wireOf: `nonNegative` must name vectors of the layout, got "v"'),
    );
  });
});

it("bytesOf is a view of the same memory", () => {
  const values = Float32Array.of(0, 1).subarray(1);
  expect(bytesOf(values)).toEqual(Uint8Array.of(0, 0, 0x80, 0x3f));
});
