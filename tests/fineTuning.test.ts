import { adam, compileOptimizer, type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, freeze, type Mode, nn, type Value } from "@adastra/engine";
import { fromOnnx, toOnnx } from "@adastra/engine/onnx";
import { batchFiller, emptyBatch, type ImageSet, inOrder, loadMnist, shuffle } from "adastra/data";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, it } from "vitest";

type Params = Leaves<Float32Array>;
type Forward = (
  p: nn.ParamValues,
  batch: { readonly x: Value; readonly y: Value },
  mode: Mode,
) => Value;

const BATCH = 64;
const TESTED = 1000;

/** Adam on a sequence of batches drawn by a seed. */
async function train(
  logits: Forward,
  params: Params,
  state: Params,
  set: ImageSet,
  steps: number,
  learningRate = 2e-3,
): Promise<Params> {
  const batch = emptyBatch(set, BATCH);
  const fill = batchFiller(set);
  const order = shuffle(inOrder(set.count), mulberry32(7));
  const gradient = await compile(
    (p, { x, y }, mode) => nn.softmaxCrossEntropy(logits(p, { x, y }, mode), y),
    { params, state, example: { x: batch.x, y: batch.y } },
  );
  const optimizer = compileOptimizer(adam(), { params, learningRate });
  for (let step = 0; step < steps; step++) {
    fill(batch, order, (step * BATCH) % (set.count - BATCH));
    await gradient.run({ x: batch.x, y: batch.y }, optimizer.params, optimizer.gradients);
    optimizer.step();
  }
  await gradient.dispose();
  return optimizer.params as Params; // float32, as given
}

/** Share of the first test images that are classified right. */
async function accuracy(
  logits: Forward,
  params: Params,
  state: Params,
  set: ImageSet,
): Promise<number> {
  const batch = emptyBatch(set, TESTED);
  batchFiller(set)(batch, inOrder(set.count), 0);
  const example = { x: batch.x, y: batch.y };
  const forward = await compileForward(
    (p, { x, y }, mode) => ({ right: nn.accuracy(logits(p, { x, y }, mode), y) }),
    { params, state, example },
  );
  const { right } = await forward.run(example, params);
  await forward.dispose();
  return right?.data[0] ?? 0;
}

/** The same by ONNX Runtime on a file with inputs `x` and outputs `logits`. */
async function runtimeAccuracy(bytes: Uint8Array, set: ImageSet): Promise<number> {
  const batch = emptyBatch(set, TESTED);
  batchFiller(set)(batch, inOrder(set.count), 0);
  const session = await InferenceSession.create(bytes);
  const { logits } = await session.run({ x: new Tensor("float32", batch.x.data, batch.x.shape) });
  await session.release();
  const rows = logits?.data as Float32Array;
  const right = batch.y.data.filter((label, i) => {
    const row = rows.subarray(10 * i, 10 * i + 10);
    return row.every((z) => z <= (row[label] as number));
  });
  return right.length / TESTED;
}

it("a net trained on MNIST, written as ONNX, read, given a new head for other classes, trained, written", async () => {
  const { train: digits, test } = loadMnist();
  const body = nn.sequential(
    nn.conv2d(8, 3, { strides: 2 }),
    nn.relu(),
    nn.conv2d(16, 3, { strides: 2 }),
    nn.relu(),
    nn.flatten(),
    nn.dense(32),
    nn.relu(),
  );
  const head = nn.dense(10);
  const picture = (x: Value): Value => x.reshape([x.shape[0] ?? 1, 1, 28, 28]);
  const fresh = {
    ...prefixed("body", body.init(mulberry32(1), [1, 28, 28])),
    ...prefixed("head", head.init(mulberry32(2), [32])),
  };
  const parts = (p: nn.ParamValues, x: Value) => {
    const features = body.apply(within(p, "body"), picture(x));
    return { features, logits: head.apply(within(p, "head"), features) };
  };
  const first = await train((p, { x }) => parts(p, x).logits, fresh, {}, digits, 150);
  const reached = await accuracy((p, { x }) => parts(p, x).logits, first, {}, test);
  expect(reached).toBeGreaterThan(0.9);

  const example = { x: { shape: [2, 784], data: new Float32Array(2 * 784) } };
  const file = toOnnx((p, { x }) => parts(p, x), { params: first, example });
  // Of 1,000 images one on a boundary may fall to the other side by rounding.
  expect(Math.abs((await runtimeAccuracy(file, test)) - reached)).toBeLessThan(0.0015);

  // Each digit is called by another: the old head is worth nothing, its body all the more.
  const renamed = (set: ImageSet): ImageSet => {
    const labels = new Uint8Array(new SharedArrayBuffer(set.count));
    labels.set(set.labels.map((label) => (3 * label + 4) % 10));
    return { ...set, labels };
  };
  const pretrained = fromOnnx(file, { outputs: ["features"] });
  const net = nn.sequential(pretrained.layer(), nn.dense(10));
  const logits: Forward = (p, { x }, mode) => net.apply(p, x, mode);
  const start = net.init(mulberry32(3), [784]);
  const { params, frozen } = freeze(start, "onnx1/**");
  expect(await accuracy(logits, params, frozen, renamed(test))).toBeLessThan(0.3);
  const tuned = await train(logits, params, frozen, renamed(digits), 100, 0.02);
  const withHead = await accuracy(logits, tuned, frozen, renamed(test));
  expect(withHead).toBeGreaterThan(0.85);

  const all = await train(logits, { ...tuned, ...frozen }, {}, renamed(digits), 60);
  expect(await accuracy(logits, all, {}, renamed(test))).toBeGreaterThan(withHead);
  const last = toOnnx((p, { x }, mode) => ({ logits: net.apply(p, x, mode) }), {
    params: all,
    example,
  });
  expect(
    Math.abs(
      (await runtimeAccuracy(last, renamed(test))) -
        (await accuracy(logits, all, {}, renamed(test))),
    ),
  ).toBeLessThan(0.0015);
}, 120_000);

function prefixed(name: string, leaves: Params): Params {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, leaf]) => [`${name}/${path}`, leaf]),
  );
}

function within(p: nn.ParamValues, name: string): nn.ParamValues {
  const start = `${name}/`;
  return Object.fromEntries(
    Object.entries(p).flatMap(([path, value]) =>
      path.startsWith(start) ? [[path.slice(start.length), value]] : [],
    ),
  );
}
