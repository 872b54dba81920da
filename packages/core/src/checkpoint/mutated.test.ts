/** Ten thousand damaged files: each loads to something that can be saved again, or is refused by name. */

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Random } from "../contracts.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { mulberry32 } from "../random.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { CheckpointError, type CheckpointErrorCode } from "./error.ts";
import { join, readSafetensors, writeSafetensors } from "./safetensors.ts";

const MUTATIONS = 10_000;

const params = {
  a: { kernel: { shape: [2, 2], data: Float32Array.of(1, -0, Number.NaN, 3) } },
  b: { shape: [], data: Float32Array.of(5) },
};

const [small, large] = [adam(), adashift({ n: 2 })].map((method) => {
  const optimizer = compileOptimizer(method, { params, learningRate: 0.1 });
  optimizer.step({ "a/kernel": Float32Array.of(1, 2, 3, 4), b: Float32Array.of(1) });
  return encodeCheckpoint({
    optimizer: optimizer.save(),
    random: 17,
    cursor: { epoch: 3, order: Int32Array.of(2, 0, 1), best: Number.POSITIVE_INFINITY },
    extra: { $key: [true, null, "text", -0], mask: Uint8Array.of(1, 2, 3) },
  });
}) as [Uint8Array, Uint8Array];

/** Values that headers are edited to: limits, wrong kinds, names with a meaning. */
const EDITS: readonly unknown[] = JSON.parse(`[
  -1, 0, 1, 2, 3, 4, 8, 0.5, 2147483648, 4294967296, 9007199254740992, 1e308, null, true, [], [0], [1, 2], {},
  "", "F32", "F16", "BF16", "__proto__", "$tensor", "params/b", "a/kernel", "toString", {"$tensor": "params/b"},
  {"$number": "NaN"}, {"$number": "-0"}, {"$x": 1}, ${"[".repeat(70)}${"]".repeat(70)}
]`) as unknown[];

/** Damages a copy of a file. */
function mutate(random: Random): Uint8Array {
  const [bytes, other] = random.next() < 0.5 ? [small, large] : [large, small];
  const copy = new Uint8Array(bytes);
  const at = (): number => random.integer(bytes.length);
  const length = new DataView(bytes.buffer).getUint32(0, true);
  // Damage that leaves a readable header gets as many turns as all other.
  switch (random.integer(14)) {
    case 0: // bits
      for (let i = random.integer(4); i >= 0; i--) {
        copy[at()]! ^= 1 << random.integer(8);
      }
      return copy;
    case 1: // bytes in a row
      copy.fill(random.integer(256), at(), at());
      return copy;
    case 2: // cut off, in front or behind
      return random.next() < 0.2
        ? copy.subarray(at())
        : copy.subarray(0, random.next() < 0.1 ? random.integer(8) : at());
    case 3: // longer
      return join([copy, new Uint8Array(1 + random.integer(16))]);
    case 4: // a piece of another file, or of this one
      copy.set(
        (random.next() < 0.5 ? other : bytes).subarray(0, at()).slice(-64),
        at() % (bytes.length - 64),
      );
      return copy;
    case 5: // another length of the header
      copy[random.integer(8)] = random.integer(256);
      return copy;
    case 6: {
      // the header as text: a piece doubled, or left out
      const header = copy.subarray(8, 8 + length);
      const [from, to] = [random.integer(length), random.integer(length)].toSorted((a, b) => a - b);
      const text =
        random.next() < 0.5
          ? [header.subarray(0, to), header.subarray(from)]
          : [header.subarray(0, from), header.subarray(to)];
      return withHeader(random, join(text), copy.subarray(8 + length));
    }
    default: {
      // the header as JSON, or the document in it
      const header = JSON.parse(new TextDecoder().decode(copy.subarray(8, 8 + length)));
      if (random.next() < 0.5) {
        edit(header, random);
      } else {
        const document = JSON.parse(header.__metadata__.adastra);
        edit(document, random);
        header.__metadata__.adastra = JSON.stringify(document);
      }
      return withHeader(
        random,
        new TextEncoder().encode(JSON.stringify(header)),
        copy.subarray(8 + length),
      );
    }
  }
}

/** Once in twenty times the header is not padded to a multiple of 8 bytes. */
function withHeader(random: Random, header: Uint8Array, data: Uint8Array): Uint8Array {
  const multiple = random.next() < 0.05 ? 1 : 8;
  const padded = new Uint8Array(Math.ceil(header.length / multiple) * multiple).fill(0x20);
  padded.set(header);
  const start = new Uint8Array(8);
  new DataView(start.buffer).setBigUint64(0, BigInt(padded.length), true);
  return join([start, padded, data]);
}

/** Changes, removes or renames one entry at a random depth; of an array, changes it or leaves null. */
function edit(record: Record<string, unknown>, random: Random): void {
  const keys = Object.keys(record);
  const key = keys[random.integer(keys.length)];
  if (key === undefined) {
    return;
  }
  const child = record[key];
  const isOpen = typeof child === "object" && child !== null && Object.keys(child).length > 0;
  if (isOpen && random.next() < 0.8) {
    edit(child as Record<string, unknown>, random);
    return;
  }
  const kind = random.integer(3);
  const drawn = structuredClone(EDITS[random.integer(EDITS.length)]);
  if (kind === 0) {
    record[key] = drawn;
    return;
  }
  delete record[key];
  if (kind === 1 && !Array.isArray(record)) {
    // As JSON.parse does: assignment to "__proto__" would set a prototype.
    const property = { value: child, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(record, String(drawn), property);
  }
}

describe("a damaged file", () => {
  /** Bytes of arrays made anew, not as views. */
  let allocated = 0;

  beforeAll(() => {
    for (const Data of [Float64Array, Float32Array, Int32Array, Uint16Array, Uint8Array]) {
      vi.stubGlobal(
        Data.name,
        new Proxy(Data, {
          construct(target, args) {
            const array = Reflect.construct(target, args) as Uint8Array;
            allocated += args[0] instanceof ArrayBuffer ? 0 : array.byteLength;
            return array;
          },
        }),
      );
    }
  });

  afterAll(() => {
    vi.unstubAllGlobals();
  });

  it(`loads to what can be saved again, or is refused in one sentence, ${MUTATIONS} times`, () => {
    const random = mulberry32(2026);
    const refused = new Map<CheckpointErrorCode, number>();
    let loaded = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const bytes = mutate(random);
      try {
        allocated = 0;
        const checkpoint = decodeCheckpoint(bytes);
        expect(allocated).toBeLessThanOrEqual(bytes.length);
        const again = encodeCheckpoint(checkpoint);
        expect(Buffer.compare(encodeCheckpoint(decodeCheckpoint(again)), again)).toBe(0);
        loaded++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) {
          throw new Error(`mutation ${i}`, { cause: error });
        }
        expect(error.message).toMatch(/^decodeCheckpoint: .+, got [^\n]+$/s);
        expect(error.message.length).toBeLessThan(500);
        refused.set(error.code, (refused.get(error.code) ?? 0) + 1);
      }
      // The layer below takes files that are no checkpoints.
      try {
        allocated = 0;
        const { tensors, metadata } = readSafetensors(bytes);
        expect(allocated).toBeLessThanOrEqual(bytes.length);
        const again = writeSafetensors(tensors, metadata);
        const read = readSafetensors(again);
        expect(Buffer.compare(writeSafetensors(read.tensors, read.metadata), again)).toBe(0);
      } catch (error) {
        if (!(error instanceof CheckpointError)) {
          throw new Error(`mutation ${i}`, { cause: error });
        }
      }
    }
    // The damage is of every kind that can be told: a mutation that never reached a check would prove nothing of it.
    expect(Array.from(refused.keys()).toSorted()).toEqual([
      "DOCUMENT",
      "DTYPE",
      "DUPLICATE_KEY",
      "ENTRY",
      "EXTRA_TENSOR",
      "FORBIDDEN_KEY",
      "HEADER_LENGTH",
      "MISALIGNED",
      "MISSING_TENSOR",
      "NOT_A_CHECKPOINT",
      "NOT_JSON",
      "OFFSETS",
      "SHAPE",
      "SIZE",
      "STATE",
      "TOO_DEEP",
      "TOO_SHORT",
      "VERSION",
    ]);
    expect(loaded).toBeGreaterThan(MUTATIONS / 20);
  }, 120_000);
});
