import { sizeOf } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runGraph } from "../../../testing/graphs.ts";
import { GraphBuilder } from "../builder.ts";
import type { Attributes, Graph, Tensor } from "../ir.ts";
import { ELEMENT_TYPE, type OpName } from "../ops/index.ts";
import { optimize } from "./optimize.ts";

const types = [[3, 4], [4], [3, 1], [4, 3], [4, 4]] as const;

/** Every op the passes look at, with attributes for a matrix. */
const choices: readonly { op: OpName; arity: number; attributes?: Attributes }[] = [
  { op: "Add", arity: 2 },
  { op: "Add", arity: 2 },
  { op: "Mul", arity: 2 },
  { op: "Sub", arity: 2 },
  { op: "Neg", arity: 1 },
  { op: "Neg", arity: 1 },
  { op: "Reciprocal", arity: 1 },
  { op: "Max", arity: 2 },
  { op: "LessOrEqual", arity: 2 },
  { op: "Where", arity: 3 },
  { op: "Transpose", arity: 1, attributes: { perm: [1, 0] } },
  { op: "Reshape", arity: 1, attributes: { shape: [2, 6] } },
  { op: "Reshape", arity: 1, attributes: { shape: [3, 4] } },
  { op: "Slice", arity: 1, attributes: { starts: [1], ends: [3], axes: [0], steps: [1] } },
  { op: "Slice", arity: 1, attributes: { starts: [0], ends: [9], axes: [1], steps: [2] } },
  {
    op: "Slice",
    arity: 1,
    attributes: { starts: [0, 1], ends: [2, 9], axes: [0, 1], steps: [1, 1] },
  },
  {
    op: "Slice",
    arity: 1,
    attributes: { starts: [-1], ends: [-(2 ** 31)], axes: [0], steps: [-1] },
  },
  { op: "ReduceSum", arity: 1, attributes: { axes: [0], keepdims: 1 } },
  { op: "Gemm", arity: 2, attributes: { transA: 0, transB: 0 } },
  { op: "Gemm", arity: 2, attributes: { transA: 0, transB: 1 } },
  { op: "Gemm", arity: 2, attributes: { transA: 1, transB: 0 } },
];

const recipe = fc.array(
  fc.record({
    choice: fc.constantFrom(...choices),
    operands: fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30)),
  }),
  { minLength: 4, maxLength: 24 },
);

/** A graph of whatever steps of the recipe type-check, every float32 result an output. */
function build(steps: typeof recipe extends fc.Arbitrary<infer T> ? T : never): Graph {
  const builder = new GraphBuilder();
  const inputs = types.map((shape, index) =>
    builder.input(`in${index}`, { shape, dtype: "float32" }),
  );
  const pool: Tensor[] = [...inputs, builder.scalar(0, "float32"), builder.scalar(2, "float32")];
  const count = pool.length;
  for (const { choice, operands } of steps) {
    // Reciprocals of inputs only: powers of two, whose reciprocals are exact.
    const from = choice.op === "Reciprocal" ? pool.slice(0, types.length) : pool;
    const taken = operands.slice(0, choice.arity).map((operand) => from[operand % from.length]!);
    try {
      pool.push(builder.emit(choice.op, taken, choice.attributes));
    } catch (error) {
      if (!(error instanceof RangeError)) {
        throw error;
      }
    }
  }
  const outputs = pool
    .slice(count)
    .filter(({ dtype }) => dtype === "float32")
    .map((tensor, index) => ({ name: `out${index}`, tensor }));
  return builder.build(outputs);
}

/** 1, -1, 2, -2 and 1/2. */
const inputs = types.map((shape, index) =>
  Float32Array.from({ length: sizeOf(shape) }, (_, i) => [1, -1, 2, -2, 0.5][(i * 7 + index) % 5]!),
);

/** Sums and products of such numbers are exact in float32, in any order. */
const isExact = (value: number): boolean =>
  Math.abs(value) < 2 ** 11 && Number.isInteger(value * 2 ** 11);

describe("optimize", () => {
  test("keeps every result of random graphs", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(recipe, fc.nat(3), async (steps, keep) => {
        const every = build(steps);
        fc.pre(every.outputs.length > 0);
        const all = await runGraph(every, inputs);
        fc.pre(all.every((values) => values.every(isExact)));
        // Fewer outputs leave more to fuse: the last one, or the last few.
        const graph = { ...every, outputs: every.outputs.slice(-(keep + 1)) };
        const results = await runGraph(optimize(graph), inputs);
        results.forEach((values, index) => {
          // Adding 0 makes -0 and 0 equal: a - b and a + (-b) may differ in the sign of zero only there.
          const expected = all[all.length - results.length + index]!;
          expect([...values].map((v) => v + 0)).toEqual([...expected].map((v) => v + 0));
        });
        compared++;
      }),
      { numRuns: 120, maxSkipsPerRun: 20 },
    );
    expect(compared).toBe(120);
  });

  test("a slice of a slice is one", () => {
    const builder = new GraphBuilder();
    const x = builder.input("x", { shape: [9, 9], dtype: "float32" });
    const cut = (tensor: Tensor, start: number, end: number, axis: number, step: number): Tensor =>
      builder.emit("Slice", [tensor], {
        starts: [start],
        ends: [end],
        axes: [axis],
        steps: [step],
      });
    const out = cut(cut(cut(x, 2, 8, 0, 1), 1, 9, 0, 2), 3, 5, 1, 1);
    const { nodes } = optimize(builder.build([{ name: "out", tensor: out }]));
    // Rows 3, 5, 7; the third slice meets one with steps and stays.
    expect(nodes.map(({ attributes }) => attributes)).toEqual([
      { starts: [3], ends: [8], axes: [0], steps: [2] },
      { starts: [3], ends: [5], axes: [1], steps: [1] },
    ]);
  });

  const rewritten = (make: (builder: GraphBuilder, x: Tensor, y: Tensor) => Tensor): string[] => {
    const builder = new GraphBuilder();
    const x = builder.input("x", { shape: [3, 3], dtype: "float32" });
    const y = builder.input("y", { shape: [3, 3], dtype: "float32" });
    const out = make(builder, x, y);
    return optimize(builder.build([{ name: "out", tensor: out }])).nodes.map(
      ({ op, inputs, attributes }) =>
        `${op}(${inputs.map(({ id }) => (id === x.id ? "x" : id === y.id ? "y" : ".")).join()})${
          "transA" in attributes
            ? `${String(attributes["transA"])}${String(attributes["transB"])}`
            : ""
        }`,
    );
  };
  const straight = { transA: 0, transB: 0 };

  test("a + (-b) becomes a - b on either side", () => {
    expect(rewritten((b, x, y) => b.emit("Add", [x, b.emit("Neg", [y])]))).toEqual(["Sub(x,y)"]);
    expect(rewritten((b, x, y) => b.emit("Add", [b.emit("Neg", [y]), x]))).toEqual(["Sub(x,y)"]);
  });

  test("a (1/b) becomes a/b on either side", () => {
    expect(rewritten((b, x, y) => b.emit("Mul", [x, b.emit("Reciprocal", [y])]))).toEqual([
      "Div(x,y)",
    ]);
    expect(rewritten((b, x, y) => b.emit("Mul", [b.emit("Reciprocal", [y]), x]))).toEqual([
      "Div(x,y)",
    ]);
  });

  test("a product takes its bias in, unless others use the product", () => {
    const affine = (b: GraphBuilder, x: Tensor, y: Tensor): [Tensor, Tensor] => {
      const product = b.emit("Gemm", [x, y], straight);
      return [product, b.emit("Add", [product, y])];
    };
    expect(rewritten((b, x, y) => affine(b, x, y)[1])).toEqual(["Gemm(x,y,y)00"]);
    expect(rewritten((b, x, y) => b.emit("Mul", affine(b, x, y)))).toEqual([
      "Gemm(x,y)00",
      "Add(.,y)",
      "Mul(.,.)",
    ]);
  });

  test("transposes of a product and of its operands move into its flags", () => {
    const t = (b: GraphBuilder, x: Tensor) => b.emit("Transpose", [x], { perm: [1, 0] });
    expect(rewritten((b, x, y) => t(b, b.emit("Gemm", [x, y], straight)))).toEqual(["Gemm(y,x)11"]);
    expect(rewritten((b, x, y) => b.emit("Gemm", [t(b, x), y], straight))).toEqual(["Gemm(x,y)10"]);
    expect(rewritten((b, x, y) => b.emit("Gemm", [x, t(b, t(b, y))], straight))).toEqual([
      "Gemm(x,y)00",
    ]);
  });

  test("both spellings of a rectifier become Relu", () => {
    const zero = (b: GraphBuilder) => b.scalar(0, "float32");
    expect(rewritten((b, x) => b.emit("Max", [x, zero(b)]))).toEqual(["Relu(x)"]);
    expect(
      rewritten((b, x) => b.emit("Where", [b.emit("LessOrEqual", [x, zero(b)]), zero(b), x])),
    ).toEqual(["Relu(x)"]);
  });

  test("equal nodes are computed once, unused ones never", () => {
    expect(
      rewritten((b, x, y) => {
        b.emit("Exp", [y]);
        return b.emit("Mul", [b.emit("Sin", [x]), b.emit("Sin", [x])]);
      }),
    ).toEqual(["Sin(x)", "Mul(.,.)"]);
  });

  test("casts to different types stay apart", () => {
    expect(
      rewritten((b, x) => {
        const floor = b.emit("Cast", [b.emit("Cast", [x], { to: ELEMENT_TYPE.int32 })], {
          to: ELEMENT_TYPE.float32,
        });
        const truth = b.emit("Cast", [b.emit("Cast", [x], { to: ELEMENT_TYPE.bool })], {
          to: ELEMENT_TYPE.float32,
        });
        return b.emit("Add", [floor, truth]);
      }),
    ).toHaveLength(5);
  });

  test("arithmetic of known scalars is done while compiling", () => {
    expect(
      rewritten((b, x) => {
        const half = b.emit("Reciprocal", [b.scalar(2, "float32")]);
        return b.emit("Mul", [x, b.emit("Neg", [half])]);
      }),
    ).toEqual(["Mul(x,.)"]);
  });
});
