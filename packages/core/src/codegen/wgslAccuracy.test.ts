import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bench, DRAWS, edgeValues, kept, kernelOf, randomKernel } from "./conformance.ts";
import { evaluateBackend } from "./interpreter.ts";
import { foldPartials } from "./kernel.ts";
import { contains, permitted, ulpOf } from "./wgslAccuracy.ts";

const next = (x: number, steps: number): number => {
  const float = Float32Array.of(x);
  const bits = new Int32Array(float.buffer);
  bits[0] = (bits[0] as number) + steps;
  return float[0] as number;
};

/** Whether a result of x ∘ y, both in float32, is permitted. */
const permits = (op: Parameters<typeof kernelOf>[0], x: number, y: number, got: number): boolean =>
  contains(
    permitted(kernelOf(op), { count: 1, streams: [[x], [y], [0]], scalars: [] }).stores[0]![0]!,
    got,
  );

it("ULP is the distance of the nearest float32 on either side", () => {
  expect(ulpOf(1.5)).toBe(2 ** -23);
  expect(ulpOf(1)).toBe(2 ** -24);
  expect(ulpOf(next(1, 1))).toBe(2 ** -23);
  expect(ulpOf(-3)).toBe(2 ** -22);
  expect(ulpOf(0)).toBe(2 ** -149);
  expect(ulpOf(2 ** -126)).toBe(2 ** -149);
  expect(ulpOf(Infinity)).toBe(2 ** 104);
});

describe("what WGSL permits", () => {
  it("holds the interpreter's results of random kernels, reductions included", () => {
    const number = fc.oneof(
      fc.constantFrom(...edgeValues("float32").map(Math.fround)),
      fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround),
      fc.float(),
    );
    const kernel = fc.array(fc.nat(), { minLength: 160, maxLength: 160 }).map((choices) => {
      let at = 0;
      return randomKernel((bound) => (choices[at++ % choices.length] as number) % bound, true);
    });
    const count = 40;
    const column = fc.array(number, { minLength: count, maxLength: count });
    const trial = fc.tuple(
      kernel,
      fc.array(column, { minLength: 4, maxLength: 4 }),
      fc.array(number, { minLength: 3, maxLength: 3 }),
    );
    fc.assert(
      fc.property(trial, ([k, columns, numbers]) => {
        const streams = columns.slice(0, k.streams.length);
        const scalars = numbers.slice(0, k.scalars.length);
        const outcome = bench(evaluateBackend, k, "float32", count)({ count, streams, scalars });
        const allowed = permitted(k, { count, streams: kept(k, streams), scalars, ...DRAWS });
        k.stores.forEach(({ stream }, s) => {
          const wrong = allowed.stores[s]!.flatMap((range, i) => {
            const got = outcome.streams[stream]![i]!;
            return contains(range, got) ? [] : [{ stream, i, got, range }];
          });
          expect(wrong).toEqual([]);
        });
        allowed.reductions.forEach((range, r) => {
          const got = foldPartials(k.reductions[r]!.kind, Float64Array.from(outcome.partials), r);
          expect(contains(range, got), `${got} in ${JSON.stringify(range)}`).toBe(true);
        });
      }),
      { numRuns: 200 },
    );
  });

  it("is either neighbour of a sum, difference or product, and no other number", () => {
    const [x, y] = [Math.fround(0.1), Math.fround(3.3)];
    for (const [op, exact] of [
      ["add", x + y],
      ["sub", x - y],
      ["mul", x * y],
    ] as const) {
      const near = Math.fround(exact);
      const other = next(near, near > exact === near > 0 ? -1 : 1);
      expect([near, other].map((got) => permits(op, x, y, got))).toEqual([true, true]);
      const beyond = [next(near, 2), next(near, -2)].map((got) => permits(op, x, y, got));
      expect(beyond).toEqual([false, false]);
    }
    expect(permits("add", 1, 2, 3)).toBe(true);
    expect(permits("add", 1, 2, next(3, 1))).toBe(false);
    // 1 + 2⁻¹⁰⁰ may be rounded up.
    expect(permits("add", 1, 2 ** -100, next(1, 1))).toBe(true);
    expect(permits("add", 1, 2 ** -100, next(1, -1))).toBe(false);
  });

  it("is a quotient within 2.5 ULP, 0 for a divisor beyond 2¹²⁶, a root within 9 ULP", () => {
    const quotient = Math.fround(1 / 3);
    expect([-2, 0, 2].map((n) => permits("div", 1, 3, next(quotient, n)))).toEqual([
      true,
      true,
      true,
    ]);
    expect([-4, 4].map((n) => permits("div", 1, 3, next(quotient, n)))).toEqual([false, false]);
    expect(permits("div", 2 ** 127, 2 ** 127, 0)).toBe(true);
    expect(permits("div", 2 ** 127, 2 ** 126, 0)).toBe(false);
    const root = Math.fround(Math.sqrt(2));
    expect([-4, 4].map((n) => permits("sqrt", 2, 0, next(root, n)))).toEqual([true, true]);
    expect([-10, 10].map((n) => permits("sqrt", 2, 0, next(root, n)))).toEqual([false, false]);
    expect(permits("sqrt", 0, 0, 0)).toBe(true);
    expect(permits("sqrt", 0, 0, 2 ** -149)).toBe(false);
  });

  it("has subnormal numbers as they are or as 0, and NaN only where IEEE 754 has it", () => {
    const tiny = 2 ** -130;
    expect([tiny, 0, 2 * tiny].map((got) => permits("neg", -tiny, 0, got))).toEqual([
      true,
      true,
      false,
    ]);
    expect([0, 1].map((got) => permits("lt", 0, tiny, got))).toEqual([true, true]);
    expect([0, 1].map((got) => permits("lt", 0, 2 ** -126, got))).toEqual([false, true]);
    expect(permits("max", NaN, 1, NaN)).toBe(true);
    expect(permits("max", NaN, 1, 1)).toBe(false);
    expect(permits("add", 1, 2, NaN)).toBe(false);
    expect(permits("sub", Infinity, Infinity, NaN)).toBe(true);
    expect(permits("sub", Infinity, Infinity, 0)).toBe(false);
    expect(permits("mul", 2 ** 127, 2, (2 - 2 ** -23) * 2 ** 127)).toBe(false);
    expect(permits("mul", 2 ** 127, 2, Infinity)).toBe(true);
  });
});
