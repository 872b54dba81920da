import { expect, it } from "vitest";
import { splitLeaves } from "./patterns.ts";

const leaf = (...shape: number[]) => ({
  shape,
  data: new Float32Array(shape.reduce((size, extent) => size * extent, 1)),
});
const params = {
  body: { dense1: { kernel: leaf(2, 3), bias: leaf(3) } },
  head: { kernel: leaf(3, 1), bias: leaf(1) },
};

it("splitLeaves splits by patterns or by a function, and keeps the arrays", () => {
  const { taken, others } = splitLeaves(params, "body/**");
  expect(Object.keys(taken)).toEqual(["body/dense1/kernel", "body/dense1/bias"]);
  expect(Object.keys(others)).toEqual(["head/kernel", "head/bias"]);
  expect(taken["body/dense1/kernel"]).toBe(params.body.dense1.kernel);
  const biases = splitLeaves(params, ({ shape }) => shape.length === 1);
  expect(Object.keys(biases.taken)).toEqual(["body/dense1/bias", "head/bias"]);
  expect(splitLeaves(params, ["head/*", "**/dense1/bias"]).others).toEqual({
    "body/dense1/kernel": params.body.dense1.kernel,
  });
});

it("splitLeaves refuses masks that take nothing", () => {
  expect(() => splitLeaves(params, ["head/*", "tail"])).toThrow(
    'splitLeaves: `mask` must take at least one leaf, got "tail"; leaves are body/dense1/kernel, body/dense1/bias, head/kernel, head/bias',
  );
  expect(() => splitLeaves(params, () => false)).toThrow(
    "splitLeaves: `mask` must take at least one leaf, got a function that is false for each; leaves are",
  );
});
