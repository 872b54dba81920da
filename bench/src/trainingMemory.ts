/**
 * Does training hold its memory?
 *
 *     node bench/dist/trainingMemory.js [steps, default 50000] [--json]
 *
 * A small convolutional network with batch norm and dropout under AdaShift, batches of 16 of new arrays every step, as
 * data loaders make them. Resident memory after each tenth of the steps, garbage collected where Node was started
 * with --expose-gc.
 */

import { parseArgs } from "node:util";
import { adashift, compileOptimizer, mulberry32 } from "@adastra/core";
import { compile, nn } from "@adastra/engine";
import { environment } from "adastra/bench";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const steps = Number(positionals[0] ?? 50_000);

const random = mulberry32(1);
const batch = () => ({
  x: { shape: [16, 1, 8, 8], data: Float32Array.from({ length: 1024 }, () => random.next()) },
  y: { shape: [16], data: Int32Array.from({ length: 16 }, () => random.integer(10)) },
});
const model = nn.sequential(
  nn.conv2d(8, 3, { padding: 1 }),
  nn.batchNorm(),
  nn.relu(),
  nn.maxPool(2),
  nn.flatten(),
  nn.dropout(0.2),
  nn.dense(10),
);
const input = [1, 8, 8];
const optimizer = compileOptimizer(adashift({ n: 10 }), {
  params: model.init(mulberry32(2), input),
  learningRate: 1e-3,
});
const gradient = await compile(
  (p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode), y),
  {
    params: optimizer.params,
    example: batch(),
    state: model.initState(mulberry32(3), input),
  },
);

const tenth = Math.max(1, Math.round(steps / 10));
const rows: { readonly step: number; readonly mebibytes: number }[] = [];
for (let step = 1; step <= steps; step++) {
  await gradient.run(batch(), optimizer.params, optimizer.gradients);
  optimizer.step();
  if (step % tenth === 0) {
    globalThis.gc?.();
    rows.push({ step, mebibytes: process.memoryUsage().rss / 2 ** 20 });
  }
}
// The first tenth is where V8 and the allocator find their size.
const [first = 0, ...later] = rows.slice(1).map(({ mebibytes }) => mebibytes);
const growth = Math.max(...later.map((mebibytes) => mebibytes / first - 1));
const result = { environment: environment(new Date(), ["onnxruntime-node"]), steps, rows, growth };
if (values.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  for (const { step, mebibytes } of rows) {
    console.log(`step ${String(step).padStart(6)}: ${mebibytes.toFixed(1)} MiB`);
  }
  console.log(`most growth after the second tenth: ${(100 * growth).toFixed(1)} %`);
}
process.exit(0);
