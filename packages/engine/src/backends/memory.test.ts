import { describe, expect, test } from "vitest";
import { compile } from "../compile.ts";
import { missingBinding } from "../errors.ts";
import { orOutOfMemory } from "./memory.ts";

describe("a graph whose arrays do not fit into memory", () => {
  test("is one sentence, and leaves parameters and gradients as they were", async () => {
    const params = { w: { shape: [1, 2 ** 27], data: new Float32Array(2 ** 27).fill(1) } };
    const example = { x: { shape: [2 ** 27, 1], data: new Float32Array(2 ** 27).fill(1) } };
    // The product has 2^54 numbers: more bytes than any process can address.
    const gradient = await compile((p, { x }) => x.matmul(p.w).square().mean(), {
      params,
      example,
      backend: "cpu",
    });
    const gradients = { w: { shape: params.w.shape, data: new Float32Array(2 ** 27).fill(7) } };
    await expect(gradient.run(example, params, gradients)).rejects.toThrow(
      /^run: the arrays of the graph must fit into memory, got ".*"; take a smaller batch or a smaller model$/s,
    );
    expect([params.w.data[0], gradients.w.data[0]]).toEqual([1, 7]);
    await gradient.dispose();
  }, 60_000);

  test("other failures stay what they are", async () => {
    const other = new Error("Input is missing");
    await expect(orOutOfMemory("run", Promise.reject(other))).rejects.toBe(other);
  });
});

test("a native binding that is missing is one sentence with what to install", () => {
  const cause = new Error(
    "Cannot find module '../bin/napi-v6/linux/riscv64/onnxruntime_binding.node'\nRequire stack:",
  );
  const error = missingBinding("cpu", cause);
  expect(error.message).toBe(
    `compile: backend "cpu" must find onnxruntime-node and its native binding, got "Cannot find module '../bin/napi-v6/linux/riscv64/onnxruntime_binding.node'"; npm install onnxruntime-node@1.30.0 (binaries for x64 and arm64 of Linux, macOS and Windows), or pass backend: "wasm"`,
  );
  expect(error.cause).toBe(cause);
});
