import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";
import { scheduleFreeAdamW, scheduleFreeSgd } from "./scheduleFree.ts";
import { draws } from "./testSteps.ts";

describe("scheduleFreeSgd", () => {
  it("two steps by hand: y where gradients are taken, x where the model is evaluated", () => {
    const compiled = compileOptimizer(scheduleFreeSgd({ b1: 0.5, weightDecay: 0.5 }), {
      params: { x: { shape: [1], data: Float64Array.of(4) } },
      learningRate: 0.5,
      dtype: "float64",
    });
    // d = 2 + ½·4 = 4, z = 4 − ½·4 = 2; c = 1: x = z = 2, y = 2
    compiled.step({ x: Float64Array.of(2) });
    expect(compiled.params.x?.data[0]).toBe(2);
    expect(compiled.evaluationParams().x?.data[0]).toBe(2);
    // d = 3 + ½·2 = 4, z = 2 − 2 = 0; c = ½: x = ½·2 + ½·0 = 1, y = ½·1 + ½·0 = ½
    compiled.step({ x: Float64Array.of(3) });
    expect(compiled.params.x?.data[0]).toBe(0.5);
    expect(compiled.evaluationParams().x?.data[0]).toBe(1);
  });

  it("without weights of its own evaluates at the plain average of z", () => {
    const gradients = draws(mulberry32(1), 20, 3);
    const compiled = compileOptimizer(scheduleFreeSgd({ b1: 0.9 }), {
      params: { x: { shape: [3], data: new Float64Array(3) } },
      learningRate: 0.1,
      dtype: "float64",
    });
    const z = [0, 0, 0];
    const sum = [0, 0, 0];
    for (const g of gradients) {
      compiled.step({ x: Float64Array.from(g) });
      g.forEach((value, i) => {
        z[i] = (z[i] as number) - 0.1 * value;
        sum[i] = (sum[i] as number) + (z[i] as number);
      });
    }
    const x = compiled.evaluationParams().x?.data ?? [];
    // Numbers of order 1 after 20 steps.
    sum.forEach((value, i) => {
      expect(x[i]).toBeCloseTo(value / 20, 14);
    });
  });

  it("stays where it is at a rate of zero", () => {
    const compiled = compileOptimizer(scheduleFreeSgd(), {
      params: { x: { shape: [2], data: Float32Array.of(1, -1) } },
      learningRate: 0,
    });
    compiled.step({ x: Float32Array.of(3, 3) });
    expect(Array.from(compiled.params.x?.data ?? [])).toEqual([1, -1]);
  });
});

it("scheduleFreeAdamW: the conventions agree where v needs no correction, and differ before", () => {
  const [authors, optax] = (["authors", "optax"] as const).map((convention) => {
    const compiled = compileOptimizer(scheduleFreeAdamW({ b2: 0, convention }), {
      params: { x: { shape: [2], data: Float64Array.of(1, -1) } },
      learningRate: 0.1,
      dtype: "float64",
    });
    for (const g of draws(mulberry32(3), 5, 2)) {
      compiled.step({ x: Float64Array.from(g) });
    }
    return Array.from(compiled.params.x?.data ?? []);
  });
  expect(authors).toEqual(optax);
});

describe.each(Object.entries({ scheduleFreeSgd, scheduleFreeAdamW }))("%s", (name, build) => {
  it.each([
    [{ b1: 0 }, "`b1` must be in (0, 1), got 0"],
    [{ b1: 1 }, "`b1` must be in (0, 1), got 1"],
    [{ weightDecay: -1 }, "`weightDecay` must be finite and at least 0, got -1"],
    [{ warmupSteps: 1.5 }, "`warmupSteps` must be an integer of at least 0, got 1.5"],
    [{ r: -1 }, "`r` must be finite and at least 0, got -1"],
    [{ weightLrPower: Number.NaN }, "`weightLrPower` must be finite and at least 0, got NaN"],
  ])("refuses %j by name", (options, message) => {
    expect(() => build(options)).toThrow(new RangeError(`${name}: ${message}`));
  });
});

it.each([
  [{ b2: 1 }, "`b2` must be in [0, 1), got 1"],
  [{ eps: -1 }, "`eps` must be finite and at least 0, got -1"],
  [{ convention: "torch" }, '`convention` must be one of "authors", "optax", got "torch"'],
])("scheduleFreeAdamW refuses %j by name", (options, message) => {
  const build = scheduleFreeAdamW as (options: object) => Optimizer;
  expect(() => build(options)).toThrow(new RangeError(`scheduleFreeAdamW: ${message}`));
});
