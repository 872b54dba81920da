/**
 * What is a body trained on MNIST worth on Fashion-MNIST?
 *
 *     node bench/dist/fineTuning.js [steps, default 50,200,800] [seeds, default 3] [--json]
 *
 * A net of two convolutions and two dense layers is trained on digits, written as ONNX and read again without its head. On pictures
 * of clothes then: a new head on the frozen body, a new head with everything trained, and the same net from scratch. Each has
 * the same batches, Adam, and its best of four rates by accuracy on 5,000 held-out training images; reported is the
 * accuracy on the test set, mean over seeds.
 */

import { parseArgs } from "node:util";
import { adam, compileOptimizer, type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, freeze, nn, type Value } from "@adastra/engine";
import { fromOnnx, toOnnx } from "@adastra/engine/onnx";
import { environment } from "adastra/bench";
import {
  batchFiller,
  emptyBatch,
  type ImageSet,
  inOrder,
  loadFashion,
  loadMnist,
  shuffle,
  validationSplit,
} from "adastra/data";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const lengths = (positionals[0] ?? "50,200,800").split(",").map(Number);
const seeds = Number(positionals[1] ?? 3);
const RATES = [1e-3, 3e-3, 1e-2, 3e-2];
const BATCH = 64;
const TESTED = 5000;

type Params = Leaves<Float32Array>;

/** [784] to [1, 28, 28]. */
const picture: nn.Layer = nn.defineLayer({
  kind: "picture",
  params: () => ({}),
  outputShape: () => [1, 28, 28],
  forward: (_, x: Value) => x.reshape([x.shape[0] ?? 1, 1, 28, 28]),
});

const body = (): nn.Layer =>
  nn.sequential(
    picture,
    nn.conv2d(16, 3, { strides: 2 }),
    nn.relu(),
    nn.conv2d(32, 3, { strides: 2 }),
    nn.relu(),
    nn.flatten(),
    nn.dense(64),
    nn.relu(),
  );

/** A model with its parameters before training. */
interface Start {
  readonly net: nn.Layer;
  readonly params: Params;
  readonly frozen: Params;
}

async function train(
  { net, params, frozen }: Start,
  set: ImageSet,
  images: Uint32Array,
  { steps, rate, seed }: { readonly steps: number; readonly rate: number; readonly seed: number },
): Promise<Params> {
  const batch = emptyBatch(set, BATCH);
  const fill = batchFiller(set);
  const order = shuffle(images.slice(), mulberry32(1000 + seed));
  const { x, y } = batch;
  const gradient = await compile(
    (p, { x, y }, mode) => nn.softmaxCrossEntropy(net.apply(p, x, mode), y),
    { params, state: frozen, example: { x, y } },
  );
  const optimizer = compileOptimizer(adam(), { params, learningRate: rate });
  for (let step = 0; step < steps; step++) {
    fill(batch, order, (step * BATCH) % (order.length - BATCH));
    await gradient.run({ x, y }, optimizer.params, optimizer.gradients);
    optimizer.step();
  }
  await gradient.dispose();
  return optimizer.params as Params; // float32, as given
}

/** Share of `images`, as many whole batches of 5,000 as there are, that is classified right. */
async function accuracy(
  { net, frozen }: Start,
  params: Params,
  set: ImageSet,
  images: Uint32Array,
): Promise<number> {
  const batch = emptyBatch(set, TESTED);
  const fill = batchFiller(set);
  const { x, y } = batch;
  const forward = await compileForward(
    (p, { x, y }, mode) => ({ right: nn.accuracy(net.apply(p, x, mode), y) }),
    { params, state: frozen, example: { x, y } },
  );
  const shares: number[] = [];
  for (let first = 0; first + TESTED <= images.length; first += TESTED) {
    fill(batch, images, first);
    const { right } = await forward.run({ x, y }, params);
    shares.push(right?.data[0] ?? Number.NaN);
  }
  await forward.dispose();
  return mean(shares);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}

const digits = loadMnist();
const clothes = loadFashion();
const { train: training, validation } = validationSplit(clothes.train, TESTED);

const first = nn.sequential(body(), nn.dense(10));
const whole: Start = { net: first, params: first.init(mulberry32(1), [784]), frozen: {} };
const learned = await train(whole, digits.train, inOrder(digits.train.count), {
  steps: 1500,
  rate: 1e-3,
  seed: 0,
});
const onDigits = await accuracy(whole, learned, digits.test, inOrder(digits.test.count));
const file = toOnnx((p, { x }, mode) => ({ logits: first.apply(p, x, mode) }), {
  params: learned,
  example: { x: emptyBatch(digits.train, BATCH).x },
});
const features = fromOnnx(file).tensors.at(-2) ?? "";
const pretrained = fromOnnx(file, { outputs: [features] });

const STARTS: Readonly<Record<string, (seed: number) => Start>> = {
  "new head, body frozen": (seed) => {
    const net = nn.sequential(pretrained.layer(), nn.dense(10));
    return { net, ...freeze(net.init(mulberry32(seed), [784]), "onnx1/**") };
  },
  "new head, all trained": (seed) => {
    const net = nn.sequential(pretrained.layer(), nn.dense(10));
    return { net, params: net.init(mulberry32(seed), [784]), frozen: {} };
  },
  "from scratch": (seed) => {
    const net = nn.sequential(body(), nn.dense(10));
    return { net, params: net.init(mulberry32(seed), [784]), frozen: {} };
  },
};

interface Row {
  readonly steps: number;
  readonly start: string;
  readonly rate: number;
  readonly accuracy: number;
}

const rows: Row[] = [];
for (const steps of lengths) {
  for (const [start, make] of Object.entries(STARTS)) {
    const tried: { rate: number; held: number; tested: number }[] = [];
    for (const rate of RATES) {
      const results: { held: number; tested: number }[] = [];
      for (let seed = 0; seed < seeds; seed++) {
        const begun = make(seed);
        const params = await train(begun, clothes.train, training, { steps, rate, seed });
        results.push({
          held: await accuracy(begun, params, clothes.train, validation),
          tested: await accuracy(begun, params, clothes.test, inOrder(clothes.test.count)),
        });
      }
      tried.push({
        rate,
        held: mean(results.map(({ held }) => held)),
        tested: mean(results.map(({ tested }) => tested)),
      });
    }
    const best = tried.reduce((a, b) => (b.held > a.held ? b : a));
    rows.push({ steps, start, rate: best.rate, accuracy: best.tested });
  }
}

if (values.json) {
  console.log(
    JSON.stringify({ environment: environment(new Date()), onDigits, seeds, rows }, undefined, 2),
  );
} else {
  console.log(`MNIST, 1500 steps: ${(100 * onDigits).toFixed(1)} %`);
  for (const { steps, start, rate, accuracy: share } of rows) {
    console.log(
      `${String(steps).padStart(5)} steps  ${start.padEnd(22)} ${(100 * share).toFixed(1)} %  rate ${rate}`,
    );
  }
}
