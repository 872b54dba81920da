import { describe, expect, it } from "vitest";
import { toProgram } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { edgeValues, kernelOf } from "./conformance.ts";
import type { Kernel } from "./kernel.ts";
import { plan } from "./plan.ts";
import { emitWgsl, frameConstants, frameWords } from "./wgsl.ts";

it.each([
  ["adam", adam()],
  ["adashift", adashift()],
] as const)("the shader of %s reads as it did", async (name, optimizer) => {
  const kernel = plan(toProgram(optimizer), "float32").step.passes[0]?.steady.kernel as Kernel;
  await expect(emitWgsl(kernel)).toMatchFileSnapshot(`snapshots/${name}.wgsl`);
});

it("sums and maxima of one kernel read as they did", async () => {
  const kernel: Kernel = {
    name: "reduce",
    streams: ["x"],
    scalars: [],
    body: [
      { op: "load", stream: 0 },
      { op: "mul", a: 0, b: 0 },
    ],
    stores: [],
    reductions: [
      { kind: "sum", value: 1 },
      { kind: "max", value: 1 },
    ],
  };
  await expect(emitWgsl(kernel, { workgroupSize: 64 })).toMatchFileSnapshot(
    "snapshots/reduce.wgsl",
  );
});

it("a kernel that draws, and one half of a word at a time, read as they did", async () => {
  const kernel: Kernel = {
    name: "halves",
    streams: ["p", "mu"],
    bf16: [1],
    scalars: [],
    body: [
      { op: "load", stream: 0 },
      { op: "load", stream: 1 },
      { op: "random", salt: 0xffffffff },
      { op: "add", a: 0, b: 1 },
      { op: "bf16Stochastic", a: 3, b: 2 },
      { op: "bf16", a: 3 },
    ],
    stores: [
      { stream: 0, value: 5 },
      { stream: 1, value: 4 },
    ],
    reductions: [],
  };
  await expect(emitWgsl(kernel)).toMatchFileSnapshot("snapshots/halves.wgsl");
});

it("no number of a kernel is part of its code: constants lie in the frame", () => {
  const constants = [...edgeValues("float32"), -0, 1e300];
  const kernel: Kernel = {
    ...kernelOf("neg"),
    body: [
      { op: "load", stream: 0 },
      ...constants.map((value) => ({ op: "const", value }) as const),
    ],
  };
  const code = emitWgsl(kernel).replaceAll(/\/\/.*/g, "");
  expect(code).not.toMatch(/inf|nan|\d\.\d|\de/i);
  expect(frameConstants(kernel)).toEqual(constants);
  expect(frameWords(kernel)).toBe(3 + 3 + constants.length);
});

it("holds what a kernel calls and nothing else", () => {
  const functions = (kernel: Kernel): string[] =>
    [...emitWgsl(kernel).matchAll(/fn (\w+)/g)].map((match) => match[1] as string);
  expect(functions({ ...kernelOf("floor"), stores: [] })).toEqual([
    "key",
    "is_nan",
    "lt",
    "eq",
    "main",
  ]);
  const root: Kernel = {
    name: "root",
    streams: ["x"],
    scalars: [],
    body: [
      { op: "load", stream: 0 },
      { op: "sqrt", a: 0 },
    ],
    stores: [{ stream: 0, value: 1 }],
    reductions: [],
  };
  expect(functions(root)).toEqual(["seal", "root", "main"]);
});

describe("names of arrays and scalars", () => {
  const kernel: Kernel = {
    name: "*/ } fn evil() {",
    streams: ["pass", "layer 1/kernel", "__x", "1st", "_", "β", "pass", "x, } //", "key"],
    scalars: ["; discard", "target", "count"],
    body: [{ op: "load", stream: 0 }],
    stores: [],
    reductions: [],
  };

  it("never become code, nor words of WGSL", () => {
    const members = [...emitWgsl(kernel).matchAll(/^ {2}(\S+): [uf]32,$/gm)].map(
      (match) => match[1],
    );
    expect(members).toEqual([
      "zero",
      "count",
      "first_partial",
      "at_pass",
      "at_layer_1_kernel",
      "at___x",
      "at_1st",
      "at__",
      "at___2",
      "at_pass_2",
      "at_x______",
      "at_key",
      "s___discard",
      "s_target",
      "s_count",
    ]);
    expect(emitWgsl(kernel)).not.toContain("evil");
  });

  it("do not pull in functions that they happen to name", () => {
    expect(emitWgsl(kernel)).not.toContain("fn key");
  });
});

it("refuses streams of bytes", () => {
  expect(() => emitWgsl({ ...kernelOf("neg"), u8: [0] })).toThrow(
    new RangeError(
      'emitWgsl: a kernel must have no streams of bytes, got "neg"; run it on wasm or js',
    ),
  );
});

it.each([0, 3, 2048, 1.5, NaN])("refuses a workgroup of %d", (workgroupSize) => {
  expect(() => emitWgsl(kernelOf("neg"), { workgroupSize })).toThrow(
    new RangeError(
      `emitWgsl: \`workgroupSize\` must be a power of two from 1 to 1024, got ${workgroupSize}`,
    ),
  );
});
