import { describe, expect, it } from "vitest";
import { mulberry32 } from "../random.ts";
import { adam, amsgrad } from "./adam.ts";
import { padam } from "./padam.ts";
import { draws, elements, paramsOf, take } from "./testSteps.ts";

const START = [1, -2, 0.5];

describe("padam", () => {
  it.each([0.25, 0.125, 0])("p = %d: two steps by hand", (partial) => {
    const [b1, b2, eps] = [0.5, 0.75, 0.125];
    const steps = take(
      padam({ b1, b2, eps, partial }),
      [1, -2],
      [
        [4, -2],
        [2, 2],
      ],
      0.5,
    );
    // m = [2, -1], v = h = [4, 1]; then m = [2, 0.5], v = [4, 1.75]
    expect(elements(steps[1], "mu")).toEqual([2, 0.5]);
    expect(elements(steps[1], "nuMax")).toEqual([4, 1.75]);
    const rate = [0.5 * (Math.sqrt(0.25) / 0.5), 0.5 * (Math.sqrt(0.4375) / 0.75)] as const;
    const first = [
      1 - (rate[0] * 2) / 2.125 ** (2 * partial),
      -2 + rate[0] / 1.125 ** (2 * partial),
    ] as const;
    const second = [
      first[0] - (rate[1] * 2) / 2.125 ** (2 * partial),
      first[1] - (rate[1] * 0.5) / (Math.sqrt(1.75) + eps) ** (2 * partial),
    ];
    [first, second].forEach((row, t) => {
      row.forEach((p, i) => {
        // Numbers of order 1 after some ten roundings.
        expect(steps[t]?.params[i]).toBeCloseTo(p, 14);
      });
    });
  });

  it("keeps the maximum of v in the denominator unless told otherwise", () => {
    const gradients = [[8], [1], [1]];
    const last = (max: boolean) => take(padam({ b2: 0.5, max }), [0], gradients, 0.1)[2];
    expect(elements(last(true), "nuMax")).toEqual([32]);
    expect(elements(last(false), "nuMax")).toEqual([]);
    // Averages of 64, 1, 1: v = 8.75, so the step without the maximum is longer.
    expect(last(false)?.params[0]).toBeLessThan(last(true)?.params[0] as number);
  });

  it("p = ½ without ε is AMSGrad, bit for bit, and without the maximum Adam", () => {
    const gradients = draws(mulberry32(1), 60, 3);
    const half = { partial: 0.5, eps: 0 };
    expect(paramsOf(padam(half), START, gradients, 0.1)).toEqual(
      paramsOf(amsgrad({ eps: 0 }), START, gradients, 0.1),
    );
    expect(paramsOf(padam({ ...half, max: false }), START, gradients, 0.1)).toEqual(
      paramsOf(adam({ eps: 0 }), START, gradients, 0.1),
    );
  });

  it("p = ½ differs from AMSGrad by ε alone, which joins the root before its correction", () => {
    const gradients = draws(mulberry32(2), 60, 3);
    const own = paramsOf(padam({ partial: 0.5 }), START, gradients, 0.1);
    const reference = paramsOf(amsgrad(), START, gradients, 0.1);
    own.forEach((row, t) => {
      row.forEach((p, i) => {
        // ε/√v ≤ 1e-8/(0.03·0.01) a step of 0.1, for 60 steps.
        expect(Math.abs(p - (reference[t]?.[i] as number))).toBeLessThan(60 * 0.1 * 3.4e-5);
      });
    });
    expect(own).not.toEqual(reference);
  });

  it("p = 0 is SGD with momentum, whatever the size of the gradient", () => {
    const gradients = draws(mulberry32(3), 20, 3);
    let before: readonly number[] = START;
    take(padam({ partial: 0 }), START, gradients, 0.1).forEach((step, index) => {
      const t = index + 1;
      const rate = (0.1 * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t);
      elements(step, "mu").forEach((m, i) => {
        // A rounding of parameters of order 1.
        expect(step.params[i]).toBeCloseTo((before[i] as number) - rate * m, 14);
      });
      before = step.params;
    });
  });
});
