import { describe, expect, it } from "vitest";
import { adagrad } from "./adagrad.ts";
import { elements, paramsOf, take } from "./testSteps.ts";

describe("adagrad", () => {
  it("torch: two steps by hand, ε after the root, the rate divided by 1 + (t − 1) κ", () => {
    const steps = take(
      adagrad({ eps: 1, learningRateDecay: 1 }),
      [1, -2],
      [
        [3, -3],
        [4, 4],
      ],
      1,
    );
    expect(steps[0]?.params).toEqual([1 - 3 / 4, -2 + 3 / 4]);
    expect(elements(steps[1], "sum")).toEqual([25, 25]);
    expect(steps[1]?.params).toEqual([0.25 - 2 / 6, -1.25 - 2 / 6]);
  });

  it("optax: two steps by hand, ε under the root", () => {
    const params = paramsOf(
      adagrad({ convention: "optax", eps: 16, initialAccumulator: 0 }),
      [1, -2],
      [
        [3, -3],
        [12, 12],
      ],
      1,
    );
    expect(params).toEqual([
      [1 - 3 / 5, -2 + 3 / 5],
      [1 - 3 / 5 - 12 / 13, -2 + 3 / 5 - 12 / 13],
    ]);
  });

  it("has each convention's ε and s₀ by default", () => {
    const [torch] = take(adagrad(), [0, 0], [[1, 0]], 1);
    expect(elements(torch, "sum")).toEqual([1, 0]);
    expect(torch?.params).toEqual([-1 / (1 + 1e-10), 0]);
    const [optax] = take(adagrad({ convention: "optax" }), [0, 0], [[1, 0]], 1);
    expect(elements(optax, "sum")).toEqual([1.1, 0.1]);
    expect(optax?.params).toEqual([-1 / Math.sqrt(1.1 + 1e-7), 0]);
  });

  it("without ε stands still in optax where all gradients were zero, and is NaN in torch", () => {
    const still = { eps: 0, initialAccumulator: 0 };
    expect(paramsOf(adagrad({ ...still, convention: "optax" }), [5], [[0]], 1)).toEqual([[5]]);
    expect(paramsOf(adagrad(still), [5], [[0]], 1)).toEqual([[Number.NaN]]);
  });
});
