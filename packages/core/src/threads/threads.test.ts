import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adai } from "../optimizers/adai.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { cpropAdam } from "../optimizers/cprop.ts";
import { mulberry32 } from "../random.ts";
import { chain } from "../transforms/chain.ts";
import { clipByGlobalNorm } from "../transforms/clip.ts";
import { compress } from "../transforms/compress.ts";
import { nodeThread } from "./spawn.ts";
import { startThreads, type Threads } from "./threads.ts";

const started: Threads[] = [];
const threads = (count: number, least?: number): Threads => {
  const made = startThreads({
    count,
    start: () => nodeThread(Worker),
    ...(least !== undefined && { least }),
  });
  started.push(made);
  return made;
};

afterEach(() => {
  for (const each of started.splice(0)) {
    each.end();
  }
});

const params = () => {
  const random = mulberry32(1);
  return Object.fromEntries(
    [1000, 37, 5000, 1].map((size, i) => [
      `w${i}`,
      { shape: [size], data: Float32Array.from({ length: size }, () => random.normal()) },
    ]),
  );
};

const trained = (optimizer: Optimizer, backend: "wasm" | Threads, dtype: "float32" | "float64") => {
  const random = mulberry32(2);
  const options = { params: params(), learningRate: 0.01, backend, dtype };
  const compiled = compileOptimizer(optimizer, options);
  for (let t = 0; t < 15; t++) {
    const gradients = Object.entries(params()).map(([path, { data }]) => [
      path,
      data.map(() => random.normal()),
    ]);
    compiled.step(Object.fromEntries(gradients));
  }
  return compiled.save();
};

describe("threads", () => {
  it.each([
    ["adam", adam()],
    ["adashift max", adashift({ n: 3 })],
    ["adai", adai()],
    ["cpropAdam", cpropAdam()],
    ["clip+adam", chain(clipByGlobalNorm(1), adam())],
  ])("give the bits of one: %s, in both dtypes, for two threads and three", (_, optimizer) => {
    for (const dtype of ["float32", "float64"] as const) {
      const one = trained(optimizer, "wasm", dtype);
      // From 16 elements on, so that these small leaves are shared.
      expect(trained(optimizer, threads(2, 16), dtype)).toEqual(one);
      expect(trained(optimizer, threads(3, 16), dtype)).toEqual(one);
    }
  });

  it.each([
    ["bfloat16", compress(adam(), { mu: "bf16", nu: "bf16-stochastic" })],
    ["8 bits", compress(adam(), { mu: "int8", nu: "int8-stochastic" })],
  ])("give the bits of one with state in %s", (_, optimizer) => {
    const one = trained(optimizer, "wasm", "float32");
    expect(trained(optimizer, threads(2, 16), "float32")).toEqual(one);
    expect(trained(optimizer, threads(3, 16), "float32")).toEqual(one);
  });

  it("leave a NaN in its element, and in the maximum of its leaf", () => {
    const backend = threads(2, 16);
    const optimizer = compileOptimizer(adashift({ n: 1 }), {
      params: { x: { shape: [64], data: new Float32Array(64) } },
      learningRate: 0.1,
      backend,
      nonFinite: "throw",
    });
    const g = new Float32Array(64).fill(1);
    optimizer.step({ x: g });
    g[5] = Number.NaN;
    expect(() => optimizer.step({ x: g })).toThrow('gradient of leaf "x" must be finite at step 2');
  });

  it("that were ended leave the steps to the caller", () => {
    const backend = threads(2, 16);
    const optimizer = compileOptimizer(adam(), { params: params(), learningRate: 0.1, backend });
    const g = { w0: new Float32Array(1000).fill(1) };
    optimizer.step(g);
    backend.end();
    optimizer.step(g);
    expect(optimizer.count).toBe(2);
  });

  it("are refused in one sentence where they make no sense", () => {
    expect(() => threads(0)).toThrow(
      "startThreads: `count` must be an integer of at least 1, got 0",
    );
    const backend = threads(2);
    compileOptimizer(adam(), { params: params(), learningRate: 1, backend });
    expect(() => compileOptimizer(adam(), { params: params(), learningRate: 1, backend })).toThrow(
      'startThreads: threads must serve one optimizer, got "a second one"; start others for it',
    );
  });
});
