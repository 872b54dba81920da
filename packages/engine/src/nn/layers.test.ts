import { type Leaf, type Leaves, mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, type Float32Leaves, zerosLike } from "../../testing/arrays.ts";
import { labels, normal } from "../../testing/batches.ts";
import { expectDifferences } from "../../testing/differences.ts";
import { compile, compileForward, type Mode, nn, type Value } from "../index.ts";

interface Case {
  readonly name: string;
  readonly layer: nn.Layer;
  /** Without the batch axis. */
  readonly input: readonly number[];
  /** Inputs are integers below this. */
  readonly below?: number;
  readonly output: readonly number[];
  readonly params: Readonly<Record<string, readonly number[]>>;
}

const BATCH = 3;

const CASES: readonly Case[] = [
  {
    name: "conv2d",
    layer: nn.conv2d(4, 3, { padding: "same" }),
    input: [2, 5, 6],
    output: [4, 5, 6],
    params: { kernel: [4, 2, 3, 3], bias: [4] },
  },
  {
    name: "conv2d with strides, dilation, groups and no bias",
    layer: nn.conv2d(6, [3, 2], {
      strides: 2,
      dilation: [1, 2],
      groups: 2,
      padding: 1,
      bias: false,
    }),
    input: [4, 7, 6],
    output: [6, 4, 3],
    params: { kernel: [6, 2, 3, 2] },
  },
  {
    name: "conv1d",
    layer: nn.conv1d(3, 3, { strides: 2, padding: [[2, 0]] }),
    input: [2, 9],
    output: [3, 5],
    params: { kernel: [3, 2, 3], bias: [3] },
  },
  {
    name: "depthwiseConv2d",
    layer: nn.depthwiseConv2d(3, { multiplier: 2, padding: "same" }),
    input: [3, 5, 4],
    output: [6, 5, 4],
    params: { kernel: [6, 1, 3, 3], bias: [6] },
  },
  { name: "maxPool", layer: nn.maxPool(2), input: [2, 6, 4], output: [2, 3, 2], params: {} },
  {
    name: "maxPool with overlap and padding",
    layer: nn.maxPool(3, { strides: 2, padding: 1 }),
    input: [2, 6, 5],
    output: [2, 3, 3],
    params: {},
  },
  { name: "avgPool", layer: nn.avgPool([2, 1]), input: [2, 6, 4], output: [2, 3, 4], params: {} },
  {
    name: "avgPool with overlap and padding",
    layer: nn.avgPool(3, { strides: 1, padding: "same" }),
    input: [2, 4, 5],
    output: [2, 4, 5],
    params: {},
  },
  { name: "globalAvgPool", layer: nn.globalAvgPool(), input: [4, 3, 5], output: [4], params: {} },
  {
    name: "batchNorm",
    layer: nn.batchNorm(),
    input: [3, 2, 2],
    output: [3, 2, 2],
    params: { scale: [3], shift: [3] },
  },
  {
    name: "batchNorm of features",
    layer: nn.batchNorm({ epsilon: 1e-3 }),
    input: [4],
    output: [4],
    params: { scale: [4], shift: [4] },
  },
  {
    name: "layerNorm",
    layer: nn.layerNorm(),
    input: [4, 5],
    output: [4, 5],
    params: { scale: [5], shift: [5] },
  },
  { name: "rmsNorm", layer: nn.rmsNorm(), input: [4, 5], output: [4, 5], params: { scale: [5] } },
  {
    name: "groupNorm",
    layer: nn.groupNorm(2),
    input: [4, 3, 2],
    output: [4, 3, 2],
    params: { scale: [4], shift: [4] },
  },
  { name: "dropout", layer: nn.dropout(0.3), input: [40], output: [40], params: {} },
  {
    name: "embedding",
    layer: nn.embedding(7, 3),
    input: [5],
    below: 7,
    output: [5, 3],
    params: { table: [7, 3] },
  },
  {
    name: "positionEmbedding",
    layer: nn.positionEmbedding(8),
    input: [5, 3],
    output: [5, 3],
    params: { table: [8, 3] },
  },
  {
    name: "multiHeadAttention",
    layer: nn.multiHeadAttention({ heads: 2 }),
    input: [4, 6],
    output: [4, 6],
    params: { "qkv/kernel": [6, 18], "out/kernel": [6, 6], "qkv/bias": [18], "out/bias": [6] },
  },
  {
    name: "multiHeadAttention, causal, no bias",
    layer: nn.multiHeadAttention({ heads: 3, causal: true, bias: false }),
    input: [4, 6],
    output: [4, 6],
    params: { "qkv/kernel": [6, 18], "out/kernel": [6, 6] },
  },
  {
    name: "gru",
    layer: nn.gru(4),
    input: [5, 3],
    output: [4],
    params: { kernel: [3, 12], recurrent: [4, 12], bias: [12], recurrentBias: [12] },
  },
  {
    name: "lstm over sequences",
    layer: nn.lstm(4, { sequences: true }),
    input: [5, 3],
    output: [5, 4],
    params: { kernel: [3, 16], recurrent: [4, 16], bias: [16] },
  },
  {
    name: "residual",
    layer: nn.residual(
      nn.sequential(nn.conv2d(4, 3, { padding: "same", bias: false }), nn.batchNorm()),
      nn.conv2d(4, 1),
    ),
    input: [2, 4, 4],
    output: [4, 4, 4],
    params: {
      "body/conv2d1/kernel": [4, 2, 3, 3],
      "body/batchNorm1/scale": [4],
      "body/batchNorm1/shift": [4],
      "shortcut/kernel": [4, 2, 1, 1],
      "shortcut/bias": [4],
    },
  },
  {
    name: "activations",
    layer: nn.sequential(nn.sigmoid(), nn.silu(), nn.gelu(), nn.tanh()),
    input: [9],
    output: [9],
    params: {},
  },
];

/** Parameters away from their initial zeros and ones; the input is one of them, so that its gradient is checked. */
function parametersOf({ layer, input, below }: Case): Float32Leaves {
  const drawn = layer.init(mulberry32(3), input);
  const random = mulberry32(4);
  const moved = Object.entries(drawn).map(
    ([path, { shape, data }]): [string, Leaf<Float32Array>] => [
      `model/${path}`,
      { shape, data: data.map((value) => value + 0.3 * random.normal()) },
    ],
  );
  return Object.fromEntries([
    ...moved,
    ...(below === undefined ? [["x", normal(5, [BATCH, ...input])] as const] : []),
  ]);
}

const lossOf =
  ({ layer }: Case) =>
  (params: Readonly<Record<string, Value>>, batch: { x?: Value }, mode: Mode): Value => {
    const inside = Object.entries(params).map(([path, value]) => [
      path.replace("model/", ""),
      value,
    ]);
    const x = params["x"] ?? batch.x!;
    return layer.apply(Object.fromEntries(inside), x, mode).sin().sum();
  };

describe.each(CASES)("$name", (sample) => {
  const { layer, input, below } = sample;
  const params = parametersOf(sample);
  const batch: Readonly<Record<string, { shape: readonly number[]; data: Int32Array }>> =
    below === undefined
      ? {}
      : {
          x: {
            shape: [BATCH, ...input],
            data: labels(2, BATCH * input.reduce((size, extent) => size * extent, 1), below).data,
          },
        };

  test("has the parameters and the shape it states", async () => {
    const shapes = Object.entries(layer.init(mulberry32(3), input)).map(([path, leaf]) => [
      path,
      leaf.shape,
    ]);
    expect(Object.fromEntries(shapes)).toEqual(sample.params);
    expect(layer.outputShape(input)).toEqual(sample.output);
    const state = layer.initState(mulberry32(3), input);
    const unused = normal(6, [1]); // a tree of parameters may not be empty
    const forward = await compileForward(
      (p: Readonly<Record<string, Value>>, { x }: { x: Value }, mode) => ({
        y: layer.apply(p, x, mode),
      }),
      {
        params: { unused, ...layer.init(mulberry32(3), input) },
        example: { x: batch["x"] ?? { ...params["x"]! } },
        state,
      },
    );
    const { y } = await forward.run(
      { x: batch["x"] ?? params["x"]! },
      {
        unused,
        ...layer.init(mulberry32(3), input),
      },
    );
    expect(y!.shape).toEqual([BATCH, ...sample.output]);
  });

  test("training: gradients agree with jax-js and with differences in float64", async () => {
    const state = (): Leaves<Float32Array> => layer.initState(mulberry32(3), input);
    const loss = lossOf(sample);
    const outcomes = [];
    for (const backend of ["cpu", "jax"] as const) {
      const kept = state();
      const compiled = await compile(loss, { params, example: batch, state: kept, backend });
      const gradients = zerosLike(params);
      const result = await compiled.run(batch, params, gradients);
      await compiled.dispose();
      outcomes.push({ ...result, gradients, kept });
    }
    const [cpu, jax] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
    // Float32 sums of at most some hundred terms in another order.
    const tolerance = 1e-5;
    expectClose([cpu.loss], [jax.loss], tolerance, "loss");
    for (const [path, { data }] of Object.entries(jax.gradients)) {
      expectClose(cpu.gradients[path]!.data, data, tolerance, path);
    }
    for (const [path, { data }] of Object.entries(jax.kept)) {
      expectClose(cpu.kept[path]!.data, data, tolerance, `state ${path}`);
    }
    // Float32 gradients of losses that are sums of some hundred sines.
    await expectDifferences(loss, params, batch, cpu.gradients, {
      tolerance: 2e-4,
      state: state(),
    });
  });
});
