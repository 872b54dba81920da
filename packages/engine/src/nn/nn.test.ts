import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import {
  expectBackendsAgree,
  expectClose,
  type Float32Leaves,
  gradientsOn,
} from "../../testing/arrays.ts";
import { labels, normal, oneHot } from "../../testing/batches.ts";
import * as float64 from "../../testing/float64.ts";
import { compileForward } from "../compile.ts";
import * as nn from "./index.ts";

const x = normal(1, [6, 5]);
const target = normal(2, [6, 4]);
const y = labels(3, 6, 4);
const inputs = float64.rows(x.shape, x.data);

describe("layers: backends agree with each other and with float64 differences", () => {
  const hidden = (activation: (value: number) => number) => (w: float64.Weights) =>
    float64.dense(
      float64.map(float64.dense(inputs, w["dense1/kernel"]!, w["dense1/bias"]!), activation),
      w["dense2/kernel"]!,
      w["dense2/bias"]!,
    );
  const around = (layer: nn.Layer): nn.Layer =>
    nn.sequential(nn.dense(7, { biasInit: nn.heNormal }), layer, nn.dense(4));
  const cases = [
    {
      name: "dense without bias",
      model: nn.sequential(nn.dense(4, { bias: false })),
      reference: (w: float64.Weights) => float64.dense(inputs, w["dense1/kernel"]!, undefined),
    },
    { name: "relu", model: around(nn.relu()), reference: hidden(float64.relu) },
    { name: "tanh", model: around(nn.tanh()), reference: hidden(Math.tanh) },
    { name: "gelu", model: around(nn.gelu()), reference: hidden(float64.gelu) },
    { name: "flatten", model: around(nn.flatten()), reference: hidden((value) => value) },
  ];
  test.each(cases)("$name", async ({ model, reference }) => {
    const params = model.init(mulberry32(7), [5]);
    const { gradients, loss } = await expectBackendsAgree(
      (p, { x, target }) => nn.meanSquaredError(model.apply(p, x), target),
      params,
      { x, target },
    );
    const reference64 = (w: float64.Weights): number =>
      float64.meanSquaredError(reference(w), float64.rows(target.shape, target.data));
    // One float32 forward pass of at most 7-term sums.
    expectClose([loss], [reference64(toFloat64(params))], 1e-6);
    float64.expectMatchesDifferences(reference64, params, gradients);
  });

  test("flatten joins all axes but the batch", async () => {
    const model = nn.sequential(nn.flatten(), nn.dense(2));
    const image = normal(4, [3, 2, 2, 3]);
    const params = model.init(mulberry32(1), [2, 2, 3]);
    expect(params["dense1/kernel"]!.shape).toEqual([12, 2]);
    await expectBackendsAgree((p, { image }) => model.apply(p, image).square().mean(), params, {
      image,
    });
  });

  test("dense works on the last axis of higher ranks", async () => {
    const layer = nn.dense(3);
    const sequence = normal(4, [2, 4, 5]);
    await expectBackendsAgree(
      (p, { sequence }) => layer.apply(p, sequence).tanh().square().mean(),
      layer.init(mulberry32(1), [5]),
      { sequence },
    );
  });

  test("relu passes no gradient at 0, and keeps NaN", async () => {
    const p = { w: { shape: [4], data: Float32Array.of(-1, 0, 2, Number.NaN) } };
    for (const backend of ["cpu", "jax"] as const) {
      const { gradients, aux } = await gradientsOn(
        backend,
        ({ w }) => [w!.relu().sum(), { out: w!.relu() }],
        p,
        {},
      );
      expect([...gradients["w"]!.data], backend).toEqual([0, 0, 1, 1]);
      expect(Array.from(aux["out"]!), backend).toEqual([0, 0, 2, Number.NaN]);
    }
  });
});

describe("losses", () => {
  const params: Float32Leaves = { logits: normal(5, [6, 4]) };
  const hot = oneHot(y, 4);
  const reference = (w: float64.Weights): number =>
    float64.crossEntropy(float64.rows([6, 4], w["logits"]!), float64.rows([6, 4], hot.data));

  test("softmax cross-entropy: integer labels and their one-hot form agree with float64", async () => {
    const integer = await expectBackendsAgree(
      ({ logits }, { y }) => nn.softmaxCrossEntropy(logits!, y),
      params,
      { y },
    );
    const probabilities = await expectBackendsAgree(
      ({ logits }, { hot }) => nn.softmaxCrossEntropy(logits!, hot),
      params,
      { hot },
    );
    for (const outcome of [integer, probabilities]) {
      // Four float32 terms a row.
      expectClose([outcome.loss], [reference(toFloat64(params))], 1e-6);
      float64.expectMatchesDifferences(reference, params, outcome.gradients);
    }
  });

  test("softmax cross-entropy stays finite where exp of a logit overflows", async () => {
    const far = { logits: { shape: [1, 3], data: Float32Array.of(1000, 0, -1000) } };
    const { loss, gradients } = await gradientsOn(
      "cpu",
      ({ logits }, { y }) => nn.softmaxCrossEntropy(logits!, y),
      far,
      { y: { shape: [1], data: Int32Array.of(1) } },
    );
    expect(loss).toBe(1000);
    expect([...gradients["logits"]!.data]).toEqual([1, -1, 0]);
  });

  test("l2 adds coefficient times the weight to its gradient", async () => {
    const { loss, gradients } = await expectBackendsAgree((p) => nn.l2(p, 0.5), params, {});
    const { data } = params["logits"]!;
    expectClose(
      gradients["logits"]!.data,
      data.map((w) => 0.5 * w),
      1e-7, // one rounding
    );
    // A sum of 24 squares in float32.
    expectClose([loss], [0.25 * data.reduce((sum, w) => sum + w * w, 0)], 1e-6);
  });

  test("accuracy counts the first of equal logits, and never a row with NaN", async () => {
    const logits = {
      shape: [5, 3],
      data: Float32Array.of(0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 2, Number.NaN, -1, -2, -3),
    };
    const metrics = await compileForward(
      ({ logits }, { y, hot }) => ({
        hits: nn.correct(logits!, y),
        share: nn.accuracy(logits!, hot),
      }),
      {
        params: { logits },
        example: {
          y: { shape: [5], data: Int32Array.of(0, 1, 2, 0, 0) },
          hot: oneHot({ data: Int32Array.of(0, 1, 2, 0, 0) }, 3),
        },
      },
    );
    const { hits, share } = await metrics.run(
      {
        y: { shape: [5], data: Int32Array.of(0, 1, 2, 0, 0) },
        hot: oneHot({ data: Int32Array.of(0, 1, 2, 0, 0) }, 3),
      },
      { logits },
    );
    expect(hits).toEqual({ shape: [5], data: Float32Array.of(1, 0, 1, 0, 1) });
    // 3/5 as a float32 mean: three ones times the float32 nearest 1/5.
    expectClose(share!.data, [0.6], 1e-6);
  });
});

describe("parameters", () => {
  const model = nn.sequential(
    nn.dense(3),
    nn.relu(),
    nn.sequential(nn.dense(2), nn.tanh(), nn.dense(2, { bias: false })),
  );

  test("paths name layer kinds in order, shapes follow the input", () => {
    const shapes = Object.entries(model.init(mulberry32(1), [4])).map(([path, { shape }]) => [
      path,
      shape,
    ]);
    expect(shapes).toEqual([
      ["dense1/kernel", [4, 3]],
      ["dense1/bias", [3]],
      ["sequential1/dense1/kernel", [3, 2]],
      ["sequential1/dense1/bias", [2]],
      ["sequential1/dense2/kernel", [2, 2]],
    ]);
  });

  test("the same seed draws the same numbers, another seed others", () => {
    const draw = (seed: number) => model.init(mulberry32(seed), [4])["dense1/kernel"]!.data;
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  test("initialisers have the variance they state", () => {
    const variance = (data: Float32Array) => data.reduce((sum, w) => sum + w * w, 0) / data.length;
    const shape = [200, 300];
    const fans = { in: 200, out: 300 };
    const glorot = nn.glorotUniform(mulberry32(1), shape, fans);
    const he = nn.heNormal(mulberry32(1), shape, fans);
    // 60,000 draws: the standard error of a variance is below 0.6 %.
    const tolerance = 0.03;
    expect(Math.abs(variance(glorot) / (2 / 500) - 1)).toBeLessThan(tolerance);
    expect(Math.abs(variance(he) / (2 / 200) - 1)).toBeLessThan(tolerance);
    expect(Math.max(...glorot.map(Math.abs))).toBeLessThanOrEqual(Math.sqrt(6 / 500));
  });

  test("apply reads nested trees as well as paths", async () => {
    const flat = model.init(mulberry32(1), [4]);
    const nested = {
      dense1: { kernel: flat["dense1/kernel"]!, bias: flat["dense1/bias"]! },
      sequential1: {
        dense1: {
          kernel: flat["sequential1/dense1/kernel"]!,
          bias: flat["sequential1/dense1/bias"]!,
        },
        dense2: { kernel: flat["sequential1/dense2/kernel"]! },
      },
    };
    const example = { x: normal(1, [2, 4]) };
    const outputs = [];
    for (const params of [flat, nested]) {
      const forward = await compileForward((p, { x }) => ({ out: model.apply(p, x) }), {
        params,
        example,
      });
      outputs.push((await forward.run(example, flat))["out"]);
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });
});

describe("error texts", () => {
  const refuse = (loss: Parameters<typeof gradientsOn>[1], batch = { x, y, target }) =>
    gradientsOn("cpu", loss as never, { w: normal(1, [6, 4]) }, batch);

  test("each says what was expected and what came", async () => {
    expect(() => nn.dense(0)).toThrow("dense: `units` must be an integer of at least 1, got 0");
    expect(() => nn.l2({}, 1)).toThrow("l2: `weights` must hold at least one value, got none");
    expect(() => nn.l2({}, Number.NaN)).toThrow(
      "l2: `coefficient` must be finite and at least 0, got NaN",
    );
    expect(() => nn.dense(2).init(mulberry32(1), [])).toThrow(
      "dense: input must have a feature axis, got shape []",
    );
    expect(() =>
      nn.dense(2, { kernelInit: () => new Float32Array(1) }).init(mulberry32(1), [3]),
    ).toThrow('init: initializer of "kernel" must return 6 elements for [3, 2], got 1');
    await expect(refuse(({ w }, { x }) => nn.meanSquaredError(w!, x!))).rejects.toThrow(
      "meanSquaredError: prediction and target must have one shape, got [6, 4] and [6, 5]",
    );
    await expect(refuse(({ w }, { x }) => nn.softmaxCrossEntropy(w!, x!))).rejects.toThrow(
      "softmaxCrossEntropy: labels must be int32 [6] or float32 [6, 4], got float32 [6, 5]",
    );
    await expect(refuse((p, { x }) => nn.dense(2).apply(p, x!).mean())).rejects.toThrow(
      'apply: `params` must hold "kernel", got "w"',
    );
  });
});

function toFloat64(leaves: Float32Leaves): float64.Weights {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { data }]) => [path, Float64Array.from(data)]),
  );
}
