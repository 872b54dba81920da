import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, zerosLike } from "../../testing/arrays.ts";
import { labels, normal } from "../../testing/batches.ts";
import { expectDirectionalDifference } from "../../testing/differences.ts";
import { compile, type Mode, nn, type Value } from "../index.ts";

interface Case {
  readonly name: string;
  readonly model: nn.Layer;
  readonly input: readonly number[];
  readonly below?: number;
  readonly classes: number;
  /** By the paper's own count, or by hand. */
  readonly parameters: number;
}

const weights = (model: nn.Layer, input: readonly number[]): number =>
  Object.values(model.init(mulberry32(1), input)).reduce((sum, { data }) => sum + data.length, 0);

/** Small enough for jax-js and for differences; their large forms are only counted. */
const CASES: readonly Case[] = [
  {
    name: "lenet",
    model: nn.lenet(4),
    input: [1, 8, 8],
    classes: 4,
    parameters: 416 + 12_832 + 128 * 128 + 128 + 128 * 4 + 4,
  },
  {
    name: "resnet",
    model: nn.resnet({ classes: 3, blocks: 1, filters: 4 }),
    input: [2, 8, 8],
    classes: 3,
    parameters: 72 + 8 + (288 + 16) + (288 + 576 + 32 + 32) + (1152 + 2304 + 64 + 128) + 51,
  },
  {
    name: "densenet",
    model: nn.densenet({ classes: 3, growth: 3, layers: 1 }),
    input: [2, 8, 8],
    classes: 3,
    parameters: 108 + (12 + 162) + (18 + 81) + (18 + 243) + (24 + 144) + (24 + 324) + 30 + 48,
  },
  {
    name: "lstmLm",
    model: nn.lstmLm({ vocabulary: 7, size: 4, dropout: 0.2 }),
    input: [5],
    below: 7,
    classes: 7,
    parameters: 28 + 2 * 64 + 16 + 7,
  },
  {
    name: "gptMini",
    model: nn.gptMini({ vocabulary: 7, length: 6, size: 4, heads: 2, blocks: 1 }),
    input: [5],
    below: 7,
    classes: 7,
    parameters: 28 + 24 + (8 + 60 + 20) + (8 + 80 + 68) + 8 + 7,
  },
];

test.each(CASES)("$name has the parameters it should", ({ model, input, parameters }) => {
  expect(weights(model, input)).toBe(parameters);
});

test("sizes of the papers' models", () => {
  // 0.27 M (He et al., table 6) with zeros as shortcuts; 2,560 more for the two convolutions of 1x1.
  expect(weights(nn.resnet20(), [3, 32, 32])).toBe(269_722 + 2560);
  // 1.0 M (Huang et al., table 2, depth 40, growth 12).
  expect(Math.round(weights(nn.densenet(), [3, 32, 32]) / 1e4)).toBe(106);
  expect(nn.vggSmall().outputShape([3, 32, 32])).toEqual([10]);
});

describe.each(CASES)("$name", ({ model, input, below, classes }) => {
  test("gradients agree with jax-js and with differences in float64", async () => {
    const params = model.init(mulberry32(3), input);
    const batch = {
      x:
        below === undefined
          ? normal(5, [3, ...input])
          : { shape: [3, ...input], data: labels(5, 3 * input[0]!, below).data },
      y:
        below === undefined
          ? labels(6, 3, classes)
          : { shape: [3, ...input], data: labels(6, 3 * input[0]!, classes).data },
    };
    const loss = (p: nn.ParamValues, { x, y }: { x: Value; y: Value }, mode: Mode): Value =>
      nn.softmaxCrossEntropy(model.apply(p, x, mode), y);
    const outcomes = [];
    for (const backend of ["cpu", "jax"] as const) {
      const state = model.initState(mulberry32(4), input);
      const compiled = await compile(loss, { params, example: batch, state, backend });
      const gradients = zerosLike(params);
      const result = await compiled.run(batch, params, gradients);
      await compiled.dispose();
      outcomes.push({ loss: result.loss, gradients });
    }
    const [cpu, jax] = outcomes as [(typeof outcomes)[0], (typeof outcomes)[0]];
    expectClose([cpu.loss], [jax.loss], 1e-5, "loss");
    for (const [path, { data }] of Object.entries(jax.gradients)) {
      // Batch norms over 3 samples divide by small deviations: float32 sums lose two digits there.
      expectClose(cpu.gradients[path]!.data, data, 1e-4, path);
    }
    // Steps of 1e-5 in every weight cross the kinks of a few rectifiers.
    const options = { tolerance: 1e-4, state: model.initState(mulberry32(4), input) };
    await expectDirectionalDifference(loss, params, batch, cpu.gradients, options);
  });
});
