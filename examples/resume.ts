import * as fs from "node:fs/promises";
import { adam, compileOptimizer, mulberry32 } from "@adastra/core";
import { CheckpointDirectory, nodeFiles } from "@adastra/core/checkpoint";

// The nearest point to noisy samples of (1, 2); run it again and it goes on where it stopped.
const random = mulberry32(1);
const params = { x: { shape: [2], data: new Float32Array(2) } };
const optimizer = compileOptimizer(adam(), { params, learningRate: 0.05 });

const directory = new CheckpointDirectory(nodeFiles(fs, "runs/nearest"), { keep: 3 });
const latest = await directory.latest();
if (latest !== undefined) {
  const checkpoint = await directory.load(latest);
  optimizer.load(checkpoint.optimizer);
  random.restore(checkpoint.random as number);
  console.log(`resumed at step ${latest}`);
}

for (let step = 1; step <= 100; step++) {
  const { x } = optimizer.params;
  const sample = [1 + random.normal(), 2 + random.normal()];
  optimizer.step({ x: Float32Array.from(x?.data ?? [], (value, i) => value - (sample[i] ?? 0)) });
  if (optimizer.count % 50 === 0) {
    await directory.save(optimizer.count, { optimizer: optimizer.save(), random: random.save() });
  }
}
const x = Array.from(optimizer.params.x?.data ?? [], (value) => value.toFixed(2));
console.log(`x after ${optimizer.count} steps: ${x.join(", ")}`);
