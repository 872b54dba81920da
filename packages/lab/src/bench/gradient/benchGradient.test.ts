import { describe, expect, test } from "vitest";
import { benchGradient, gradientPeers } from "./benchGradient.ts";
import { renderGradientTable } from "./gradientTable.ts";
import { createModel, modelNames } from "./models.ts";
import { judge, type ModelResult } from "./result.ts";

const environment = {
  cpu: "a cpu",
  cores: 2,
  os: "linux",
  node: "v20",
  flags: "",
  revision: "abc",
  clean: true,
  load: [0, 0, 0],
  date: "2026-01-02",
  packages: {},
};

describe("bench gradient", () => {
  test("compares the MLP with jax-js and TensorFlow.js leaf by leaf, then times all of them", async () => {
    const doing: string[] = [];
    const result = await benchGradient(
      {
        models: ["mlp"],
        threads: [1],
        peers: ["torch", "jax-js", "tfjs"],
        rounds: 3,
        python: undefined,
      },
      { clock: performance, environment, onProgress: (_, what) => doing.push(what) },
    );
    const [mlp] = result.models;
    expect(mlp?.rows.map(({ key }) => key)).toEqual(["adastra", "adastra-step", "jax-js", "tfjs"]);
    // A loss and six leaves for each of the two.
    expect(mlp?.checks).toHaveLength(14);
    expect(mlp?.checks.every(({ difference, tolerance }) => difference <= tolerance)).toBe(true);
    expect(mlp?.leftOut).toEqual([
      { name: "torch", reason: "ADASTRA_PYTHON is not set to a Python that has torch" },
    ]);
    expect(result.targets.map(({ status }) => status)).toEqual([
      "not measured",
      expect.stringMatching(/met|missed/),
      "not measured",
    ]);
    expect(doing).toContain("mlp, 1 thread(s): warming up jax-js, wasm, jitted");
    const table = renderGradientTable(result);
    expect(table).toContain("mlp, 1 thread: 784-256-256-10, ReLU, batch 64; 269,322 parameters");
    expect(table).toContain("left out: torch: ADASTRA_PYTHON is not set");
    expect(table).toContain("compared before timing: 14 losses and gradients");
  });

  test("stopped before it began, it has nothing and says so", async () => {
    const result = await benchGradient(
      { models: modelNames, threads: [1, 2], peers: gradientPeers, rounds: 3, python: undefined },
      { clock: performance, environment, signal: AbortSignal.abort() },
    );
    expect(result).toMatchObject({ models: [], targets: [], interrupted: true });
    expect(renderGradientTable(result)).toContain("no model was finished");
  });

  test("targets are ratios of medians, minima beside them", () => {
    const row = (key: "adastra" | "torch", minMs: number, medianMs: number) => ({
      key,
      name: key,
      rounds: 3,
      minMs,
      medianMs,
      spread: 1,
      repeats: 1,
    });
    const model: ModelResult = {
      name: "gru",
      description: "",
      parameters: 1,
      threads: 2,
      compile: { nodes: 1, traceMs: 1, lowerMs: 1, sessionMs: 1 },
      checks: [],
      rows: [row("adastra", 3, 6), row("torch", 4, 5)],
      leftOut: [],
      complete: true,
    };
    expect(judge([model])).toEqual([
      {
        target: "gru, 2 threads: gradient, against PyTorch",
        limit: 1,
        ratio: 1.2,
        minRatio: 0.75,
        status: "missed",
      },
      expect.objectContaining({
        target: "gru, 2 threads: gradient on replicas, against PyTorch",
        status: "not measured",
      }),
      {
        target: "gru, 2 threads: data, gradient and AdaShift's step, against the gradient",
        limit: 1.15,
        ratio: null,
        minRatio: null,
        status: "not measured",
      },
      expect.objectContaining({ status: "not measured" }),
    ]);
  });

  test.each(modelNames)("%s has labels for every place it predicts", (name) => {
    const { batch, params } = createModel(name);
    expect(batch["y"]?.data.length).toBe(batch["y"]?.shape.reduce((a, b) => a * b, 1));
    expect(Object.keys(params).length).toBeGreaterThan(3);
  });
});
