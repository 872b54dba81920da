import { describe, expect, test } from "vitest";
import type { Graph, Node, Tensor } from "./ir.ts";
import { verify } from "./verify.ts";

const tensor = (
  id: number,
  shape: readonly number[],
  dtype: Tensor["dtype"] = "float32",
): Tensor => ({
  id,
  shape,
  dtype,
});

const x = tensor(0, [2, 3]);
const one = tensor(1, []);
const sum = tensor(2, [2, 3]);
const addition: Node = { op: "Add", inputs: [x, one], attributes: {}, outputs: [sum] };
const good: Graph = {
  inputs: [{ name: "x", tensor: x }],
  constants: new Map([[one, Float32Array.of(1)]]),
  nodes: [addition],
  outputs: [{ name: "y", tensor: sum }],
};

const withNode = (node: Partial<Node>): Graph => ({
  ...good,
  nodes: [{ ...addition, ...node } as Node],
});

describe("verify", () => {
  test("passes a good graph through", () => {
    expect(verify(good, "test")).toBe(good);
  });

  const flags = tensor(8, [2, 3], "bool");
  const bad: readonly [string, Graph, string][] = [
    [
      "a use before the definition",
      { ...good, nodes: [{ ...addition, inputs: [x, sum] }] },
      "node 0 (Add) using t2 before its definition",
    ],
    [
      "a second definition",
      { ...good, nodes: [addition, addition] },
      "t2 defined again by node 1 (Add)",
    ],
    ["an undefined output", { ...good, nodes: [] }, "output y on t2, which nothing defines"],
    [
      "two ports of one name",
      { ...good, outputs: [{ name: "x", tensor: sum }] },
      "port names twice among x, x",
    ],
    [
      "a constant of the wrong length",
      { ...good, constants: new Map([[one, new Float32Array(2)]]) },
      "constant t1 float32 of 1 with 2 elements in a Float32Array",
    ],
    [
      "a constant of the wrong kind",
      { ...good, constants: new Map([[one, new Int32Array(1)]]) },
      "constant t1 float32 of 1 with 1 elements in a Int32Array",
    ],
    ["an unknown op", withNode({ op: "Sinh" as never }), "node 0 (Sinh) of an unknown op"],
    ["a missing input", withNode({ inputs: [x] }), "node 0 (Add) with 1 inputs"],
    [
      "an unknown attribute",
      withNode({ attributes: { axis: 0 } }),
      "node 0 (Add) with unknown attribute axis",
    ],
    [
      "a missing attribute",
      withNode({ op: "Cast", inputs: [x] }),
      "node 0 (Cast) with attribute to undefined",
    ],
    [
      "a wrong output shape",
      withNode({ outputs: [{ ...sum, shape: [2] }] }),
      "node 0 (Add) returning float32[2] instead of float32[2,3]",
    ],
    [
      "a wrong output dtype",
      withNode({ op: "Less" }),
      "node 0 (Less) returning float32[2,3] instead of bool[2,3]",
    ],
    [
      "mixed dtypes",
      {
        ...withNode({ inputs: [x, flags] }),
        inputs: [...good.inputs, { name: "f", tensor: flags }],
      },
      "node 0 (Add) refused: infer: inputs must share a dtype, got float32 and bool",
    ],
    [
      "shapes that do not broadcast",
      {
        ...withNode({ inputs: [x, tensor(9, [2])] }),
        inputs: [...good.inputs, { name: "z", tensor: tensor(9, [2]) }],
      },
      "node 0 (Add) using t9 before its definition",
    ],
  ];

  test.each(bad)("refuses %s", (_, graph, detail) => {
    expect(() => verify(graph, "test")).toThrow(
      `verify: graph after test must be valid, got ${detail}`,
    );
  });

  test("refuses operands that an op does not take", () => {
    const z = tensor(9, [2]);
    const inputs = [...good.inputs, { name: "z", tensor: z }];
    const refusal = (node: Partial<Node>) => () => verify({ ...withNode(node), inputs }, "test");
    expect(refusal({ inputs: [x, z] })).toThrow("broadcast: shapes must agree, got [2, 3] and [2]");
    expect(refusal({ op: "Reshape", inputs: [x], attributes: { shape: [4] } })).toThrow(
      "Reshape: `shape` must keep the size of [2, 3], got [4]",
    );
    expect(refusal({ op: "Transpose", inputs: [x], attributes: { perm: [0, 0] } })).toThrow(
      "Transpose: `perm` must permute 2 axes, got [0, 0]",
    );
    expect(refusal({ op: "Gemm", inputs: [x, x], attributes: { transA: 0, transB: 0 } })).toThrow(
      "Gemm: inner and leading axes must agree, got float32 [2, 3] and float32 [2, 3]",
    );
    expect(refusal({ op: "Where", inputs: [x, x, x] })).toThrow(
      "Where: condition must be bool, got float32",
    );
  });
});
