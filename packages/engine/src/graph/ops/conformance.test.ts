import { sizeOf } from "@adastra/core";
import { expect, test } from "vitest";
import { createNodeExecutable } from "../../backends/cpu.node.ts";
import { GraphBuilder } from "../builder.ts";
import type { Attributes, DType, Tensor } from "../ir.ts";
import { ELEMENT_TYPE, OPS, type OpName } from "./index.ts";

type Type = readonly [dtype: DType, ...shape: number[]];

const WINDOW = { kernel_shape: [3], strides: [1], dilations: [1], pads: [1, 1], group: 1 };
const REDUCTION = { axes: [0], keepdims: 1 };
const PLAIN = { transA: 0, transB: 0 };
const ALL: readonly DType[] = ["float32", "int32", "uint32", "bool"];

/** Inputs and attributes that each op takes, beside elementwise ones. */
const SAMPLES: Partial<Record<OpName, readonly [(dtype: DType) => Type[], Attributes]>> = {
  ReduceMax: [(d) => [[d, 4, 3]], REDUCTION],
  ReduceMin: [(d) => [[d, 4, 3]], REDUCTION],
  ReduceProd: [(d) => [[d, 4, 3]], REDUCTION],
  ReduceSum: [(d) => [[d, 4, 3]], REDUCTION],
  Mod: [
    (d) => [
      [d, 4],
      [d, 4],
    ],
    { fmod: 1 },
  ],
  Where: [
    (d) => [
      ["bool", 4],
      [d, 4],
      [d, 4],
    ],
    {},
  ],
  Cast: [(d) => [[d, 4]], { to: ELEMENT_TYPE.float32 }],
  Transpose: [(d) => [[d, 4, 3]], { perm: [1, 0] }],
  Reshape: [(d) => [[d, 4, 3]], { shape: [12] }],
  Expand: [(d) => [[d, 1, 3]], { shape: [4, 3] }],
  Slice: [(d) => [[d, 4]], { starts: [-1], ends: [-(2 ** 31)], axes: [0], steps: [-1] }],
  Pad: [(d) => [[d, 4]], { pads: [1, 2] }],
  Concat: [
    (d) => [
      [d, 4],
      [d, 3],
    ],
    { axis: 0 },
  ],
  Split: [(d) => [[d, 4]], { split: [1, 3], axis: 0 }],
  Gemm: [
    (d) => [
      [d, 4, 3],
      [d, 3, 2],
    ],
    PLAIN,
  ],
  FusedMatMul: [
    (d) => [
      [d, 2, 4, 3],
      [d, 2, 3, 2],
    ],
    PLAIN,
  ],
  Conv: [
    (d) => [
      [d, 2, 3, 8],
      [d, 4, 3, 3],
    ],
    WINDOW,
  ],
  ConvTranspose: [
    (d) => [
      [d, 2, 3, 8],
      [d, 3, 4, 3],
    ],
    { ...WINDOW, output_padding: [0] },
  ],
  Gather: [
    (d) => [
      [d, 4, 3],
      ["int32", 5],
    ],
    { axis: 0 },
  ],
  GatherND: [
    (d) => [
      [d, 4, 3],
      ["int64", 5, 1],
    ],
    {},
  ],
  ScatterND: [
    (d) => [
      [d, 4, 3],
      ["int64", 5, 1],
      [d, 5, 3],
    ],
    { reduction: "add" },
  ],
  TopK: [(d) => [[d, 4, 3]], { k: [3], axis: 1, largest: 0, sorted: 1 }],
  BitShift: [
    (d) => [
      [d, 4],
      [d, 4],
    ],
    { direction: "LEFT" },
  ],
};

/** Every op at every dtype of its inputs that its row accepts. */
const CASES = (Object.keys(OPS) as OpName[]).flatMap((op) =>
  ALL.flatMap((dtype) => {
    const elementwise = Array.from({ length: OPS[op].arity[0] }, (): Type => [dtype, 4]);
    const [types, attributes] = SAMPLES[op] ?? [() => elementwise, {}];
    const builder = new GraphBuilder();
    const inputs = types(dtype).map(([kind, ...shape]) => ({ dtype: kind, shape }));
    try {
      OPS[op].infer(inputs, attributes);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      return [];
    }
    return [{ op, dtype, builder, inputs, attributes }];
  }),
);

test.each(CASES)("ONNX Runtime runs $op over $dtype", async (sample) => {
  const { op, builder, inputs, attributes } = sample;
  // Inputs other than float32 and int32 come from a Cast, as they do in lowered programs.
  const data = inputs.map(({ shape }) => new Float32Array(sizeOf(shape)).fill(1));
  const operands = inputs.map(({ dtype, shape }, i): Tensor => {
    const float = builder.input(`in${i}`, { dtype: "float32", shape });
    return dtype === "float32" ? float : builder.emit("Cast", [float], { to: ELEMENT_TYPE[dtype] });
  });
  const outputs = builder.emitAll(op, operands, attributes);
  const ports = outputs.map((tensor, i) => ({
    name: `out${i}`,
    tensor: builder.emit("Cast", [tensor], { to: ELEMENT_TYPE.float32 }),
  }));
  const executable = await createNodeExecutable(builder.build(ports), 1);
  const results = outputs.map(({ shape }) => new Float32Array(sizeOf(shape)).fill(Number.NaN));
  await executable.run(data, results);
  await executable.dispose();
  for (const result of results) {
    expect(result).not.toContain(Number.NaN);
  }
});

test("every op has a case", () => {
  expect(new Set(CASES.map(({ op }) => op))).toEqual(new Set(Object.keys(OPS)));
});
