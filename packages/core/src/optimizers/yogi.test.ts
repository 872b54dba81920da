import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { elements, paramsOf, take } from "./testSteps.ts";
import { yogi } from "./yogi.ts";

describe("yogi", () => {
  it("two steps by hand", () => {
    const [b1, b2, eps] = [0.5, 0.75, 0.125];
    const steps = take(
      yogi({ b1, b2, eps, initialAccumulator: 1 }),
      [1, -2],
      [
        [2, 0.5],
        [1, -1],
      ],
      0.5,
    );
    // v = 1 + ¼·4, as 1 < 4; v = 1 − ¼·¼, as 1 > ¼
    expect(elements(steps[0], "mu")).toEqual([1.5, 0.75]);
    expect(elements(steps[0], "nu")).toEqual([2, 0.9375]);
    // v = 2 − ¼·1; v = 0.9375 + ¼·1
    expect(elements(steps[1], "mu")).toEqual([1.25, -0.125]);
    expect(elements(steps[1], "nu")).toEqual([1.75, 1.1875]);
    const first = [
      1 - (0.5 * 3) / (Math.sqrt(8) + eps),
      -2 - (0.5 * 1.5) / (Math.sqrt(3.75) + eps),
    ] as const;
    const c2 = 1 - 0.75 ** 2;
    const second = [
      first[0] - (0.5 * 1.25) / 0.75 / (Math.sqrt(1.75 / c2) + eps),
      first[1] + (0.5 * 0.125) / 0.75 / (Math.sqrt(1.1875 / c2) + eps),
    ];
    [first, second].forEach((row, t) => {
      row.forEach((p, i) => {
        // Numbers of order 1 after some ten roundings.
        expect(steps[t]?.params[i]).toBeCloseTo(p, 14);
      });
    });
  });

  it("leaves v as it is where it equals g²: sign(0) = 0", () => {
    const steps = take(yogi({ initialAccumulator: 0.25 }), [1, 1], [[0.5, -0.5]], 0.1);
    expect(elements(steps[0], "nu")).toEqual([0.25, 0.25]);
  });

  it("moves v towards g² by no more than (1 − β₂) g², and never below zero", () => {
    const magnitude = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(magnitude, fc.array(magnitude, { minLength: 1, maxLength: 20 }), (v0, gs) => {
        const b2 = 0.9;
        let before = v0;
        const steps = take(
          yogi({ b2, initialAccumulator: v0 }),
          [0],
          gs.map((g) => [g]),
          0.1,
        );
        steps.forEach((step, t) => {
          const squared = (gs[t] as number) ** 2;
          const [v] = elements(step, "nu") as [number];
          const moved = v - before;
          // One rounding of the larger of the two.
          const rounding = 2 ** -51 * Math.max(before, squared);
          const expected = (1 - b2) * squared * Math.sign(squared - before);
          expect(Math.abs(moved - expected)).toBeLessThanOrEqual(rounding);
          expect(v).toBeGreaterThan(0);
          before = v;
        });
      }),
      { numRuns: 50 },
    );
  });

  it("starts both averages at 1e-6 by default", () => {
    // m̂ = 9e-6, v̂ = 1e-3 with a gradient of zero
    const [params] = paramsOf(yogi(), [0], [[0]], 1);
    // The size of the result times some roundings.
    expect(params?.[0]).toBeCloseTo(-9e-6 / (Math.sqrt(1e-3) + 1e-3), 17);
  });
});
