import { describe, expect, it } from "vitest";
import { adabelief } from "./adabelief.ts";
import { elements, paramsOf, take } from "./testSteps.ts";

describe("adabelief", () => {
  it("two steps by hand", () => {
    const [b1, b2, eps, epsRoot] = [0.5, 0.75, 0.125, 0.25];
    const steps = take(
      adabelief({ b1, b2, eps, epsRoot }),
      [1, -2],
      [
        [2, -4],
        [1, 2],
      ],
      0.5,
    );
    // m = [1, -2]; g − m = [1, -2]; s = ¼ (g − m)² + ¼
    expect(elements(steps[0], "mu")).toEqual([1, -2]);
    expect(elements(steps[0], "s")).toEqual([0.5, 1.25]);
    // Numbers of order 1 after some ten roundings.
    const first = [1 - (0.5 * 2) / (Math.sqrt(2) + 0.125), -2 + (0.5 * 4) / (Math.sqrt(5) + 0.125)];
    first.forEach((p, i) => {
      expect(steps[0]?.params[i]).toBeCloseTo(p, 14);
    });
    // m = [1, 0]; g − m = [0, 2]; s = ¾ s + ¼ (g − m)² + ¼
    expect(elements(steps[1], "mu")).toEqual([1, 0]);
    expect(elements(steps[1], "s")).toEqual([0.625, 2.1875]);
    const sHat = 0.625 / (1 - 0.75 ** 2);
    // As above.
    expect(steps[1]?.params[0]).toBeCloseTo(
      (first[0] as number) - (0.5 * (1 / 0.75)) / (Math.sqrt(sHat) + 0.125),
      14,
    );
    expect(steps[1]?.params[1]).toBe(steps[0]?.params[1]);
  });

  it("s is the average of the surprise: β₁²ᵗ g² of a gradient that stays the same", () => {
    const [b1, b2, g] = [0.9, 0.99, 3];
    const gradients = Array.from({ length: 50 }, () => [g]);
    let s = 0;
    take(adabelief({ b1, b2, epsRoot: 0 }), [0], gradients, 0.1).forEach((step, index) => {
      s = b2 * s + (1 - b2) * (b1 ** (index + 1) * g) ** 2;
      // g − m by subtraction, of a result down to 0.5 % of g.
      expect(elements(step, "s")[0]).toBeCloseTo(s, 13);
    });
  });

  it("adds ε_root in every step, and keeps it", () => {
    const [step1, step2, step3] = take(
      adabelief({ b2: 0.5, epsRoot: 1 }),
      [1],
      [[0], [0], [0]],
      0.1,
    );
    expect([step1, step2, step3].map((step) => elements(step, "s")[0])).toEqual([1, 1.5, 1.75]);
  });

  it("without momentum is never surprised", () => {
    const params = paramsOf(adabelief({ b1: 0, b2: 0, eps: 0, epsRoot: 4 }), [1], [[6], [-2]], 0.5);
    // s = ε_root = 4 whatever the gradient
    expect(params).toEqual([[1 - 0.5 * 3], [1 - 0.5 * 3 + 0.5]]);
  });
});
