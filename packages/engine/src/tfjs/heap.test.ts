import { adai, adam, adashift, chain, clipByGlobalNorm, cpropAdam, sgd } from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { compiledSteps, Run, wasmBackend } from "../../testing/tfjsRuns.ts";
import { toTf } from "./index.ts";

afterEach(() => {
  tf.disposeVariables();
});

describe("on the heap of backend wasm", () => {
  beforeAll(async () => {
    await tf.setBackend("wasm");
  });

  const big = [[], [5], [40, 25], [20_011]];
  it.each([
    ["sgd", sgd()],
    ["adam", adam()],
    ["adashift", adashift()],
    ["adashift without phi", adashift({ phi: "none", n: 3 })],
    ["adai", adai()],
    ["cprop", cpropAdam()],
    ["clip+adam", chain(clipByGlobalNorm(1), adam())],
  ])("%s writes in place, bit for bit as core, also when the heap grows", (_, optimizer) => {
    const run = new Run(optimizer, { learningRate: 0.05 }, big);
    const backend = wasmBackend();
    run.steps(1);
    const first = run.variables.map((variable) => backend.typedArrayFromHeap(variable).byteOffset);
    const clone = tf.reshape(run.variables[2] as tf.Variable, [1000]);
    const before = clone.dataSync().slice();
    run.steps(9);
    const bytes = backend.wasm.HEAPU8.length;
    const ballast: tf.Tensor[] = [];
    while (backend.wasm.HEAPU8.length === bytes) {
      ballast.push(tf.zeros([4e6]));
    }
    run.steps(10);
    expect(run.optimizer.inPlace).toBe(true);
    expect(run.values()).toEqual(compiledSteps(optimizer, 0.05, 20, big));
    expect(clone.dataSync()).toEqual(before);
    const after = run.variables.map((variable) => backend.typedArrayFromHeap(variable).byteOffset);
    // The one that shared its data with the clone moved, once.
    expect(after.map((at, i) => at === first[i])).toEqual([true, true, false, true]);
    tf.dispose([clone, ballast]);
    run.optimizer.dispose();
  });

  it("gives back its block, and no number of data is lost", () => {
    const backend = wasmBackend();
    const rounds = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const run = new Run(adashift(), { learningRate: 0.1 }, [[1000, 100]]);
        run.steps(2);
        run.optimizer.dispose();
        tf.disposeVariables();
      }
    };
    rounds(2);
    const [bytes, ids] = [backend.wasm.HEAPU8.length, backend.numDataIds()];
    rounds(40);
    // A lost block would be 5 MB a round.
    expect([backend.wasm.HEAPU8.length, backend.numDataIds()]).toEqual([bytes, ids]);
  });

  it("is seen by convolutions and PReLU that ran with the weights before", () => {
    const image = tf.ones([1, 4, 4, 1]) as tf.Tensor4D;
    const kernel = tf.variable(tf.ones([3, 3, 1, 1]), true, "kernel");
    const alpha = tf.variable(tf.fill([4], 0.5), true, "alpha");
    const results = (): number[] => [
      ...tf.tidy(() => tf.conv2d(image, kernel as tf.Tensor4D, 1, "valid").dataSync()).slice(0, 1),
      ...tf.tidy(() => tf.prelu(tf.fill([4], -1), alpha).dataSync()).slice(0, 1),
    ];
    expect([results(), results()]).toEqual([
      [9, -0.5],
      [9, -0.5],
    ]);
    const optimizer = toTf(sgd(), { learningRate: 1 });
    for (const [conv, prelu] of [
      [18, -1.5],
      [27, -2.5],
    ]) {
      tf.tidy(() =>
        optimizer.applyGradients({ kernel: tf.fill([3, 3, 1, 1], -1), alpha: tf.fill([4], -1) }),
      );
      expect(results()).toEqual([conv, prelu]);
    }
    expect(optimizer.inPlace).toBe(true);
    image.dispose();
  });

  it("takes a variable as the gradient of another, and of itself", () => {
    const [a, b] = [
      tf.variable(tf.tensor1d([1, 2]), true, "a"),
      tf.variable(tf.tensor1d([4, 8]), true, "b"),
    ];
    const optimizer = toTf(sgd(), { learningRate: 0.5 });
    optimizer.applyGradients({ a: b, b: a });
    optimizer.applyGradients({ a });
    expect([a, b].map((variable) => Array.from(variable.dataSync()))).toEqual([
      [-0.5, -1],
      [3.5, 7],
    ]);
  });
});
