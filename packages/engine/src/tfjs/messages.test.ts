import { adam, adamw, type Optimizer, type OptimizerState } from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Execution, type NamedTensor, type TfOptimizer, toTf } from "./index.ts";

afterEach(() => {
  tf.disposeVariables();
});

describe("messages", () => {
  beforeAll(async () => {
    await tf.setBackend("cpu");
  });
  const g = (...values: number[]): tf.Tensor => tf.tensor1d(values);
  const bound = (): TfOptimizer => {
    tf.variable(g(1, 2), true, "w");
    const optimizer = toTf(adam(), { learningRate: 0.1 });
    optimizer.applyGradients({ w: g(1, 1) });
    return optimizer;
  };

  it("of toTf", () => {
    expect(() => toTf(adam as unknown as Optimizer, { learningRate: 1 })).toThrow(
      "toTf: `optimizer` must be an optimizer, got function; call its constructor, as in adam()",
    );
    expect(() => toTf(adam(), { learningRate: -1 })).toThrow(
      "toTf: the learning rate of step 1 must be finite and at least 0, got -1",
    );
    expect(() => toTf(adam(), { learningRate: 1, execution: "gpu" as Execution })).toThrow(
      'toTf: `execution` must be one of "auto", "kernels", "operations", got "gpu"',
    );
    expect(() => toTf(adam(), { learningRate: 1, nonFinite: "ignore" as "skip" })).toThrow(
      'toTf: `nonFinite` must be one of "propagate", "skip", "throw", got "ignore"',
    );
  });

  it("of setLearningRate", () => {
    const optimizer = bound();
    expect(() => optimizer.setLearningRate(Number.NaN)).toThrow(
      "setLearningRate: the learning rate of step 2 must be finite and at least 0, got NaN",
    );
    expect(() => optimizer.setLearningRate("fast" as unknown as number)).toThrow(
      "setLearningRate: `learningRate` must be a number or a schedule, got fast",
    );
    expect(optimizer.learningRate).toBe(0.1);
  });

  it("of applyGradients, none of which changes anything", async () => {
    const optimizer = bound();
    const before = JSON.stringify(await optimizer.save());
    tf.variable(g(1), true, "other");
    const disposed = g(1, 1);
    disposed.dispose();
    const refused = (gradients: tf.NamedTensorMap | NamedTensor[], message: string): void => {
      expect(() => optimizer.applyGradients(gradients)).toThrow(message);
    };
    refused(
      { w: g(1, 1), other: g(1) },
      'applyGradients: gradients must belong to the variables of the first step, got "other"; variables are w; make a new optimizer for others',
    );
    refused(
      { w: g(1, 2, 3) },
      'applyGradients: leaf "w" has shape [2], got [3]; pass an array of the leaf\'s shape',
    );
    refused(
      { w: tf.tensor1d([1, 2], "int32") },
      'applyGradients: the gradient of "w" must be float32, got int32; cast it',
    );
    refused(
      { w: disposed },
      'applyGradients: the gradient of "w" must not be disposed of, got a disposed tensor',
    );
    refused(
      [
        { name: "w", tensor: g(1, 1) },
        { name: "w", tensor: g(1, 1) },
      ],
      'applyGradients: gradients must be one a variable, got "w" twice',
    );
    await tf.setBackend("wasm");
    refused(
      { w: g(1, 1) },
      'applyGradients: backend must be "cpu", where the state lives, got "wasm"; save there and load into a new optimizer',
    );
    await tf.setBackend("cpu");
    expect(JSON.stringify(await optimizer.save())).toBe(before);
    expect(optimizer.iterations).toBe(1);
  });

  it("of every method, when variables went away", async () => {
    const optimizer = bound();
    const state = await optimizer.save();
    const [variable] = Object.values(tf.engine().registeredVariables);
    variable?.dispose();
    expect(() => optimizer.applyGradients({ w: g(1, 1) })).toThrow(
      'applyGradients: variable "w" must be the one of the first step, got a disposed one; make a new optimizer and load the state',
    );
    await expect(optimizer.save()).rejects.toThrow(
      'save: variable "w" must be the one of the first step, got a disposed one; make a new optimizer and load the state',
    );
    tf.variable(g(1, 2, 3), true, "w");
    expect(() => optimizer.load(state)).toThrow(
      'load: variable "w" must be the one of the first step, got another of that name; make a new optimizer and load the state',
    );
    expect(() => optimizer.applyGradients({ w: g(1, 1, 1) })).toThrow(
      'applyGradients: variable "w" must be the one of the first step, got another of that name; make a new optimizer and load the state',
    );
  });

  it("of applyGradients, before there is a variable", () => {
    const optimizer = toTf(adam(), { learningRate: 0.1 });
    expect(() => optimizer.applyGradients({ nobody: g(1) })).toThrow(
      'applyGradients: gradients must belong to variables that exist, got "nobody"; build the model first, and do not dispose of it',
    );
    expect(() => optimizer.applyGradients({})).toThrow(
      "applyGradients: the first step must name at least one variable, got none; pass trainable variables",
    );
    tf.variable(tf.tensor1d([1], "int32"), true, "whole");
    expect(() => optimizer.applyGradients({ whole: g(1) })).toThrow(
      'applyGradients: variable "whole" must be float32, got int32; make it not trainable',
    );
  });

  it("of save and load, which change nothing", async () => {
    const optimizer = bound();
    const state = await optimizer.save();
    const other = toTf(adamw(), { learningRate: 0.1 });
    await expect(other.save()).rejects.toThrow(
      "save: the optimizer must have taken a step, got none; nothing is kept yet",
    );
    for (const execution of ["kernels", "operations"] as const) {
      const wrong = toTf(adamw(), { learningRate: 0.1, execution });
      expect(() => wrong.load(state)).toThrow(
        'load: state.optimizer must be "adamw", got "adam"; pass the state of the optimizer it was saved with',
      );
      expect(wrong.execution).toBeUndefined();
    }
    const renamed = { ...state, leaves: { v: state.leaves.w } } as OptimizerState;
    expect(() => toTf(adam(), { learningRate: 0.1 }).load(renamed)).toThrow(
      'load: state must belong to variables that exist, got "v"; build the model first, and do not dispose of it',
    );
    expect(() => optimizer.load(state, [])).toThrow(
      "load: variables must be one a leaf of the state, 1, got 0",
    );
    expect(() => optimizer.load({} as OptimizerState)).toThrow(
      "load: state must hold the leaves that save gave, got none",
    );
    const [variable] = Object.values(tf.engine().registeredVariables) as [tf.Variable];
    optimizer.load(renamed, [variable]);
    expect(await optimizer.save()).toEqual(state);
  });

  it("of setWeights", async () => {
    const optimizer = bound();
    const weights = await optimizer.getWeights();
    expect(weights.map(({ name }) => name)).toEqual([
      "iter",
      "w/@count",
      "w/mu",
      "w/nu",
      "@numbers",
    ]);
    await expect(optimizer.setWeights(weights.slice(1))).rejects.toThrow(
      'setWeights: the first weight must be "iter", got "w/@count"; pass what getWeights gave',
    );
    await expect(optimizer.setWeights(weights.slice(0, 3))).rejects.toThrow(
      'setWeights: weights must hold "w/nu", 2 float32 numbers, got none; pass what getWeights gave, under the same variables',
    );
    const [iterations] = weights as [NamedTensor];
    await expect(optimizer.setWeights([iterations, { name: "w/m", tensor: g(1) }])).rejects.toThrow(
      'setWeights: weights must hold step numbers of variables, got "w/m"; pass what getWeights of such an optimizer gave',
    );
    expect(optimizer.iterations).toBe(1);
    const unbound = toTf(adam(), { learningRate: 0.1 });
    await unbound.setWeights([iterations]);
    expect(unbound.iterations).toBe(1);
  });

  it("of a disposed optimizer", () => {
    const optimizer = bound();
    optimizer.dispose();
    expect(() => optimizer.applyGradients({ w: g(1, 1) })).toThrow(
      "applyGradients: the optimizer must not be disposed of, got a disposed one; make a new one and load its state",
    );
  });
});
