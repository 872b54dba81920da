/** One life of a training by `fit` with checkpoints: `node killedFit.mjs FOLDER`. Says each step; the last line is a hash of what it ends with. */

import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import { adashift, compileOptimizer, cosine, mulberry32 } from "@adastra/core";
import { CheckpointDirectory, nodeFiles } from "@adastra/core/checkpoint";
import { fit, nn } from "@adastra/engine";

const [folder] = process.argv.slice(2);
const random = mulberry32(1);
const x = Float32Array.from({ length: 240 * 5 }, () => random.normal());
const y = Int32Array.from({ length: 240 }, () => random.integer(3));
const model = nn.sequential(nn.dense(16), nn.batchNorm(), nn.relu(), nn.dropout(0.3), nn.dense(3));
const params = model.init(mulberry32(2), [5]);
const state = model.initState(mulberry32(3), [5]);
const optimizer = compileOptimizer(adashift({ n: 4 }), {
  params,
  learningRate: cosine(0.05, 120),
});

const { history } = await fit(
  (p, batch, mode) => nn.softmaxCrossEntropy(model.apply(p, batch.x, mode), batch.y),
  {
    optimizer,
    state,
    data: { x: { shape: [240, 5], data: x }, y: { shape: [240], data: y } },
    batchSize: 16,
    epochs: 8,
    random: mulberry32(4),
    checkpoint: {
      directory: new CheckpointDirectory(nodeFiles(fs, folder), { keep: 2 }),
      every: 4,
    },
    onStep: ({ step }) => {
      process.stdout.write(`step ${step}\n`);
    },
  },
);
const hash = createHash("sha256");
for (const leaves of [optimizer.params, state]) {
  for (const { data } of Object.values(leaves)) {
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}
hash.update(JSON.stringify(history.map(({ train }) => train)));
process.stdout.write(`end ${hash.digest("hex")}\n`);
