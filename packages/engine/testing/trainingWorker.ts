/** A worker that trains for three steps of gradient descent and posts the losses. */

import { parentPort } from "node:worker_threads";
import { mulberry32 } from "@adastra/core";
import { compile, nn } from "../src/index.ts";
import { labels, normal } from "./batches.ts";

export async function train(): Promise<number[]> {
  const model = nn.sequential(nn.dense(8), nn.relu(), nn.dense(4));
  const params = model.init(mulberry32(1), [5]);
  const batch = { x: normal(2, [16, 5]), y: labels(3, 16, 4) };
  const gradient = await compile((p, { x, y }) => nn.softmaxCrossEntropy(model.apply(p, x), y), {
    params,
    example: batch,
  });
  const gradients = model.init(mulberry32(1), [5]);
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { loss } = await gradient.run(batch, params, gradients);
    losses.push(loss);
    for (const [path, { data }] of Object.entries(params)) {
      const g = gradients[path]!.data;
      g.forEach((value, i) => {
        data[i] = data[i]! - value;
      });
    }
  }
  return losses;
}

if (parentPort !== null) {
  parentPort.postMessage(await train());
}
