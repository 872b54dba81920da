import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocateValues, type HostProgram, runHost } from "./host.ts";

const program: HostProgram = {
  slots: 3,
  vectors: [],
  constants: [],
  inputs: [],
  queues: [],
  delays: [],
  levels: [[{ op: "pow", out: 2, operands: [0, 1] }]],
};

/** What the host makes of aᵇ. */
function power(a: number, b: number): number {
  const matrix = { rows: 1, columns: 1 };
  const values = allocateValues(program, matrix);
  values.numbers.set([a, b]);
  runHost(program.levels[0] ?? [], values, matrix);
  return values.numbers[2] as number;
}

/** aᵇ rounded from a product of integers. */
function exact(a: number, b: number): number {
  // a = whole · 2⁻⁶⁰: decay rates that are short enough for whole numbers of bits.
  const whole = BigInt(Math.round(a * 2 ** 30));
  const bits = 30n * BigInt(b);
  const scaled = ((whole ** BigInt(b)) << 1100n) >> bits;
  return Number(scaled) / 2 ** 600 / 2 ** 500;
}

describe("whole powers on the host", () => {
  it("are within a unit in the last place of the true ones, at the steps that training takes", () => {
    for (const digits of [0.9, 0.99, 0.999, 0.9375]) {
      const a = Math.round(digits * 2 ** 30) / 2 ** 30;
      for (const b of [0, 1, 2, 3, 10, 33, 100, 500]) {
        const [got, want] = [power(a, b), exact(a, b)];
        expect(Math.abs(got - want)).toBeLessThanOrEqual(2 ** -52 * want);
      }
    }
  });

  it("agree with the engine's to a few bits, and in every special case", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1.5, noNaN: true }), fc.nat(1e6), (a, b) => {
        const [got, want] = [power(a, b), a ** b];
        // An engine's power may err by a unit; below the normal numbers, by the smallest one.
        const close = Math.abs(got - want) <= 2 ** -51 * Math.abs(want) + 2 ** -1022;
        expect(close || Object.is(got, want)).toBe(true);
      }),
    );
    for (const a of [0, -0, 1, -1, -0.5, 2, Infinity, -Infinity, NaN]) {
      for (const b of [0, 1, 2, 3, -1, 0.5, Infinity, NaN]) {
        expect(power(a, b)).toBe(a ** b);
      }
    }
  });
});
