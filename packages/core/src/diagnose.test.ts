import { describe, expect, it } from "vitest";
import type { CompileOptions } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import { diagnose, firstNonFinite } from "./diagnose.ts";
import { NonFiniteError } from "./errors.ts";
import { add, div, mul, neg, sqrt, sub } from "./expr/build.ts";
import type { Statistics } from "./inspect.ts";
import { defineOptimizer, type Optimizer, perTensor } from "./optimizer.ts";
import { adam } from "./optimizers/adam.ts";
import { adashift } from "./optimizers/adashift.ts";
import { sgd } from "./optimizers/sgd.ts";
import { chain } from "./transforms/chain.ts";
import { clipByGlobalNorm } from "./transforms/clip.ts";

const bind = (optimizer: Optimizer, options: Partial<CompileOptions> = {}) =>
  compileOptimizer(optimizer, {
    params: {
      a: { shape: [2], data: Float32Array.of(1, 2) },
      b: { shape: [3], data: Float32Array.of(1, 2, 3) },
    },
    learningRate: 0.1,
    inspect: true,
    ...options,
  });

/** What an inspected step with these gradients says. */
function inspected(compiled: ReturnType<typeof bind>, b: readonly number[], a = [1, 1]) {
  const gradients = { a: Float32Array.from(a), b: Float32Array.from(b) };
  return firstNonFinite(compiled.step(gradients, { inspect: true }).statistics as Statistics);
}

/** α√(g − 1): not a number for small gradients, infinite for none. */
const narrow = defineOptimizer("narrow", {}, ({ g, lr }) => ({
  update: neg(mul(lr, sqrt(sub(g, 1)))),
  next: {},
}));

describe("firstNonFinite", () => {
  it("finds nothing where all is finite, from the first step on and whatever is gated", () => {
    for (const optimizer of [adam(), adashift(), adashift({ gate: "step", phi: "none", n: 1 })]) {
      const compiled = bind(optimizer);
      for (let t = 0; t < 14; t++) {
        expect(inspected(compiled, [1, -2, t])).toBeUndefined();
      }
    }
  });

  it("names the leaf whose gradient is not finite, though clipping hands it on to all", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const compiled = bind(chain(clipByGlobalNorm(1), adam()));
      expect(inspected(compiled, [1, 2, 3])).toBeUndefined();
      expect(inspected(compiled, [1, bad, 3])).toEqual({ path: "b", where: "gradient" });
      // NaN has scaled every leaf; an infinite norm scales the others to zero.
      const path = Number.isNaN(bad) ? "a" : "b";
      expect(inspected(compiled, [1, 2, 3])).toEqual({ path, where: "parameter" });
    }
  });

  it("names the optimizer's value, or its update, where the gradient is finite", () => {
    // (3e22)² is beyond float32.
    expect(inspected(bind(adam()), [1, 3e22, 1])).toEqual({ path: "b", where: "value", name: "v" });
    expect(inspected(bind(narrow), [1, 2, 0.5])).toEqual({ path: "b", where: "update" });
  });

  it("takes numbers whose squares overflow for what they are: finite", () => {
    expect(inspected(bind(sgd()), [1, 1e30, 1])).toBeUndefined();
  });
});

describe("diagnose", () => {
  it("finds nothing in a healthy optimizer", () => {
    expect(diagnose(bind(adam()))).toBeUndefined();
  });

  it("points at the element of the gradient that was refused", () => {
    const gradients = { b: Float32Array.of(0, Number.NEGATIVE_INFINITY, Number.NaN) };
    const found = {
      path: "b",
      where: "gradient",
      index: 1,
      value: Number.NEGATIVE_INFINITY,
      count: 2,
    };
    const strict = bind(adashift({ n: 2 }), { nonFinite: "throw" });
    expect(() => strict.step(gradients)).toThrow(NonFiniteError);
    expect(diagnose(strict)).toEqual(found);
    const patient = bind(adam(), { nonFinite: "skip" });
    expect(patient.step(gradients).status).toBe("skipped");
    expect(diagnose(patient)).toEqual(found);
  });

  it("tells state from parameters that it has spoilt", () => {
    const compiled = bind(adam());
    compiled.step({ a: Float32Array.of(0, 1e25) });
    expect(diagnose(compiled)).toEqual({
      path: "a",
      where: "state",
      name: "nu",
      index: 1,
      value: Number.POSITIVE_INFINITY,
      count: 1,
    });
    compiled.step({ a: Float32Array.of(Number.NaN, 0) });
    expect(diagnose(compiled)).toMatchObject({ path: "a", where: "parameter", index: 0 });
  });

  it("looks at state of one number a tensor, too", () => {
    const counting = defineOptimizer("counting", { runs: perTensor(0) }, ({ g, runs, lr }) => ({
      update: neg(mul(lr, g)),
      next: { runs: div(1, sub(add(runs, 1), 1)) },
    }));
    const compiled = bind(counting);
    compiled.step({ b: Float32Array.of(1, 1, 1) });
    const found = { path: "b", where: "state", name: "runs", index: 0, count: 1 };
    expect(diagnose(compiled)).toEqual({ ...found, value: Number.POSITIVE_INFINITY });
  });
});
