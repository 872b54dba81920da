import { describe, expect, it } from "vitest";
import { mulberry32 } from "../random.ts";
import { cosine } from "../schedules/cosine.ts";
import { adabound } from "./adabound.ts";
import { draws, elements, paramsOf, take } from "./testSteps.ts";

const START = [1, -2, 0.5, 3];

describe("adabound", () => {
  it("two steps by hand, one number at the upper bound, one between the bounds", () => {
    const [b1, b2, eps, gamma, finalLearningRate] = [0.5, 0.75, 0.125, 0.5, 0.25];
    const steps = take(
      adabound({ b1, b2, eps, gamma, finalLearningRate }),
      [1, -2],
      [
        [0.01, -4],
        [0.01, 2],
      ],
      1,
    );
    // t = 1: bounds ¼(1 − 1/1.5) = 0.083 and ¼(1 + 2) = 0.75; η = (√¼/½)/(√v + ⅛), √v = 0.005 and 2
    expect(elements(steps[0], "mu")).toEqual([0.005, -2]);
    const first = [1 - 0.75 * 0.005, -2 + 2 / (2 + eps)] as const;
    // t = 2: bounds ¼(1 − ½) and ¼(1 + 1); v = ¾·4 + ¼·4 = 4, m = [0.0075, 0]
    const second = [first[0] - 0.5 * 0.0075, first[1]];
    [first, second].forEach((row, t) => {
      row.forEach((p, i) => {
        // Numbers of order 1 after some ten roundings.
        expect(steps[t]?.params[i]).toBeCloseTo(p, 14);
      });
    });
  });

  it("scales m by a rate within the bounds, which follow the schedule", () => {
    const [gamma, final, steps] = [0.05, 0.1, 200];
    const schedule = cosine(0.01, steps);
    const gradients = draws(mulberry32(1), steps, 4).map((g) =>
      // Sizes from 1e-3 to 1e3: some rates are cut from above, some from below.
      g.map((value, i) => value * 10 ** (2 * i - 3)),
    );
    const optimizer = adabound({ gamma, finalLearningRate: final });
    let before: readonly number[] = START;
    let [atLow, atHigh, between] = [0, 0, 0];
    take(optimizer, START, gradients, schedule).forEach((step, index) => {
      const t = index + 1;
      const target = (final * schedule(index)) / schedule(0);
      const [low, high] = [target * (1 - 1 / (gamma * t + 1)), target * (1 + 1 / (gamma * t))];
      elements(step, "mu").forEach((m, i) => {
        const [from, to] = [before[i] as number, step.params[i] as number];
        const slack = 2 ** -52 * Math.max(Math.abs(from), Math.abs(to));
        const length = Math.abs(from - to);
        // The step is read off parameters, with their rounding.
        expect(length).toBeGreaterThanOrEqual(low * Math.abs(m) * (1 - 1e-14) - slack);
        expect(length).toBeLessThanOrEqual(high * Math.abs(m) * (1 + 1e-14) + slack);
        atLow += Math.abs(length - low * Math.abs(m)) <= slack ? 1 : 0;
        atHigh += Math.abs(length - high * Math.abs(m)) <= slack ? 1 : 0;
      });
      before = step.params;
    });
    between = steps * START.length - atLow - atHigh;
    expect(Math.min(atLow, atHigh, between)).toBeGreaterThan(20);
  });

  it("is SGD with momentum where the bounds have met", () => {
    const gradients = draws(mulberry32(2), 50, 4);
    let before: readonly number[] = START;
    take(adabound({ gamma: 1e14 }), START, gradients, 0.01).forEach((step) => {
      elements(step, "mu").forEach((m, i) => {
        // Bounds 1e-14 apart, and a rounding of the parameter.
        expect(step.params[i]).toBeCloseTo((before[i] as number) - 0.1 * m, 13);
      });
      before = step.params;
    });
  });

  it("takes the first rate as the one at which finalLearningRate is meant, or the one given", () => {
    const gradients = [[1], [1]];
    const halving = (count: number): number => 0.5 ** count;
    const bound = { b1: 0, gamma: 1e14, finalLearningRate: 0.25 };
    const steps = take(adabound(bound), [1], gradients, halving);
    // 0.25 of the first gradient, 0.125 of the second; bounds 1e-14 apart.
    expect(steps[1]?.params[0]).toBeCloseTo(1 - 0.25 - 0.125, 13);
    expect(steps[1]?.state.tensor).toEqual({ initialRate: 1 });
    const given = adabound({ ...bound, initialLearningRate: 0.5 });
    const [, last] = take(given, [1], gradients, halving);
    // 0.25 is meant at a rate of 0.5: twice as far. As above.
    expect(last?.params[0]).toBeCloseTo(1 - 0.5 - 0.25, 13);
    expect(last?.state.tensor).toEqual({});
  });

  it("waits for a rate above zero", () => {
    const late = (count: number): number => (count < 2 ? 0 : 0.5);
    const bound = { b1: 0, gamma: 1e14, finalLearningRate: 0.25 };
    const params = paramsOf(adabound(bound), [1], [[1], [1], [1]], late);
    expect(params.slice(0, 2)).toEqual([[1], [1]]);
    // Bounds 1e-14 apart.
    expect(params[2]?.[0]).toBeCloseTo(0.75, 13);
  });
});
