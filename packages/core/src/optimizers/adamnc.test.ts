import { describe, expect, it } from "vitest";
import { mulberry32 } from "../random.ts";
import { adagrad } from "./adagrad.ts";
import { adamnc } from "./adamnc.ts";
import { draws, elements, paramsOf, take } from "./testSteps.ts";

const GRADIENTS = [
  [1, -2],
  [7, 2],
];

describe("adamnc", () => {
  it("two steps by hand, the rate divided by √t", () => {
    const steps = take(adamnc({ b1: 0.5, eps: 1 }), [1, -2], GRADIENTS, 0.5);
    // v = g², then the mean of both: 25 and 4; m = [0.5, -1], then [3.75, 0.5]
    expect(elements(steps[1], "nu")).toEqual([25, 4]);
    expect(steps[0]?.params).toEqual([1 - (0.5 * 0.5) / 2, -2 + 0.5 / 3]);
    const rate = 0.5 / Math.sqrt(2);
    // Numbers of order 1 after some roundings.
    expect(steps[1]?.params[0]).toBeCloseTo(0.875 - (rate * 3.75) / 6, 14);
    expect(steps[1]?.params[1]).toBeCloseTo(-2 + 0.5 / 3 - (rate * 0.5) / 3, 14);
  });

  it("takes the rate as given with a constant schedule", () => {
    const optimizer = adamnc({ b1: 0.5, eps: 1, schedule: "constant" });
    const [, second] = paramsOf(optimizer, [1, -2], GRADIENTS, 0.5);
    // Numbers of order 1 after some roundings.
    expect(second?.[0]).toBeCloseTo(0.875 - (0.5 * 3.75) / 6, 14);
  });

  it("v is the plain average of all squared gradients", () => {
    const gradients = draws(mulberry32(1), 200, 3);
    const sums = [0, 0, 0];
    take(adamnc(), [0, 0, 0], gradients, 0.1).forEach((step, index) => {
      elements(step, "nu").forEach((v, i) => {
        sums[i] = (sums[i] as number) + (gradients[index]?.[i] as number) ** 2;
        // An average of order 1, a rounding a step that the next ones shrink.
        expect(v).toBeCloseTo((sums[i] as number) / (index + 1), 13);
      });
    });
  });

  it("without momentum and ε is AdaGrad", () => {
    const gradients = draws(mulberry32(2), 100, 3);
    const own = paramsOf(adamnc({ b1: 0, eps: 0 }), [1, 2, 3], gradients, 0.1);
    const reference = paramsOf(adagrad({ eps: 0 }), [1, 2, 3], gradients, 0.1);
    own.forEach((row, t) => {
      row.forEach((p, i) => {
        // √t √(mean) against √(sum): a few roundings a step of at most 0.1.
        expect(p).toBeCloseTo(reference[t]?.[i] as number, 13);
      });
    });
  });

  it("decays by the rate of its steps", () => {
    const optimizer = adamnc({ weightDecay: 0.5, decoupled: true });
    const [, second] = paramsOf(optimizer, [1], [[0], [0]], 0.5);
    // Two factors of order 1.
    expect(second?.[0]).toBeCloseTo(0.75 * (1 - 0.25 / Math.sqrt(2)), 15);
  });
});
