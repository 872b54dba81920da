import { describe, expect, test } from "vitest";
import { runGraph } from "../../testing/graphs.ts";
import { GraphBuilder } from "./builder.ts";
import { print } from "./ir.ts";

describe("encode", () => {
  test("outputs may be inputs, constants, or one tensor under two names", async () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", { shape: [3], dtype: "float32" });
    const known = builder.constant({ shape: [2], dtype: "float32" }, Float32Array.of(5, 6));
    const negative = builder.emit("Neg", [x]);
    const graph = builder.build(
      [x, known, negative, negative].map((tensor, index) => ({ name: `out${index}`, tensor })),
    );
    const results = await runGraph(graph, [Float32Array.of(1, 2, 3)]);
    expect(results.map((values) => [...values])).toEqual([
      [1, 2, 3],
      [5, 6],
      [-1, -2, -3],
      [-1, -2, -3],
    ]);
  });
});

describe("print", () => {
  test("shows one node a line, scalars in place", () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", { shape: [2, 3], dtype: "float32" });
    const scaled = builder.emit("Mul", [x, builder.scalar(0.5, "float32")]);
    const sum = builder.emit("ReduceSum", [scaled], { axes: [1], keepdims: 1 });
    expect(print(builder.build([{ name: "y", tensor: sum }]))).toBe(
      [
        "inputs x: t0 float32[2,3]",
        "t2 float32[2,3] = Mul(t0, 0.5)",
        "t3 float32[2,1] = ReduceSum(t2) {axes: [1], keepdims: 1}",
        "outputs y: t3 float32[2,1]",
      ].join("\n"),
    );
  });
});
