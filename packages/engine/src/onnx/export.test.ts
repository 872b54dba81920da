import { type Leaves, mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose } from "../../testing/arrays.ts";
import { normal } from "../../testing/batches.ts";
import { runtimeOutputs } from "../../testing/onnxFiles.ts";
import { type BatchArrays, compileForward, nn } from "../index.ts";
import { iota, type Value } from "../trace/value.ts";
import { fromOnnx, toOnnx } from "./index.ts";

const picture = [3, 8, 8];

const MODELS: readonly (readonly [string, nn.Layer, readonly number[]])[] = [
  ["dense layers", nn.sequential(nn.dense(7), nn.relu(), nn.dense(4)), [5]],
  ["dense layers over places", nn.sequential(nn.dense(6), nn.gelu(), nn.dense(2)), [3, 5]],
  [
    "convolutions",
    nn.sequential(
      nn.conv2d(4, 3, { padding: "same" }),
      nn.batchNorm(),
      nn.silu(),
      nn.maxPool(2),
      nn.residual(nn.sequential(nn.conv2d(4, 3, { padding: "same" }), nn.tanh())),
      nn.depthwiseConv2d(3, { strides: 2 }),
      nn.flatten(),
      nn.dropout(0.5),
      nn.dense(3),
    ),
    picture,
  ],
  [
    "pooling",
    nn.sequential(
      nn.avgPool(3, { strides: 2, padding: 1 }),
      nn.conv2d(4, 1),
      nn.groupNorm(2),
      nn.globalAvgPool(),
      nn.dense(3),
    ),
    picture,
  ],
  ["a GRU", nn.sequential(nn.gru(5), nn.dense(2)), [4, 3]],
  [
    "an LSTM over sequences",
    nn.sequential(nn.lstm(5, { sequences: true }), nn.layerNorm()),
    [4, 3],
  ],
  [
    "attention",
    nn.sequential(
      nn.positionEmbedding(6),
      nn.residual(nn.sequential(nn.rmsNorm(), nn.multiHeadAttention({ heads: 2, causal: true }))),
      nn.dense(3),
    ),
    [6, 8],
  ],
];

/** The forward function compiled for a batch, beside ONNX Runtime on the file, at several extents of the batch. */
async function expectSameOutputs(
  bytes: Uint8Array,
  forward: Parameters<typeof compileForward<Leaves<Float32Array>, BatchArrays>>[0],
  params: Leaves<Float32Array>,
  state: Leaves<Float32Array>,
  shape: readonly number[],
): Promise<void> {
  for (const extent of [1, 3, 8]) {
    const batch = { x: normal(extent, [extent, ...shape]) };
    const compiled = await compileForward(forward, { params, state, example: batch });
    const expected = await compiled.run(batch, params);
    await compiled.dispose();
    const got = await runtimeOutputs(bytes, batch);
    for (const [name, leaf] of Object.entries(expected)) {
      expect(got[name]?.shape).toEqual(leaf.shape);
      // The same runtime on nearly the same ops: what differs is the order of some sums of float32.
      expectClose(got[name]!.data, leaf.data, 3e-6, `${name} at ${extent}`);
    }
  }
}

describe("toOnnx of a forward function", () => {
  test.each(MODELS)(
    "%s: the file computes what compileForward does, for any batch",
    async (_, model, shape) => {
      const params = model.init(mulberry32(1), shape);
      const state = model.initState(mulberry32(2), shape);
      const forward: Parameters<typeof expectSameOutputs>[1] = (p, { x }, mode) => ({
        y: model.apply(p, x!, mode),
      });
      const bytes = toOnnx(forward, { params, state, example: { x: normal(1, [2, ...shape]) } });
      await expectSameOutputs(bytes, forward, params, state, shape);
    },
  );

  test.each(MODELS)(
    "%s: the file read again has the same parameters and outputs",
    async (_, model, shape) => {
      const params = model.init(mulberry32(1), shape);
      const state = model.initState(mulberry32(2), shape);
      const bytes = toOnnx((p, { x }, mode) => ({ y: model.apply(p, x, mode) }), {
        params,
        state,
        example: { x: normal(1, [2, ...shape]) },
      });
      const again = fromOnnx(bytes);
      expect(again.inputs).toEqual([{ name: "x", dtype: "float32", shape: [undefined, ...shape] }]);
      for (const [path, leaf] of Object.entries(params)) {
        expect(again.params[path]).toEqual({ shape: [...leaf.shape], data: leaf.data });
      }
      await expectSameOutputs(
        bytes,
        (p, { x }) => ({ y: again.apply(p, x!)["y"]! }),
        again.params,
        {},
        shape,
      );
    },
  );

  test("a table of tokens, and two results", async () => {
    const model = nn.sequential(nn.embedding(7, 4), nn.dense(3));
    const params = model.init(mulberry32(1), [5]);
    const tokens = { shape: [2, 5], data: Int32Array.from({ length: 10 }, (_, i) => i % 7) };
    const bytes = toOnnx(
      (p, { tokens }) => {
        const y = model.apply(p, tokens);
        return { y, mean: y.mean({ axis: 1 }) };
      },
      { params, example: { tokens } },
    );
    const got = await runtimeOutputs(
      bytes,
      { tokens: { shape: [4, 5], data: new Int32Array(20).fill(3) } },
      { tokens: "int32" },
    );
    expect(got["y"]?.shape).toEqual([4, 5, 3]);
    expect(got["mean"]?.shape).toEqual([4, 3]);
  });

  test("names of parameters may be those that the encoder would give", async () => {
    const params = { t1: normal(1, [3, 2]), i0: normal(2, [2]), batch: normal(3, [2]) };
    const bytes = toOnnx(
      (p, { x }) => ({
        y: x
          .matmul(p.t1)
          .add(p.i0)
          .reshape([x.shape[0] ?? 1, 1, 2])
          .mul(p.batch),
      }),
      { params, example: { x: normal(4, [2, 3]) } },
    );
    expect((await runtimeOutputs(bytes, { x: normal(5, [4, 3]) }))["y"]?.shape).toEqual([4, 1, 2]);
  });

  const params = { w: normal(1, [3, 2]) };
  const example = { x: normal(2, [4, 3]) };

  test("a function that depends on the extent otherwise is refused, and written for the one extent", async () => {
    const forward = (p: { readonly w: Value }, { x }: { readonly x: Value }) => {
      const [extent = 1] = x.shape;
      const places = iota(extent).cast("float32").reshape([extent, 1]);
      return { y: x.mul(places).matmul(p.w) };
    };
    expect(() => toOnnx(forward, { params, example })).toThrow(
      "toOnnx: `forward` must be traceable for any batch, got one that is not (the program must depend on the batch by its extent alone, got a constant of shape [89]); pass anyBatch: false",
    );
    const bytes = toOnnx(forward, { params, example, anyBatch: false });
    expect((await runtimeOutputs(bytes, example))["y"]?.shape).toEqual([4, 2]);
  });

  test("names that clash and inputs without a batch are refused", () => {
    expect(() => toOnnx((p, { x }) => ({ x: x.matmul(p.w) }), { params, example })).toThrow(
      'toOnnx: parameters, state, inputs and results must have names of their own, got "x" twice; rename a result or an array of the batch',
    );
    expect(() =>
      toOnnx((p, { x, y }) => ({ z: x.matmul(p.w).add(y) }), {
        params,
        example: { ...example, y: normal(1, [2]) },
      }),
    ).toThrow(
      'toOnnx: arrays of the example must share their first extent, the batch\'s, got "x" [4, 3], "y" [2]; pass anyBatch: false',
    );
  });
});
