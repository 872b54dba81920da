import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, zerosLike } from "../testing/arrays.ts";
import { labels, normal } from "../testing/batches.ts";
import { compile, type Mode, nn, type Value } from "./index.ts";

const input = [1, 8, 8];
const model = nn.sequential(
  nn.conv2d(4, 3, { padding: "same" }),
  nn.relu(),
  nn.maxPool(2),
  nn.flatten(),
  nn.dense(3),
);
const params = model.init(mulberry32(1), input);
const batch = { x: normal(2, [12, ...input]), y: labels(3, 12, 3) };
type Batch = { readonly x: Value; readonly y: Value };
const loss = (p: nn.ParamValues, { x, y }: Batch, mode: Mode): Value =>
  nn.softmaxCrossEntropy(model.apply(p, x, mode), y);

describe("replicas", () => {
  test.each([2, 3])("%i give the loss, aux and gradients of one graph", async (replicas) => {
    const withAux = (p: nn.ParamValues, { x, y }: Batch, mode: Mode) => {
      const logits = model.apply(p, x, mode);
      return [
        nn.softmaxCrossEntropy(logits, y),
        { correct: nn.correct(logits, y).mean() },
      ] as const;
    };
    const results = [];
    for (const count of [1, replicas]) {
      const compiled = await compile(withAux, { params, example: batch, replicas: count });
      const gradients = zerosLike(params);
      for (let run = 0; run < 2; run++) {
        const { loss: value, aux } = await compiled.run(batch, params, gradients);
        results.push({ value, correct: aux["correct"] as Float32Array });
      }
      results.push({ gradients });
      await compiled.dispose();
    }
    const [one, , ones, parts, again, theirs] = results;
    expect(parts).toEqual(again);
    // Sums of 12 rows in another order.
    const tolerance = 1e-6;
    expectClose([parts!.value!], [one!.value!], tolerance, "loss");
    expectClose(parts!.correct!, one!.correct!, tolerance, "correct");
    for (const [path, { data }] of Object.entries(ones!.gradients!)) {
      expectClose(theirs!.gradients![path]!.data, data, 1e-5, path);
    }
  });

  test("batch norm sees the rows of a copy: gradients and statistics are the means over the parts", async () => {
    const normed = nn.sequential(nn.conv2d(4, 3), nn.batchNorm(), nn.flatten(), nn.dense(3));
    const own = normed.init(mulberry32(4), input);
    const lossOf = (p: nn.ParamValues, { x, y }: Batch, mode: Mode): Value =>
      nn.softmaxCrossEntropy(normed.apply(p, x, mode), y);
    const half = (k: number) => ({
      x: { shape: [6, ...input], data: batch.x.data.subarray(k * 6 * 64, (k + 1) * 6 * 64) },
      y: { shape: [6], data: batch.y.data.subarray(k * 6, (k + 1) * 6) },
    });
    const run = async (example: typeof batch, replicas: number) => {
      const state = normed.initState(mulberry32(5), input);
      const compiled = await compile(lossOf, { params: own, example, state, replicas });
      const gradients = zerosLike(own);
      const { loss: value } = await compiled.run(example, own, gradients);
      await compiled.dispose();
      return { loss: { data: [value] }, ...gradients, ...state };
    };
    const whole = await run(batch, 2);
    const halves = [await run(half(0), 1), await run(half(1), 1)];
    for (const [path, { data }] of Object.entries(whole)) {
      const mean = Array.from(data, (_, i) =>
        halves.reduce((sum, part) => sum + part[path as "loss"].data[i]! / 2, 0),
      );
      // The same numbers, rounded once more.
      expectClose(data, mean, 1e-6, path);
    }
  });

  test("a value that is not finite is found in whichever part, by its place in the batch", async () => {
    const x = { ...batch.x, data: batch.x.data.slice() };
    x.data[9 * 64 + 5] = Number.NaN;
    const compiled = await compile(loss, { params, example: batch, replicas: 3 });
    const { loss: value } = await compiled.run({ ...batch, x }, params, zerosLike(params));
    expect(value).toBeNaN();
    expect(await compiled.diagnose({ ...batch, x }, params)).toMatchObject({
      where: "batch",
      name: "x",
      index: 9 * 64 + 5,
    });
    await compiled.dispose();
  });

  test("a sum over rows is refused by the first run", async () => {
    const summed = (p: nn.ParamValues, arrays: Batch, mode: Mode): Value =>
      loss(p, arrays, mode).mul(arrays.x.shape[0] as number);
    const compiled = await compile(summed, { params, example: batch, replicas: 2 });
    await expect(compiled.run(batch, params, zerosLike(params))).rejects.toThrow(
      /^run: a loss with `replicas` must be a mean over the rows of the batch, got [\d.]+ as the mean of 2 parts and [\d.]+ for the whole; divide by the rows, or leave `replicas` out$/,
    );
    await compiled.dispose();
  });

  test.each([
    [{ replicas: 0 }, "compile: `replicas` must be an integer of at least 1, got 0"],
    [
      { replicas: 2, backend: "wasm" as const },
      'compile: `replicas` above 1 must run on backend "cpu" in Node, got "wasm"; leave `replicas` out',
    ],
    [
      { replicas: 5 },
      'compile: batch "x" must have rows for 5 `replicas` alike, got 12; take a multiple',
    ],
  ])("%o is refused", async (given, message) => {
    await expect(compile(loss, { params, example: batch, ...given })).rejects.toThrow(message);
  });

  test("a graph that was disposed of refuses to run, instead of waiting for its threads", async () => {
    const compiled = await compile(loss, { params, example: batch, replicas: 2 });
    await compiled.dispose();
    await expect(compiled.run(batch, params, zerosLike(params))).rejects.toThrow();
  });

  test("aux values by rows are refused", async () => {
    const byRow = (p: nn.ParamValues, { x, y }: Batch, mode: Mode) => {
      const logits = model.apply(p, x, mode);
      return [nn.softmaxCrossEntropy(logits, y), { logits }] as const;
    };
    await expect(compile(byRow, { params, example: batch, replicas: 2 })).rejects.toThrow(
      'compile: aux values with `replicas` must be scalars, got "logits" of shape [6, 3]',
    );
  });
});
