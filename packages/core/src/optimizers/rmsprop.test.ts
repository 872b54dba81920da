import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { rmsprop } from "./rmsprop.ts";
import { elements, paramsOf, take } from "./testSteps.ts";

/** With γ = ¾ both make v = 1. */
const GRADIENTS = [
  [2, -2],
  [1, 1],
];

describe("rmsprop", () => {
  it("torch: two steps by hand, ε after the root", () => {
    const steps = take(rmsprop({ decay: 0.75, eps: 1 }), [1, -2], GRADIENTS, 1);
    expect(elements(steps[1], "nu")).toEqual([1, 1]);
    expect(steps.map(({ params }) => params)).toEqual([
      [0, -1],
      [-0.5, -1.5],
    ]);
  });

  it("optax: two steps by hand, ε under the root", () => {
    const optax = rmsprop({ convention: "optax", decay: 0.75, eps: 3 });
    expect(paramsOf(optax, [1, -2], GRADIENTS, 1)).toEqual([
      [0, -1],
      [-0.5, -1.5],
    ]);
  });

  it("has each convention's decay by default", () => {
    // 1 − γ is not a number of the format: one rounding of it, one of the square.
    expect(elements(take(rmsprop(), [0], [[3]], 1)[0], "nu")[0]).toBeCloseTo(0.01 * 9, 15);
    const optax = take(rmsprop({ convention: "optax" }), [0], [[3]], 1);
    expect(elements(optax[0], "nu")[0]).toBeCloseTo(0.1 * 9, 15);
  });

  it("takes the rate outside the momentum in torch and inside in optax", () => {
    const halving = (count: number): number => 0.5 ** count;
    const torch = rmsprop({ decay: 0.75, eps: 1, momentum: 0.5 });
    // b = [1, -1], then [1, 0]
    expect(paramsOf(torch, [1, -2], GRADIENTS, halving)).toEqual([
      [0, -1],
      [-0.5, -1],
    ]);
    const optax = rmsprop({ convention: "optax", decay: 0.75, eps: 3, momentum: 0.5 });
    // b = [1, -1], then [0.75, -0.25]
    expect(paramsOf(optax, [1, -2], GRADIENTS, halving)).toEqual([
      [0, -1],
      [-0.75, -0.75],
    ]);
  });

  it("centered: two steps by hand, the variance under the root", () => {
    const steps = take(rmsprop({ decay: 0.75, eps: 1, centered: true }), [1, -2], GRADIENTS, 1);
    // m = [0.5, -0.5], then [0.625, -0.125]
    expect(elements(steps[1], "mu")).toEqual([0.625, -0.125]);
    const first = 2 / (Math.sqrt(1 - 0.5 ** 2) + 1);
    expect(steps[0]?.params).toEqual([1 - first, -2 + first]);
    expect(steps[1]?.params).toEqual([
      1 - first - 1 / (Math.sqrt(1 - 0.625 ** 2) + 1),
      -2 + first - 1 / (Math.sqrt(1 - 0.125 ** 2) + 1),
    ]);
  });

  it.each(["torch", "optax"] as const)(
    "%s: centered stays finite where rounding makes the variance of a steady gradient negative",
    (convention) => {
      const optimizer = compileOptimizer(
        rmsprop({ convention, centered: true, decay: 0.9, eps: 1e-8 }),
        { params: { x: { shape: [8], data: new Float32Array(8) } }, learningRate: 1e-3 },
      );
      const g = Float32Array.from({ length: 8 }, (_, i) => 10 * Math.sqrt(i + 2));
      let negative = 0;
      for (let t = 0; t < 400; t++) {
        // Both averages come down to g and g² and stop some roundings above: m² then exceeds v.
        optimizer.step({ x: t < 100 ? g.map((value) => 4 * value) : g });
        const { nu, mu } = optimizer.save().leaves.x?.arrays ?? {};
        g.forEach((_, i) => {
          const m = mu?.[0]?.[i] as number;
          const variance = Math.fround((nu?.[0]?.[i] as number) - Math.fround(m * m));
          negative += variance < 0 ? 1 : 0;
        });
      }
      expect(negative).toBeGreaterThan(0);
      expect(Array.from(optimizer.params.x?.data ?? []).every(Number.isFinite)).toBe(true);
    },
  );
});
