import { readFileSync } from "node:fs";
import { mulberry32, sizeOf } from "@adastra/core";
import { expect, test } from "vitest";
import { expectClose, zerosLike } from "../../testing/arrays.ts";
import { compile, compileForward, type Mode, nn, type Value } from "../index.ts";

interface Recorded {
  readonly input: readonly number[];
  readonly params: Readonly<Record<string, readonly number[]>>;
  readonly output: { readonly shape: readonly number[]; readonly data: readonly number[] };
  readonly gradients: Readonly<Record<string, readonly number[]>>;
  readonly state?: Readonly<Record<string, readonly number[]>>;
}

const file = new URL("../../../../fixtures/layers/torch.json", import.meta.url);
const { torch, cases } = JSON.parse(readFileSync(file, "utf8")) as {
  torch: string;
  cases: Record<string, Recorded>;
};

/** Our layer for each case of fixtures/generate/layers/layers.py. */
const LAYERS: Readonly<Record<string, nn.Layer>> = {
  dense: nn.dense(4),
  conv2d: nn.conv2d(4, 3, { padding: 1 }),
  "conv2d strides dilation groups": nn.conv2d(6, [3, 2], {
    strides: 2,
    dilation: [1, 2],
    groups: 2,
    padding: 1,
    bias: false,
  }),
  conv1d: nn.conv1d(4, 3, { strides: 2 }),
  depthwiseConv2d: nn.depthwiseConv2d(3, { multiplier: 2, padding: 1 }),
  maxPool: nn.maxPool(2),
  "maxPool overlap padding": nn.maxPool(3, { strides: 2, padding: 1 }),
  avgPool: nn.avgPool(2),
  "avgPool overlap padding": nn.avgPool(3, { strides: 2, padding: 1 }),
  batchNorm: nn.batchNorm(),
  layerNorm: nn.layerNorm(),
  rmsNorm: nn.rmsNorm(),
  groupNorm: nn.groupNorm(2),
  embedding: nn.embedding(7, 3),
  gelu: nn.gelu(),
  silu: nn.silu(),
  multiHeadAttention: nn.multiHeadAttention({ heads: 2 }),
  "multiHeadAttention causal": nn.multiHeadAttention({ heads: 2, causal: true }),
  gru: nn.gru(4, { sequences: true }),
  lstm: nn.lstm(4, { sequences: true }),
};

/** Element i of array k, as the script has it. */
const wave = (shape: readonly number[], k: number, scale = 1) => ({
  shape,
  data: Float32Array.from(
    { length: sizeOf(shape) },
    (_, i) => Math.fround(Math.sin(0.37 * i + k)) * scale,
  ),
});

test("there is a layer for each case, recorded from PyTorch 2.13", () => {
  expect(Object.keys(LAYERS)).toEqual(Object.keys(cases));
  expect(torch).toMatch(/^2\.13\./);
});

test.each(Object.keys(LAYERS))("%s gives PyTorch's output and gradients", async (name) => {
  const [layer, recorded] = [LAYERS[name]!, cases[name]!];
  const integers = name === "embedding";
  const scale = name === "gelu" || name === "silu" ? 3 : 1;
  const weights = Object.fromEntries(
    Object.entries(recorded.params).map(([path, shape], k) => [path, wave(shape, k + 1)]),
  );
  const params = integers ? weights : { ...weights, x: wave(recorded.input, 0, scale) };
  const indices = { shape: recorded.input, data: new Int32Array(sizeOf(recorded.input)) };
  const batch: Record<string, typeof indices> = integers
    ? { x: { ...indices, data: indices.data.map((_, i) => (7 * i) % 7) } }
    : {};
  const state = layer.initState(mulberry32(1), recorded.input.slice(1));
  const apply = (p: Readonly<Record<string, Value>>, b: { x?: Value }, mode: Mode): Value =>
    layer.apply(p, p["x"] ?? b.x!, mode);

  const compiled = await compile((p, b, mode) => apply(p, b, mode).sin().sum(), {
    params,
    example: batch,
    state,
  });
  const gradients = zerosLike(params);
  await compiled.run(batch, params, gradients);
  // Float32 on both sides: sums of at most some hundred products in another order.
  const tolerance = 1e-5;
  for (const [path, expected] of Object.entries(recorded.gradients)) {
    expectClose(gradients[path]!.data, expected, tolerance, `gradient of ${path}`);
  }
  for (const [path, expected] of Object.entries(recorded.state ?? {})) {
    expectClose(state[path]!.data, expected, tolerance, `state ${path}`);
  }
  if (name !== "batchNorm") {
    // Training and evaluation are the same for all the others.
    const forward = await compileForward((p, b, mode) => ({ y: apply(p, b, mode) }), {
      params,
      example: batch,
      state,
    });
    const { y } = await forward.run(batch, params);
    expect(y!.shape).toEqual(recorded.output.shape);
    expectClose(y!.data, recorded.output.data, tolerance, "output");
  }
});
