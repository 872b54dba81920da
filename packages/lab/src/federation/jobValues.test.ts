import type { Leaves } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jobValues } from "./jobValues.ts";

const leavesOf = (kind: typeof Float32Array | typeof Float64Array, values: number[]): Leaves => ({
  w: { shape: [2, 2], data: kind.from(values.slice(0, 4)) },
  b: { shape: [], data: kind.from(values.slice(4, 5)) },
});

/** Positive, so that they may stand for rates and squares. */
const five = fc.array(fc.float({ min: Math.fround(0.01), max: 100, noNaN: true }), {
  minLength: 5,
  maxLength: 5,
});

describe("a job's values", () => {
  test.each([Float32Array, Float64Array])("come back as they went, of %o", (kind) => {
    fc.assert(
      fc.property(five, five, fc.nat(10_000), fc.nat(100), (a, b, round, index) => {
        const [params, beside] = [leavesOf(kind, a), leavesOf(kind, b)];
        const job = jobValues(params, "rates");
        const start = { params, rates: beside };
        expect(job.unpackStart(job.packStart({ round, index }, start))).toEqual({
          place: { round, index },
          start,
        });
        const result = { params, examples: 7, steps: 3, losses: [2, 1, 0.5], squares: beside };
        expect(job.unpackResult(job.packResult(result), 7)).toEqual({
          ...result,
          losses: [2, 0.5],
        });
        const gradients = jobValues(params, "queryGradient");
        const maml = { params, examples: 7, steps: 1, losses: [2, 2], queryGradient: beside };
        expect(gradients.unpackResult(gradients.packResult(maml), 7)).toEqual(maml);
      }),
    );
  });

  test("of a result that diverged are finite, and NaN again at the other end", () => {
    const params = leavesOf(Float32Array, [1, 2, 3, 4, 5]);
    const job = jobValues(params, "none");
    const bad = leavesOf(Float32Array, [1, Number.NaN, 3, Number.POSITIVE_INFINITY, 5]);
    const values = job.packResult({ params: bad, examples: 2, steps: 4, losses: [1, 2] });
    expect(values.every(Number.isFinite)).toBe(true);
    const back = job.unpackResult(values, 2);
    expect(back).toMatchObject({ examples: 2, steps: 4 });
    expect(Object.values(back.params).every(({ data }) => data.every(Number.isNaN))).toBe(true);
  });

  test("need the report's name for themselves", () => {
    const params = { "adastra/report": { shape: [1], data: Float32Array.of(1) } };
    expect(() => jobValues(params, "none")).toThrow(
      'jobValues: no leaf of the model may be called "adastra/report", got one; rename it',
    );
  });
});
