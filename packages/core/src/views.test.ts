import { expect, test } from "vitest";
import { adam, adashift, compileOptimizer, compress, sgd } from "./index.ts";

const params = { a: { shape: [3], data: [0, 0, 0] }, b: { shape: [2, 2], data: [0, 0, 0, 0] } };
const leaves = Object.fromEntries(
  Object.entries(params).map(([path, { shape, data }]) => [
    path,
    { shape, data: Float32Array.from(data) },
  ]),
);

test("views of state are what the next step reads and what the last one wrote", () => {
  const optimizer = compileOptimizer(adam({ b1: 0.5, b2: 0 }), { params: leaves, learningRate: 1 });
  const { a, b } = optimizer.views("mu");
  expect([a?.shape, b?.shape]).toEqual([[3], [2, 2]]);
  optimizer.step({ a: Float32Array.of(2, 4, 8), b: new Float32Array(4) });
  expect([...a!.data]).toEqual([1, 2, 4]);
  a!.data.fill(0);
  optimizer.step({ a: Float32Array.of(2, 4, 8), b: new Float32Array(4) });
  expect([...a!.data]).toEqual([1, 2, 4]);
});

test.each([
  ["nu of AdaShift, one number a tensor", adashift(), "nu"],
  ["a history", adashift(), "history0"],
  ["state in 8 bits", compress(adam(), { mu: "int8" }), "mu"],
  ["the parameters", sgd(), "p"],
  ["the gradient", sgd(), "g"],
  ["no state at all", sgd(), "mu"],
])("there are none of %s", (_name, optimizer, key) => {
  const compiled = compileOptimizer(optimizer, { params: leaves, learningRate: 1 });
  expect(() => compiled.views(key)).toThrow(
    new RangeError(`views: the key must be that of a state array in the dtype, got "${key}"`),
  );
});
