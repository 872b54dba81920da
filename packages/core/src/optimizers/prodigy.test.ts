import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { prodigy } from "./prodigy.ts";

describe("prodigy", () => {
  it("two steps by hand", () => {
    const compiled = compileOptimizer(prodigy({ b1: 0.5, b2: 0.75, b3: 0.5, eps: 0, d0: 0.5 }), {
      params: { x: { shape: [1], data: Float64Array.of(4) } },
      learningRate: 1,
      dtype: "float64",
    });
    // δ = ½: m = ½·½·2 = ½, v = ¼·(½·2)² = ¼, r = 0 (p is still p₀), s = ½·2 = 1, d̂ = 0: d stays; p = 4 − ½·½/½
    compiled.step({ x: Float64Array.of(2) });
    expect(compiled.params.x?.data[0]).toBe(3.5);
    // r = ½·2·(4 − 3.5) = ½, s = ½ + 1 = 3/2, d̂ = 1/3: d stays; m = ¼ + ½·1 = ¾, v = 3/16 + ¼ = 7/16
    compiled.step({ x: Float64Array.of(2) });
    // A root and a quotient.
    expect(compiled.params.x?.data[0]).toBeCloseTo(3.5 - (0.5 * 0.75) / Math.sqrt(7 / 16), 15);
  });

  it("finds a rate for a parabola that is a million times d₀ away", () => {
    const compiled = compileOptimizer(prodigy(), {
      params: { x: { shape: [2], data: Float64Array.of(1, -2) } },
      learningRate: 1,
      dtype: "float64",
    });
    for (let t = 0; t < 500; t++) {
      const { data } = compiled.params.x as { data: Float64Array };
      compiled.step({ x: data.map((x, i) => x * (i + 1)) });
    }
    // Twins: without a bound on growth d and its maximum are one number.
    expect(compiled.save().global.d).toBeGreaterThan(0.01);
    const [a = 0, b = 0] = compiled.params.x?.data ?? [];
    // From 4.5 by steps that began at 1e-6.
    expect(0.5 * a * a + b * b).toBeLessThan(0.01);
  });

  it("one estimate serves all tensors: two halves move as the whole does", () => {
    const step = (params: Record<string, readonly number[]>): number[] => {
      const compiled = compileOptimizer(prodigy({ d0: 0.01 }), {
        params: Object.fromEntries(
          Object.entries(params).map(([path, values]) => [
            path,
            { shape: [values.length], data: Float64Array.from(values) },
          ]),
        ),
        learningRate: 1,
        dtype: "float64",
      });
      for (let t = 0; t < 20; t++) {
        compiled.step(
          Object.fromEntries(
            Object.entries(compiled.params).map(([path, { data }]) => [path, data.slice()]),
          ),
        );
      }
      return Object.values(compiled.params).flatMap(({ data }) => Array.from(data));
    };
    const whole = step({ x: [1, -2] });
    step({ x: [1], y: [-2] }).forEach((value, i) => {
      // The same sums in another order, twenty steps.
      expect(value).toBeCloseTo(whole[i] as number, 12);
    });
  });

  it("does not even decay while no gradient has been other than zero", () => {
    const compiled = compileOptimizer(prodigy({ weightDecay: 0.5 }), {
      params: { x: { shape: [2], data: Float32Array.of(1, -1) } },
      learningRate: 1,
    });
    compiled.step({ x: new Float32Array(2) });
    expect(Array.from(compiled.params.x?.data ?? [])).toEqual([1, -1]);
  });

  it.each([
    [{ b1: 1 }, "`b1` must be in [0, 1), got 1"],
    [{ b2: -1 }, "`b2` must be in [0, 1), got -1"],
    [{ b3: 1 }, "`b3` must be in [0, 1), got 1"],
    [{ eps: -1 }, "`eps` must be finite and at least 0, got -1"],
    [{ d0: 0 }, "`d0` must be finite and greater than 0, got 0"],
    [{ dCoef: 0 }, "`dCoef` must be finite and greater than 0, got 0"],
    [{ growthRate: 0.5 }, "`growthRate` must be at least 1, got 0.5"],
    [{ weightDecay: -1 }, "`weightDecay` must be finite and at least 0, got -1"],
    [{ decoupled: 1 }, "`decoupled` must be true or false, got 1"],
    [{ useBiasCorrection: 0 }, "`useBiasCorrection` must be true or false, got 0"],
    [{ safeguardWarmup: "x" }, '`safeguardWarmup` must be true or false, got "x"'],
  ])("refuses %j by name", (options, message) => {
    const build = prodigy as (options: object) => Optimizer;
    expect(() => build(options)).toThrow(new RangeError(`prodigy: ${message}`));
  });
});
