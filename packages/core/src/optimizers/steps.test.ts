/** Lion, Adamax, Adadelta, Rprop, Adan, LAMB, LARS: steps computed by hand, and what their papers promise of a step. */

import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";
import { adadelta } from "./adadelta.ts";
import { adamax } from "./adamax.ts";
import { adan } from "./adan.ts";
import { lamb } from "./lamb.ts";
import { lars } from "./lars.ts";
import { lion } from "./lion.ts";
import { rprop } from "./rprop.ts";

type Numbers = readonly number[];

/** Parameters after each step. */
function take(
  optimizer: Optimizer,
  { start, rate }: { readonly start: Numbers; readonly rate: number },
  gradients: readonly Numbers[],
  dtype: "float64" | "float32" = "float64",
): number[][] {
  const params = { x: { shape: [start.length], data: Float64Array.from(start) } };
  const compiled = compileOptimizer(optimizer, { params, learningRate: rate, dtype });
  return gradients.map((g) => {
    compiled.step({ x: Float64Array.from(g) });
    return Array.from(compiled.params.x?.data ?? []);
  });
}

function expectSteps(steps: readonly Numbers[], expected: readonly Numbers[]): void {
  expect(steps.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  steps.flat().forEach((value, i) => {
    // A handful of roundings of numbers below 10, in an order of their own.
    expect(Math.abs(value - (expected.flat()[i] as number))).toBeLessThan(1e-14);
  });
}

const norm = (x: Numbers): number => Math.hypot(...x);

/** Gradients of 5 numbers over many magnitudes. */
function draw(seed: number, steps: number): number[][] {
  const random = mulberry32(seed);
  return Array.from({ length: steps }, () => {
    const scale = 10 ** (12 * random.next() - 6);
    return Array.from({ length: 5 }, () => scale * random.normal());
  });
}

describe("lion", () => {
  const setup = { start: [1, -2], rate: 0.1 };

  it("takes two steps as by hand", () => {
    // c = (2, -1), then (-1.5, -0.25) with m = (1, -0.5)
    const steps = take(lion({ b1: 0.5, b2: 0.75 }), setup, [
      [4, -2],
      [-4, 0],
    ]);
    expectSteps(steps, [
      [0.9, -1.9],
      [1, -1.8],
    ]);
  });

  it("decays by the rate's share of the parameter before the step", () => {
    const steps = take(lion({ weightDecay: 0.5 }), setup, [[4, -2]]);
    expectSteps(steps, [[1 - 0.05 - 0.1, -2 + 0.1 + 0.1]]);
  });

  it("moves every element by exactly the rate, whatever the gradients", () => {
    let before: Numbers = [0, 0, 0, 0, 0];
    // A power of two: sums of it are exact.
    for (const after of take(lion(), { start: before, rate: 2 ** -7 }, draw(1, 50))) {
      expect(after.map((x, i) => Math.abs(x - (before[i] as number)))).toEqual(
        Array.from(after, () => 2 ** -7),
      );
      before = after;
    }
  });

  it("leaves alone what never had a gradient, and follows NaN", () => {
    const [after] = take(lion(), setup, [[0, Number.NaN]]);
    expect(after).toEqual([1, Number.NaN]);
  });
});

describe("adamax", () => {
  it("takes two steps as by hand", () => {
    // m = (1, -2), u = (2, 4); then m = (0, -1), u = (1, 2)
    const steps = take(adamax({ b1: 0.5, b2: 0.5, eps: 0 }), { start: [1, -2], rate: 1 }, [
      [2, -4],
      [-1, 0],
    ]);
    expectSteps(steps, [
      [0, -1],
      [0, -1 / 3],
    ]);
  });

  it("adds eps to the gradient's magnitude, inside the maximum", () => {
    // u = (2 + 2, 4 + 2), then max(4 / 2, 1 + 2) and max(6 / 2, 0 + 2)
    const steps = take(adamax({ b1: 0, b2: 0.5, eps: 2 }), { start: [0, 0], rate: 1 }, [
      [2, -4],
      [1, 0],
    ]);
    expectSteps(steps, [
      [-1 / 2, 2 / 3],
      [-1 / 2 - 1 / 3, 2 / 3],
    ]);
  });

  it("without eps ignores the scale of gradients", () => {
    const gradients = draw(2, 30);
    // A power of two scales without rounding.
    const scaled = gradients.map((g) => g.map((x) => x * 2 ** 40));
    const setup = { start: [1, -2, 3, 0, 5], rate: 0.01 };
    expect(take(adamax({ eps: 0 }), setup, scaled)).toEqual(
      take(adamax({ eps: 0 }), setup, gradients),
    );
  });
});

describe("adadelta", () => {
  it("takes two steps as by hand", () => {
    // v = (2, 0), w = (2/3, 0); then v = (3/2, 2)
    const steps = take(adadelta({ rho: 0.5, eps: 1 }), { start: [1, -2], rate: 1 }, [
      [2, 0],
      [1, 2],
    ]);
    const first = 1 - 2 / Math.sqrt(3);
    expectSteps(steps, [
      [first, -2],
      [first - Math.sqrt(2 / 3), -2 - 2 / Math.sqrt(3)],
    ]);
  });

  it("keeps the rate out of its averages", () => {
    const gradients = draw(3, 20);
    const whole = take(adadelta(), { start: [0, 0, 0, 0, 0], rate: 1 }, gradients);
    const half = take(adadelta(), { start: [0, 0, 0, 0, 0], rate: 0.5 }, gradients);
    expect(half).toEqual(whole.map((x) => x.map((value) => value / 2)));
  });
});

describe("rprop", () => {
  const setup = { start: [1, -2], rate: 0.1 };

  it("takes three steps as by hand: grows, shrinks and rests, goes on at the smaller size", () => {
    const steps = take(rprop(), setup, [
      [3, -5],
      [1e-9, 7],
      [-1, 7],
    ]);
    expectSteps(steps, [
      [0.9, -1.9],
      [0.9 - 0.12, -1.9],
      [0.9 - 0.12, -1.9 - 0.05],
    ]);
  });

  it("keeps step sizes between its bounds, the first one included", () => {
    const bounded = rprop({ minStepSize: 0.04, maxStepSize: 0.05 });
    const steps = take(bounded, setup, [
      [1, 1],
      [1, -1],
      [1, -1],
    ]);
    expectSteps(steps, [
      [0.95, -2.05],
      [0.9, -2.05],
      [0.85, -2.01],
    ]);
  });

  it("ignores the scale of gradients, bit for bit, down to what float32 can hold", () => {
    const gradients = draw(4, 40);
    const scaled = gradients.map((g) => g.map((x) => x * 1e-30));
    const start = { start: [1, -2, 3, 0, 5], rate: 0.01 };
    expect(take(rprop(), start, scaled, "float32")).toEqual(
      take(rprop(), start, gradients, "float32"),
    );
  });
});

describe("adan", () => {
  const halves = { b1: 0.5, b2: 0.5, b3: 0.5, eps: 0 };
  const setup = { start: [1, -2], rate: 1 };

  it("takes two steps as by hand", () => {
    // d = 0; then d = (2, 0), m̂ = (10/3, -2), v̂ = (4/3, 0), n̂ = (18, 4)
    const steps = take(adan(halves), setup, [
      [2, -2],
      [4, -2],
    ]);
    expectSteps(steps, [
      [0, -1],
      [-4 / Math.sqrt(18), 0],
    ]);
  });

  it("decays last by division, or first by the rate's share", () => {
    const proximal = take(adan({ ...halves, weightDecay: 0.5 }), setup, [[2, -2]]);
    expectSteps(proximal, [[0, -1 / 1.5]]);
    const decoupled = adan({ ...halves, weightDecay: 0.5, decay: "decoupled" });
    expectSteps(take(decoupled, setup, [[2, -2]]), [[0.5 - 1, -1 + 1]]);
  });

  it("moves by the rate under a constant gradient: there is no change to count", () => {
    const gradients = Array.from({ length: 20 }, () => [1e-3, -7e5]);
    const steps = take(adan({ eps: 0 }), { start: [0, 0], rate: 0.01 }, gradients);
    steps.forEach(([x, y], t) => {
      // Averages of one value and their corrections: some 20 roundings a step, of numbers below 0.2.
      expect(Math.abs((x as number) + 0.01 * (t + 1))).toBeLessThan(1e-14);
      expect(Math.abs((y as number) - 0.01 * (t + 1))).toBeLessThan(1e-14);
    });
  });
});

describe("lamb", () => {
  const halves = { b1: 0.5, b2: 0.5, eps: 0 };

  it("takes two steps as by hand", () => {
    // u = (1, -1) of norm √2, ‖p‖ = 5; then u = (1/√3, -1) of norm 2/√3
    const steps = take(lamb(halves), { start: [3, -4], rate: 0.1 }, [
      [2, -2],
      [0, -2],
    ]);
    const first = [3 - 0.5 / Math.SQRT2, -4 + 0.5 / Math.SQRT2] as const;
    const length = 0.1 * norm(first);
    expectSteps(steps, [first, [first[0] - length / 2, first[1] + (length * Math.sqrt(3)) / 2]]);
  });

  it("counts decay in the direction, before its norm", () => {
    // u = (1 + 1.5, -1 - 2)
    const steps = take(lamb({ ...halves, weightDecay: 0.5 }), { start: [3, -4], rate: 0.1 }, [
      [2, -2],
    ]);
    const length = 0.5 / Math.hypot(2.5, 3);
    expectSteps(steps, [[3 - 2.5 * length, -4 + 3 * length]]);
  });

  it("moves by lr·‖p‖, whatever the gradients", () => {
    let before: Numbers = [1, -2, 3, 0.5, 5];
    for (const after of take(lamb(), { start: before, rate: 0.01 }, draw(5, 50))) {
      const moved = norm(after.map((x, i) => x - (before[i] as number)));
      // Differences of parameters below 10: rounding 1e-15 each, against 0.05.
      expect(Math.abs(moved / norm(before) - 0.01)).toBeLessThan(1e-14);
      before = after;
    }
  });

  it("leaves zero: the ratio is 1 where a norm is 0", () => {
    const [left] = take(lamb(halves), { start: [0, 0], rate: 0.1 }, [[2, -2]]);
    expect(left).toEqual([-0.1, 0.1]);
    const [still] = take(lamb(), { start: [3, -4], rate: 0.1 }, [[0, 0]]);
    expect(still).toEqual([3, -4]);
  });

  it("measures each leaf by itself", () => {
    const leaf = (data: Numbers) => ({ shape: [data.length], data: Float64Array.from(data) });
    const params = { a: leaf([3, -4]), b: leaf([300, 400]) };
    const compiled = compileOptimizer(lamb(), { params, learningRate: 0.1, dtype: "float64" });
    compiled.step({ a: Float64Array.of(1, 2), b: Float64Array.of(5, -6) });
    const [alone] = take(lamb(), { start: [300, 400], rate: 0.1 }, [[5, -6]]);
    expect(Array.from(compiled.params.b?.data ?? [])).toEqual(alone);
  });
});

describe("lars", () => {
  const setup = { start: [3, -4], rate: 1 };

  it("takes two steps as by hand", () => {
    // κ = 0.1 · 5 / 2, b = (0, 0.5); then κ ‖g‖ = 0.1 ‖(3, -4.5)‖
    const steps = take(lars({ momentum: 0.5, trustCoefficient: 0.1 }), setup, [
      [0, 2],
      [4, 0],
    ]);
    expectSteps(steps, [
      [3, -4.5],
      [3 - 0.1 * Math.hypot(3, 4.5), -4.75],
    ]);
  });

  it("looks ahead with Nesterov", () => {
    const ahead = lars({ momentum: 0.5, nesterov: true, trustCoefficient: 0.1 });
    expectSteps(take(ahead, setup, [[0, 2]]), [[3, -4 - 0.5 - 0.25]]);
  });

  it.each([
    // ‖g‖ + λ‖p‖ + ε = 2 + 2.5 + 0.5, of which κ = 0.1; g + λp = (1.5, 0)
    ["paper", 0.1 * 1.5],
    // ‖g + λp‖ + ε = 1.5 + 0.5, of which κ = 0.25
    ["optax", 0.25 * 1.5],
  ] as const)("divides by what the convention %s measures", (convention, moved) => {
    const options = { trustCoefficient: 0.1, eps: 0.5, weightDecay: 0.5, convention };
    expectSteps(take(lars(options), setup, [[0, 2]]), [[3 - moved, -4]]);
  });

  it("moves by lr·η·‖p‖ without momentum, whatever the gradients", () => {
    let before: Numbers = [1, -2, 3, 0.5, 5];
    const optimizer = lars({ momentum: 0, trustCoefficient: 0.01 });
    for (const after of take(optimizer, { start: before, rate: 2 }, draw(6, 50))) {
      const moved = norm(after.map((x, i) => x - (before[i] as number)));
      // Differences of parameters below 20: rounding 2e-15 each, against 0.1.
      expect(Math.abs(moved / norm(before) - 0.02)).toBeLessThan(1e-14);
      before = after;
    }
  });

  it("takes the rate as it is where a norm is 0", () => {
    const [left] = take(lars(), { start: [0, 0], rate: 0.5 }, [[1, -2]]);
    expect(left).toEqual([-0.5, 1]);
    const [still] = take(lars(), setup, [[0, 0]]);
    expect(still).toEqual([3, -4]);
  });
});
