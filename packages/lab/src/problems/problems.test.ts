import { mulberry32 } from "@adastra/core";
import { nn } from "@adastra/engine";
import { describe, expect, test } from "vitest";
import type { ImageData } from "../data/labelledIdx.ts";
import type { TokenSplits } from "../data/tokens.ts";
import { findProblem } from "./catalogue.ts";
import { openImages } from "./imageTask.ts";
import { openLanguage } from "./languageTask.ts";

const count = (model: nn.Layer, input: readonly number[]): number =>
  Object.values(model.init(mulberry32(1), input)).reduce((sum, { data }) => sum + data.length, 0);

describe("problems", () => {
  test.each([
    ["mnist-softmax", nn.dense(10), [784]],
    ["mnist-lenet", nn.lenet(), [1, 28, 28]],
    ["fashion-resnet", nn.resnet({ blocks: 1 }), [1, 28, 28]],
    ["colour-mnist-densenet", nn.densenet({ layers: 4 }), [3, 32, 32]],
    ["brown-lstm", nn.lstmLm({ vocabulary: 10_000, size: 256 }), [64]],
    ["brown-gpt", nn.gptMini({ vocabulary: 86, length: 128, size: 128 }), [128]],
  ] as const)("%s states its model's number of parameters", (name, model, input) => {
    expect(findProblem(name).info.parameters).toBe(count(model, input));
  });

  /** Random pictures whose label is where they are bright: a batch norm and a dropout tell trials apart. */
  function pictures(): ImageData {
    const random = mulberry32(1);
    const set = (size: number) => {
      const pixels = new Uint8Array(new SharedArrayBuffer(size * 16));
      const labels = new Uint8Array(new SharedArrayBuffer(size));
      for (let i = 0; i < size; i++) {
        labels[i] = random.integer(10);
        pixels.fill(200, i * 16 + labels[i]!, i * 16 + labels[i]! + 3);
      }
      return { count: size, pixels, pixelsPerImage: 16, labels, mean: 0.1, std: 0.3 };
    };
    return { train: set(6000), test: set(1000) };
  }

  test("a trial of pictures is the same whatever ran between its steps", async () => {
    const model = nn.sequential(
      nn.conv2d(4, 3, { padding: 1 }),
      nn.batchNorm(),
      nn.flatten(),
      nn.dropout(0.2),
      nn.dense(10),
    );
    const open = await openImages({ model, shape: [1, 4, 4], batch: 50 }, pictures());
    const run = async (disturbed: boolean): Promise<number[]> => {
      const task = open.start({ seed: 3, phase: "seed" });
      const other = open.start({ seed: 4, phase: "seed" });
      const into = Object.fromEntries(
        Object.entries(task.params).map(([path, { shape, data }]) => [
          path,
          { shape, data: new Float32Array(data.length) },
        ]),
      );
      const seen: number[] = [];
      for (let step = 0; step < 4; step++) {
        seen.push(await task.gradient(task.params, into));
        if (disturbed) {
          await other.gradient(other.params, into);
        }
      }
      const { metric, loss } = await task.evaluate(task.params);
      return [...seen, metric, loss ?? 0];
    };
    expect(await run(true)).toEqual(await run(false));
  });

  test("a language model of nothing has the perplexity of its vocabulary, over every window", async () => {
    const tokens = (size: number) => {
      const random = mulberry32(size);
      const data = new Int32Array(new SharedArrayBuffer(4 * size));
      for (let i = 0; i < size; i++) {
        data[i] = random.integer(11);
      }
      return data;
    };
    const splits: TokenSplits = {
      train: tokens(100),
      valid: tokens(40),
      test: tokens(83),
      vocabulary: 11,
    };
    const model = nn.lstmLm({ vocabulary: 11, size: 4 });
    const open = await openLanguage({ model, batch: 3, length: 8 }, splits);
    const task = open.start({ seed: 1, phase: "seed" });
    expect(task.stepsPerEpoch).toBe(4);
    for (const { data } of Object.values(task.params)) {
      data.fill(0);
    }
    // Ten windows of 8, four batches of 3: each token has probability 1 / 11.
    const { metric } = await task.evaluate(task.params);
    expect(metric).toBeCloseTo(11, 4);
  });
});
