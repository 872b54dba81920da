import { expect, it } from "vitest";
import { bench } from "./conformance.ts";
import { emitJs, jsBackend } from "./js.ts";
import type { Instruction, Kernel } from "./kernel.ts";
import { identifiers } from "./names.ts";
import { emitWat } from "./wasm/backend.ts";

/** Adam with the sum and the largest of g²: every part of a kernel in one that is known by heart. */
const adam: Kernel = {
  name: "adam",
  streams: ["p", "g", "mu", "nu"],
  scalars: ["b1c", "b2c", "lr"],
  body: [
    { op: "load", stream: 0 },
    { op: "load", stream: 1 },
    { op: "load", stream: 2 },
    { op: "load", stream: 3 },
    { op: "scalar", index: 0 },
    { op: "scalar", index: 1 },
    { op: "scalar", index: 2 },
    { op: "const", value: 1e-8 },
    // mu + (g − mu)·b1c
    { op: "sub", a: 1, b: 2 },
    { op: "mul", a: 8, b: 4 },
    { op: "add", a: 2, b: 9 },
    // nu + (g² − nu)·b2c
    { op: "mul", a: 1, b: 1 },
    { op: "sub", a: 11, b: 3 },
    { op: "mul", a: 12, b: 5 },
    { op: "add", a: 3, b: 13 },
    // p − lr·mu / (√nu + 1e-8)
    { op: "sqrt", a: 14 },
    { op: "add", a: 15, b: 7 },
    { op: "mul", a: 6, b: 10 },
    { op: "div", a: 17, b: 16 },
    { op: "sub", a: 0, b: 18 },
  ],
  stores: [
    { stream: 0, value: 19 },
    { stream: 2, value: 10 },
    { stream: 3, value: 14 },
  ],
  reductions: [
    { kind: "sum", value: 11 },
    { kind: "max", value: 11 },
  ],
};

it.each(["float32", "float64"] as const)(
  "the code of Adam in %s reads as it did",
  async (dtype) => {
    await expect(emitJs(adam, dtype)).toMatchFileSnapshot(`snapshots/adam.${dtype}.js.txt`);
    await expect(emitWat(adam, dtype)).toMatchFileSnapshot(`snapshots/adam.${dtype}.wat`);
  },
);

it("names of arrays and scalars never become code", () => {
  const load: Instruction = { op: "load", stream: 0 };
  const kernel: Kernel = {
    name: "*/ throw 1; /*",
    streams: ["class", "layer 1/kernel", "x0", "1st", "data", "class"],
    scalars: ["]; throw 2; //", "Math"],
    body: [load, { op: "scalar", index: 1 }, { op: "mul", a: 0, b: 1 }],
    stores: [{ stream: 5, value: 2 }],
    reductions: [],
  };
  const streams = kernel.streams.map(() => [3]);
  const outcome = bench(jsBackend, kernel, "float64", 1)({ count: 1, streams, scalars: [1, 2] });
  expect(outcome.streams[5]).toEqual([6]);
});

it("identifiers are distinct, also from those taken", () => {
  const name = identifiers(["let", "mu_2"]);
  expect(["let", "mu", "mu", "mu/1", "mu_1", "7", "", "β"].map(name)).toEqual([
    "let_2",
    "mu",
    "mu_3",
    "mu_1",
    "mu_1_2",
    "_7",
    "_",
    "__2",
  ]);
});
