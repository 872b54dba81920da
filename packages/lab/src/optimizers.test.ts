import { compileOptimizer } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { catalogue, findOptimizer } from "./optimizers.ts";

const params = { w: { shape: [16, 16], data: new Float32Array(256) } };

describe.each(catalogue)("$name", ({ build, stateBytes, learningRates: [low, high] }) => {
  test("takes a step, with the state the catalogue says", () => {
    const optimizer = compileOptimizer(build({}), { params, learningRate: low });
    const g = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i));
    expect(optimizer.step({ w: g }).status).toBe("stepped");
    // One number a tensor or a counter may come on top of what there is an element.
    expect(Math.abs(optimizer.stateBytes - stateBytes)).toBeLessThan(1);
  });

  test("has a range of two decades", () => {
    // Bounds are written to one digit.
    expect(high / low).toBeCloseTo(100, 9);
  });
});

test("an unknown name is answered with the nearest", () => {
  expect(() => findOptimizer("fastadabelif")).toThrow('did you mean "fastadabelief"?');
});
