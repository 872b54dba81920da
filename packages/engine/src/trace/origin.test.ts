import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { labels, normal } from "../../testing/batches.ts";
import { compile, type LossFunction, nn } from "../index.ts";

const batch = { x: normal(1, [4, 3]), mask: { shape: [4, 3], data: new Float32Array(12).fill(1) } };
type Batch = typeof batch;
const params = {
  first: { shape: [3], data: Float32Array.of(1, 2, 3) },
  second: { shape: [3], data: Float32Array.of(1, -1, 1) },
};

async function originOf(loss: LossFunction<Batch>, example: Batch = batch, weights = params) {
  const gradient = await compile(loss, { params: weights, example });
  const origin = await gradient.diagnose(example, weights);
  await gradient.dispose();
  return origin;
}

describe("diagnose", () => {
  test("finds nothing where loss and gradients are finite", async () => {
    expect(await originOf((p, { x }) => x.mul(p["first"]!).square().mean())).toBeUndefined();
  });

  test("goes back to the first operation, past those that only pass a NaN on", async () => {
    const origin = await originOf(({ first, second }, { x }) =>
      x.mul(first!).abs().add(second!.sqrt()).tanh().sum().mul(2).exp(),
    );
    expect(origin).toEqual({
      of: "loss",
      where: "operation",
      name: "sqrt",
      shape: [3],
      index: 1,
      value: Number.NaN,
      after: "second",
    });
  });

  test("goes back to the infinity behind a NaN: a softmax without its shift", async () => {
    const large = { ...params, first: { shape: [3], data: Float32Array.of(100, 100, 100) } };
    const origin = await originOf(
      ({ first }) => {
        const powers = first!.exp();
        return powers.div(powers.sum()).log().mean();
      },
      batch,
      large,
    );
    expect(origin).toMatchObject({ name: "exp", value: Infinity, after: "first" });
  });

  test("does not take the infinities of a mask for the cause", async () => {
    const hidden = { ...batch, x: normal(1, [4, 3]) };
    hidden.x.data[5] = Number.NaN;
    const masked: LossFunction<Batch> = ({ first }, { x, mask }) =>
      mask.lessEqual(0).select(Number.NEGATIVE_INFINITY, x.mul(first!)).max({ axis: 1 }).mean();
    const covered = { ...hidden, mask: { shape: [4, 3], data: new Float32Array(12).fill(1) } };
    covered.mask.data[0] = 0;
    expect(await originOf(masked, covered)).toMatchObject({ where: "batch", name: "x", index: 5 });
    covered.mask.data[5] = 0; // behind the mask in the loss, not in the gradient: 0 · NaN
    expect(await originOf(masked, covered)).toMatchObject({
      of: "first",
      where: "batch",
      index: 5,
    });
  });

  test("names the parameter of a model's layer, and changes nothing", async () => {
    const model = nn.sequential(
      nn.dense(4),
      nn.batchNorm(),
      nn.relu(),
      nn.dropout(0.5),
      nn.dense(3),
    );
    const weights = model.init(mulberry32(1), [3]);
    const state = model.initState(mulberry32(2), [3]);
    const example = { x: normal(1, [4, 3]), y: labels(2, 4, 3) };
    const gradient = await compile(
      (p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode), y),
      { params: weights, state, example },
    );
    const before = JSON.stringify([weights, state]);
    expect(await gradient.diagnose(example, weights)).toBeUndefined();
    expect(JSON.stringify([weights, state])).toBe(before);
    weights["dense1/kernel"]!.data.fill(3e38);
    expect(await gradient.diagnose(example, weights)).toMatchObject({
      of: "loss",
      where: "operation",
      name: "dot",
      after: "dense1/kernel",
    });
    await gradient.dispose();
  });
});
