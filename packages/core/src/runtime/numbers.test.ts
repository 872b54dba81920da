import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { cprop } from "../optimizers/cprop.ts";
import { sgd } from "../optimizers/sgd.ts";
import { chain } from "../transforms/chain.ts";

const x = () => ({ x: { shape: [2], data: Float64Array.of(1, -2) } });
const bind = (optimizer: Optimizer, more: Partial<Parameters<typeof compileOptimizer>[1]> = {}) =>
  compileOptimizer(optimizer, { params: x(), learningRate: 0.1, dtype: "float64", ...more });
const gradient = (t: number) => ({ x: Float64Array.of(Math.sin(t), Math.cos(3 * t)) });

describe("hyperparameters", () => {
  it("are named with the values of the next step, the learning rate among them", () => {
    const optimizer = bind(adam(), { learningRate: (count) => 1 / (count + 1) });
    expect(optimizer.hyperparameters).toEqual({
      learningRate: 1,
      b1: 0.9,
      b2: 0.999,
      eps: 1e-8,
    });
    optimizer.step(gradient(0));
    expect(optimizer.hyperparameters.learningRate).toBe(0.5);
  });

  it("change from the next step on, as if the optimizer had been compiled with them", () => {
    const [changed, fresh] = [bind(adam()), bind(adam({ b1: 0.5, eps: 1e-3 }))];
    changed.set({ b1: 0.5, eps: 1e-3, learningRate: 0.2 });
    fresh.set({ learningRate: 0.2 });
    for (let t = 0; t < 5; t++) {
      changed.step(gradient(t));
      fresh.step(gradient(t));
    }
    expect(changed.params.x?.data).toEqual(fresh.params.x?.data);
  });

  it("follow a schedule of the steps taken", () => {
    const momentum = (count: number): number => 0.5 + 0.1 * count;
    const scheduled = bind(sgd({ momentum: 0.9 }), { hyperparameters: { momentum } });
    const byHand = bind(sgd({ momentum: 0.9 }));
    for (let t = 0; t < 4; t++) {
      byHand.set({ momentum: momentum(t) });
      scheduled.step(gradient(t));
      byHand.step(gradient(t));
    }
    expect(scheduled.params.x?.data).toEqual(byHand.params.x?.data);
  });

  it("are saved and loaded, those on a schedule left to it", () => {
    const first = bind(adam());
    first.set({ b1: 0.7 });
    first.step(gradient(0));
    const second = bind(adam());
    second.load(first.save());
    expect(second.hyperparameters.b1).toBe(0.7);
    const third = bind(adam(), { hyperparameters: { b1: () => 0.2 } });
    third.load(first.save());
    expect(third.hyperparameters.b1).toBe(0.2);
  });

  it("of two stages of a chain are told apart by position", () => {
    const optimizer = bind(chain(adam(), adam({ b1: 0.3 })));
    expect(optimizer.hyperparameters).toMatchObject({ b1: 0.9, "2.b1": 0.3 });
  });

  it("of CProp and the optimizer inside are one where they are the same rate", () => {
    const optimizer = bind(cprop(adam(), { beta: 0.999 }));
    expect(Object.keys(optimizer.hyperparameters)).toEqual([
      "learningRate",
      "b1",
      "b2",
      "eps",
      "c",
    ]);
    expect(optimizer.plans[0]?.twins).toEqual({ meanSquare: "nu" });
    const apart = bind(cprop(adam(), { beta: 0.99 }));
    expect(apart.hyperparameters.beta).toBe(0.99);
  });

  it.each([
    [{ b1: 1.2 }, "set: `b1` must be in [0, 1), got 1.2"],
    [{ b1: () => Number.NaN }, "set: `b1` must be in [0, 1), got NaN"],
    [{ beta1: 0.5 }, 'set: hyperparameters must be among learningRate, b1, b2, eps, got "beta1"'],
    [{ eps: "1" as unknown as number }, 'set: `eps` must be a number or a schedule, got "1"'],
    [
      { learningRate: -1 },
      "step: the learning rate of step 1 must be finite and at least 0, got -1",
    ],
  ])("out of range are refused in one sentence, and none is changed: %#", (changes, message) => {
    const optimizer = bind(adam());
    const before = optimizer.hyperparameters;
    expect(() => optimizer.set({ b2: 0.5, ...changes })).toThrow(message);
    expect(optimizer.hyperparameters).toEqual(before);
  });

  it("that a schedule takes out of range stop the step before anything changes", () => {
    const b1 = (count: number): number => (count === 1 ? 2 : 0.9);
    const optimizer = bind(adam(), { hyperparameters: { b1 } });
    optimizer.step(gradient(0));
    const before = optimizer.params.x?.data.slice();
    expect(() => optimizer.step(gradient(1))).toThrow("step: `b1` must be in [0, 1), got 2");
    expect(optimizer.params.x?.data).toEqual(before);
    expect(optimizer.count).toBe(1);
  });

  it("of a saved state out of range leave the optimizer as it was", () => {
    const optimizer = bind(adam());
    const saved = optimizer.save();
    const broken = { ...saved, hyperparameters: { ...saved.hyperparameters, b2: 7 } };
    expect(() => optimizer.load(broken)).toThrow("load: `b2` must be in [0, 1), got 7");
    expect(optimizer.hyperparameters.b2).toBe(0.999);
  });
});
