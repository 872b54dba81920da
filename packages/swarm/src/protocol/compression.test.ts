import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { erdosRenyi } from "../graph/graphs.ts";
import { dpsgd } from "../methods/dPsgd.ts";
import { metropolis } from "../mixing/mixing.ts";
import { gap, meanOf, runTest, SIZE } from "../simulator/testRuns.ts";
import { type Compression, decode, encode } from "./compression.ts";
import { INT8_BLOCK } from "./message.ts";

const NUMBERS = fc
  .array(fc.float({ min: Math.fround(-1e6), max: Math.fround(1e6), noNaN: true }), {
    minLength: 1,
    maxLength: 600,
  })
  .map((values) => Float32Array.from(values));

describe("what is decoded", () => {
  test("is exact without compression, the same array", () => {
    const values = Float32Array.of(1, -2);
    expect(decode(encode(values, "none"))).toBe(values);
  });

  test("is within 2⁻⁸ of each number in bf16", () => {
    fc.assert(
      fc.property(NUMBERS, (values) => {
        decode(encode(values, "bf16")).forEach((got, i) => {
          const value = values[i] as number;
          // Half a unit of the eighth bit; below 2⁻¹²⁶ the unit no longer shrinks.
          expect(Math.abs(got - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -8 + 2 ** -134);
        });
      }),
    );
  });

  test("is within 1/254 of its block's largest number in 8 bits", () => {
    fc.assert(
      fc.property(NUMBERS, (values) => {
        decode(encode(values, "int8")).forEach((got, i) => {
          const start = Math.floor(i / INT8_BLOCK) * INT8_BLOCK;
          const block = values.subarray(start, start + INT8_BLOCK);
          const largest = Math.max(...block.map(Math.abs));
          // And the rounding of the scale, times a code of up to 127; a scale below 2⁻¹²⁶ has fewer bits.
          const allowed = largest * (1 / 254 + 127 * 2 ** -24) + 2 ** -142;
          expect(Math.abs(got - (values[i] as number))).toBeLessThanOrEqual(allowed);
        });
      }),
    );
  });

  test("is the base with the numbers that changed most, as many as were asked for", () => {
    fc.assert(
      fc.property(
        NUMBERS,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (values, topK, seed) => {
          const random = mulberry32(seed);
          const base = {
            round: 7,
            values: values.map((value) => Math.fround(value + random.normal())),
          };
          const payload = encode(values, { topK }, base);
          const count = Math.max(1, Math.round(topK * values.length));
          expect(payload.form === "sparse" && payload.indices.length).toBe(count);
          const got = decode(payload, base);
          const change = (i: number): number =>
            Math.abs((values[i] as number) - (base.values[i] as number));
          const sent = new Set(payload.form === "sparse" ? payload.indices : []);
          const least = Math.min(...Array.from(sent, change));
          values.forEach((value, i) => {
            expect(got[i]).toBe(sent.has(i) ? value : base.values[i]);
            // float32 comparison of the changes, as they were chosen by.
            expect(sent.has(i) || Math.fround(change(i)) <= Math.fround(least)).toBe(true);
          });
        },
      ),
    );
  });

  test("is everything, in full, where there is no base", () => {
    expect(encode(Float32Array.of(1), { topK: 0.1 })).toMatchObject({ form: "dense" });
  });

  test("is refused where it changes another base", () => {
    const base = { round: 7, values: Float32Array.of(1, 2) };
    const payload = encode(Float32Array.of(1, 3), { topK: 0.5 }, base);
    expect(() => decode(payload, { ...base, round: 8 })).toThrow(
      new RangeError(
        "decode: a sparse payload must change the values of round 7, got 8; send them all",
      ),
    );
    expect(() => decode(payload)).toThrow("must change the values of round 7, got none");
  });
});

describe.each<[string, Compression]>([
  ["bf16", "bf16"],
  ["8 bits", "int8"],
  ["top-k", { topK: 0.34 }],
])("mixing in %s", (_name, compression) => {
  test("keeps the mean, also where messages are lost, and brings peers together", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom(0, 0.1), async (seed, loss) => {
        const graph = erdosRenyi(6, 0.6, mulberry32(seed));
        const start = (peer: number): Float64Array => {
          const random = mulberry32(peer + 7);
          return Float64Array.from({ length: SIZE }, () => random.normal());
        };
        const { trainers } = await runTest({
          mixing: metropolis(graph),
          method: dpsgd(),
          rounds: 300,
          seed,
          compression,
          consensusStep: 0.5,
          lingerMs: 20_000,
          network: { loss },
          start,
          gradient: (_peer, _x, g) => g.fill(0),
        });
        const mean = Array.from({ length: SIZE }, (_, i) =>
          graph.neighbors.reduce((sum, _row, peer) => sum + (start(peer)[i] as number) / 6, 0),
        );
        // 300 rounds of sums of six numbers near 1, in float64.
        expect(gap(meanOf(trainers, "p"), mean)).toBeLessThan(1e-12);
        const spread = Math.max(
          ...trainers.map(({ optimizer }) => gap(optimizer.params["x"]!.data, mean)),
        );
        // From a few units down to what the compression of numbers near 1 resolves.
        expect(spread).toBeLessThan(0.05);
      }),
      { numRuns: 10 },
    );
  });
});
