import { adam, adashift, mulberry32, sgd, warmup } from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import * as tfl from "@tensorflow/tfjs-layers";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { TfOptimizer, toTf } from "./index.ts";

afterEach(() => {
  tf.disposeVariables();
});

describe.each([
  ["cpu", "kernels"],
  ["cpu", "operations"],
  ["wasm", "kernels"],
  ["wasm", "operations"],
] as const)("on backend %s by %s", (backend, execution) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it("fits a model of tfjs-layers", async () => {
    const random = mulberry32(1);
    const inputs = Float32Array.from({ length: 128 }, () => 2 * random.next() - 1);
    const x = tf.tensor2d(inputs, [128, 1]);
    const y = tf.tensor2d(
      inputs.map((value) => Math.sin(3 * value)),
      [128, 1],
    );
    const initializer = (seed: number) => tfl.initializers.glorotUniform({ seed });
    const model = tfl.sequential({
      layers: [
        tfl.layers.dense({
          units: 16,
          activation: "tanh",
          inputShape: [1],
          kernelInitializer: initializer(1),
        }),
        tfl.layers.dense({ units: 1, kernelInitializer: initializer(2) }),
      ],
    });
    const optimizer = toTf(adashift({ n: 4 }), { learningRate: warmup(10, 0.05), execution });
    model.compile({ optimizer, loss: "meanSquaredError" });
    const fit = { batchSize: 32, epochs: 40, shuffle: false, verbose: 0 };
    const { history } = await model.fit(x, y, fit);
    const losses = history.loss as number[];
    // A straight line leaves 0.2 of a sine's variance; the fit goes below it.
    expect(losses[0]).toBeGreaterThan(0.2);
    expect(losses.at(-1)).toBeLessThan(0.05);
    expect(optimizer.iterations).toBe(160);

    const { numTensors } = tf.memory();
    await model.fit(x, y, { ...fit, epochs: 2 });
    expect(tf.memory().numTensors).toBe(numTensors);
    optimizer.dispose();
    model.dispose();
    tf.dispose([x, y]);
  });

  it("minimises a function, over all variables or those it is given", () => {
    const a = tf.variable(tf.tensor1d([3, -2]), true, "a");
    const b = tf.variable(tf.scalar(2), true, "b");
    const optimizer = toTf(adam(), { learningRate: 0.1, execution });
    const loss = (): tf.Scalar =>
      tf.tidy(() => tf.add(tf.sum(tf.square(a)), tf.square(b))) as tf.Scalar;
    const { numTensors } = tf.memory();
    const first = optimizer.minimize(loss, true);
    for (let t = 0; t < 200; t++) {
      optimizer.minimize(loss);
    }
    const last = optimizer.minimize(loss, true);
    expect(first?.dataSync()[0]).toBe(17);
    // Adam at a constant rate of 0.1 settles within a tenth of it.
    expect(last?.dataSync()[0]).toBeLessThan(0.01);
    tf.dispose([first as tf.Scalar, last as tf.Scalar]);
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);

    const alone = toTf(sgd(), { learningRate: 0.25, execution });
    const before = b.dataSync()[0];
    tf.tidy(() => a.assign(tf.tensor1d([1, 2])));
    alone.minimize(loss, false, [a]);
    expect(Array.from(a.dataSync())).toEqual([0.5, 1]);
    expect(b.dataSync()[0]).toBe(before);
  });
});

describe("a model file", () => {
  it("holds the optimizer's weights, whose config says how to come back", async () => {
    await tf.setBackend("cpu");
    const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [2] })] });
    const optimizer = toTf(adashift({ n: 2 }), { learningRate: 0.1 });
    model.compile({ optimizer, loss: "meanSquaredError" });
    await model.fit(tf.ones([4, 2]), tf.zeros([4, 1]), { epochs: 3, verbose: 0 });
    const files: tf.io.ModelArtifacts[] = [];
    const saver = tf.io.withSaveHandler(async (artifacts) => {
      files.push(artifacts);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    });
    await model.save(saver, { includeOptimizer: true });
    const names = files[0]?.weightSpecs?.map(({ name }) => name.replace(/^.*(?=kernel|bias)/, ""));
    expect(names).toEqual([
      "kernel",
      "bias",
      "iter",
      ...["kernel", "bias"].flatMap((name) =>
        ["@count", "g/0", "g/1", "window0", "@numbers"].map((key) => `${name}/${key}`),
      ),
      "@numbers",
    ]);
    const config = files[0]?.trainingConfig?.optimizer_config;
    expect(config).toEqual({
      class_name: "Adastra",
      config: { optimizer: "adashift", learningRate: 0.1 },
    });
    expect(() => TfOptimizer.fromConfig(TfOptimizer as never, { optimizer: "adashift" })).toThrow(
      'fromConfig: an optimizer must be built from its program, got the config of {"optimizer":"adashift"}; compile the model with toTf(...) and load the state',
    );
  });
});
