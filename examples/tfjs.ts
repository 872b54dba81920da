import { adashift, mulberry32, warmup } from "@adastra/core";
import { toTf } from "@adastra/engine/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-cpu";
import { initializers, layers, sequential } from "@tensorflow/tfjs-layers";

await tf.setBackend("cpu");
const random = mulberry32(1);
const x = Float32Array.from({ length: 256 }, () => 2 * random.next() - 1);
const y = x.map((value) => Math.sin(3 * value));

const kernelInitializer = initializers.heNormal({ seed: 1 });
const model = sequential();
model.add(layers.dense({ units: 32, activation: "tanh", inputShape: [1], kernelInitializer }));
model.add(layers.dense({ units: 1, kernelInitializer }));
const optimizer = toTf(adashift({ n: 5 }), { learningRate: warmup(50, 0.03) });
model.compile({ optimizer, loss: "meanSquaredError" });

const { history } = await model.fit(tf.tensor2d(x, [256, 1]), tf.tensor2d(y, [256, 1]), {
  epochs: 60,
  shuffle: false,
  verbose: 0,
});
console.log(`epoch 60: loss ${Number(history.loss?.at(-1)).toFixed(4)}`);

const state = await optimizer.save(); // plain arrays by name; load(state) continues, here or in core
console.log(`saved after ${state.count} steps: ${Object.keys(state.leaves).join(", ")}`);
