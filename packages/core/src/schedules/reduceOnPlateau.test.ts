import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { type PlateauState, reduceOnPlateau } from "./reduceOnPlateau.ts";
import { join } from "./schedules.ts";
import { warmup } from "./warmup.ts";

const never = (value: unknown): never => value as never;

describe("reduceOnPlateau", () => {
  it("bears `patience` reports without improvement and reduces at the next", () => {
    const rate = reduceOnPlateau(1, { patience: 2, factor: 0.5 });
    expect([3, 3, 3].map(rate.report)).toEqual([1, 1, 1]);
    expect(rate.report(3)).toBe(0.5);
    expect([rate(0), rate(1e6)]).toEqual([0.5, 0.5]);
  });

  it("counts anew after an improvement", () => {
    const rate = reduceOnPlateau(1, { patience: 1, factor: 0.5 });
    expect([3, 3, 2, 2, 1, 1, 1].map(rate.report)).toEqual([1, 1, 1, 1, 1, 1, 0.5]);
  });

  it("never goes below the least rate, and lets a reduction by no more than `eps` be", () => {
    const rate = reduceOnPlateau(1, { patience: 0, minRate: 0.03 });
    expect([1, 1, 1, 1].map(rate.report)).toEqual([1, 0.1, 0.03, 0.03]);
    const fine = reduceOnPlateau(1, { patience: 0, eps: 0.95 });
    expect([1, 1, 1].map(fine.report)).toEqual([1, 1, 1]);
  });

  it("takes NaN and infinities for no improvement, the best one included", () => {
    const rate = reduceOnPlateau(1, { mode: "max", patience: 1, factor: 0.5 });
    expect([NaN, Infinity].map(rate.report)).toEqual([1, 0.5]);
    expect(rate.save().best).toBeNull();
    expect([1, -Infinity, NaN].map(rate.report)).toEqual([0.5, 0.5, 0.25]);
    expect(rate.save().best).toBe(1);
  });

  it("drives an optimizer, alone or as part of another schedule", () => {
    const plateau = reduceOnPlateau(0.5, { patience: 0 });
    const params = { x: { shape: [1], data: Float32Array.of(1) } };
    const optimizer = compileOptimizer(adam(), { params, learningRate: warmup(1, plateau) });
    const change = (): number => {
      const before = optimizer.params.x?.data[0] ?? NaN;
      optimizer.step({ x: Float32Array.of(1) });
      return before - (optimizer.params.x?.data[0] ?? NaN);
    };
    // Adam's step at a constant gradient is the rate, to a few roundings of a float32 around 1 and ε = 1e-8.
    expect(change()).toBeCloseTo(0.25, 6);
    expect(change()).toBeCloseTo(0.5, 6);
    plateau.report(1);
    plateau.report(1);
    expect(change()).toBeCloseTo(0.05, 6);
    expect(join([1, plateau], [10])(10)).toBe(0.05);
  });

  it("continues from what it saved, through JSON, as if it had not stopped", () => {
    const options = { patience: 1, cooldown: 2, factor: 0.7, threshold: 0.05 } as const;
    const metrics = [5, 4, 4, 3.9, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2];
    const whole = reduceOnPlateau(1, options);
    const expected = metrics.map(whole.report);
    expect(new Set(expected).size).toBeGreaterThan(3);
    for (let cut = 0; cut <= metrics.length; cut++) {
      const first = reduceOnPlateau(1, options);
      const before = metrics.slice(0, cut).map(first.report);
      const second = reduceOnPlateau(1, options);
      second.restore(JSON.parse(JSON.stringify(first.save())) as PlateauState);
      expect(second(0)).toBe(first(0));
      expect([...before, ...metrics.slice(cut).map(second.report)]).toEqual(expected);
      expect(second.save()).toEqual(whole.save());
    }
  });

  it("hands out a copy of its state and keeps none of what it takes", () => {
    const rate = reduceOnPlateau(1, { patience: 0 });
    const saved = rate.save() as { learningRate: number };
    saved.learningRate = 7;
    expect(rate(0)).toBe(1);
    const taken = { learningRate: 0.5, best: 2, badReports: 0, cooldownLeft: 0 };
    rate.restore(taken);
    taken.learningRate = 9;
    expect(rate(0)).toBe(0.5);
  });

  it.each<readonly [() => unknown, string]>([
    [
      () => reduceOnPlateau(-1),
      "reduceOnPlateau: `learningRate` must be finite and at least 0, got -1",
    ],
    [
      () => reduceOnPlateau(1, { mode: never("least") }),
      'reduceOnPlateau: `mode` must be one of "min", "max", got "least"',
    ],
    [() => reduceOnPlateau(1, { factor: 1 }), "reduceOnPlateau: `factor` must be in (0, 1), got 1"],
    [
      () => reduceOnPlateau(1, { patience: -1 }),
      "reduceOnPlateau: `patience` must be an integer of at least 0, got -1",
    ],
    [
      () => reduceOnPlateau(1, { threshold: 1 }),
      "reduceOnPlateau: `threshold` must be in [0, 1) where it is relative, got 1",
    ],
    [
      () => reduceOnPlateau(1, { threshold: -1, thresholdMode: "absolute" }),
      "reduceOnPlateau: `threshold` must be finite and at least 0, got -1",
    ],
    [
      () => reduceOnPlateau(1, { thresholdMode: never("rel") }),
      'reduceOnPlateau: `thresholdMode` must be one of "relative", "absolute", got "rel"',
    ],
    [
      () => reduceOnPlateau(1, { cooldown: 0.5 }),
      "reduceOnPlateau: `cooldown` must be an integer of at least 0, got 0.5",
    ],
    [
      () => reduceOnPlateau(1, { minRate: -1 }),
      "reduceOnPlateau: `minRate` must be finite and at least 0, got -1",
    ],
    [
      () => reduceOnPlateau(1, { eps: NaN }),
      "reduceOnPlateau: `eps` must be finite and at least 0, got NaN",
    ],
    [
      () => reduceOnPlateau(1).report(never("0.5")),
      'report: the metric must be a number, got "0.5"',
    ],
    [
      () => reduceOnPlateau(1).restore(never(null)),
      "restore: `state` must be what save() of a reduceOnPlateau returned, got null",
    ],
  ])("refuses in one sentence: %#", (act, message) => {
    let thrown: unknown;
    try {
      act();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Error);
    expect((thrown as Error).message).toBe(message);
  });

  it.each([
    { learningRate: -1, best: null, badReports: 0, cooldownLeft: 0 },
    { learningRate: 1, best: "2", badReports: 0, cooldownLeft: 0 },
    { learningRate: 1, best: 2, badReports: 0.5, cooldownLeft: 0 },
    { learningRate: 1, best: 2, badReports: 0 },
  ])("restores no state but its own, and stays as it was: %j", (state) => {
    const rate = reduceOnPlateau(0.3, { patience: 0 });
    rate.report(4);
    const before = rate.save();
    expect(() => rate.restore(never(state))).toThrow(
      `restore: \`state\` must be what save() of a reduceOnPlateau returned, got ${JSON.stringify(state)}`,
    );
    expect(rate.save()).toEqual(before);
  });
});
