import { mulberry32, sizeOf } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, type Float32Leaves, gradientsOn } from "../../../testing/arrays.ts";
import { expectDifferences } from "../../../testing/differences.ts";
import {
  type AttributeValue,
  type FileSpec,
  int64,
  type NodeSpec,
  type Numbers,
  onnxFile,
  runtimeOutputs,
  spread,
} from "../../../testing/onnxFiles.ts";
import { type BatchArrays, compileForward, type Traced, type Value } from "../../index.ts";
import { constant } from "../../trace/value.ts";
import { fromOnnx, ONNX_OPS } from "../index.ts";

type Attributes = Readonly<Record<string, AttributeValue>>;

interface Case {
  readonly name: string;
  readonly file: FileSpec;
  /** Integer inputs; float32 ones are drawn. */
  readonly integers?: BatchArrays;
  /** False for ops whose results are steps or integers. */
  readonly smooth?: boolean;
  /** False where ONNX Runtime has no kernel for the op. */
  readonly positive?: boolean;
}

/** One node on `x`, with its other inputs as initializers. */
function one(
  op: string,
  shape: readonly number[],
  {
    opset = 17,
    attributes = {},
    weights = [],
    outputs = 1,
    inputs,
    ...rest
  }: {
    opset?: number;
    attributes?: Attributes;
    weights?: readonly (Numbers | "")[];
    outputs?: number;
    inputs?: FileSpec["inputs"];
    smooth?: boolean;
    positive?: boolean;
    label?: string;
  } = {},
): Case {
  const names = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const given = weights.map((weight, i) => (weight === "" ? "" : `w${i}`));
  const initializers = Object.fromEntries(
    weights.flatMap((weight, i) => (weight === "" ? [] : [[`w${i}`, weight]])),
  );
  const { label = JSON.stringify(attributes), ...flags } = rest;
  const all = inputs ?? { x: { shape } };
  const node: NodeSpec = {
    op,
    inputs: [...Object.keys(all), ...given],
    outputs: names,
    attributes,
  };
  return {
    name: `${op} of opset ${opset} ${label} [${shape.join()}]`,
    file: { opset, nodes: [node], inputs: all, outputs: names, initializers },
    ...flags,
  };
}

const floats = (...shape: number[]): Numbers => ({ shape, data: spread(shape) });
const positive = (...shape: number[]): Numbers => ({
  shape,
  data: spread(shape).map((x) => 1.5 + x),
});
const scalar = (value: number): Numbers => ({ shape: [], data: [value] });
const picture = [2, 4, 7, 6];

const UNARY: readonly Case[] =
  "Abs Cos Erf Exp HardSigmoid HardSwish Identity Mish Neg Relu Sigmoid Sin Softplus Softsign Tanh Elu Selu Celu LeakyRelu ThresholdedRelu"
    .split(" ")
    .map((op) => one(op, [3, 5], { opset: 18 }));

const CASES: readonly Case[] = [
  ...UNARY,
  ...["Log", "Sqrt", "Reciprocal"].map((op) => one(op, [3, 5], { positive: true })),
  ...["Ceil", "Floor", "Sign"].map((op) => one(op, [3, 5], { smooth: false })),
  one("Elu", [3, 5], { attributes: { alpha: 0.3 } }),
  one("Celu", [3, 5], { attributes: { alpha: 0.3 } }),
  one("Selu", [3, 5], { attributes: { alpha: 1.5, gamma: 0.7 } }),
  one("LeakyRelu", [3, 5], { attributes: { alpha: 0.3 } }),
  one("HardSigmoid", [3, 5], { attributes: { alpha: 0.4, beta: 0.6 } }),
  one("ThresholdedRelu", [3, 5], { attributes: { alpha: 0.2 } }),
  one("Gelu", [3, 5], { opset: 20 }),
  one("Gelu", [3, 5], { opset: 20, attributes: { approximate: "tanh" } }),
  one("Swish", [3, 5], { opset: 24, attributes: { alpha: 1.5 } }),
  one("PRelu", [2, 4, 3, 3], { weights: [floats(4, 1, 1)] }),
  one("Clip", [3, 5], { opset: 9, attributes: { min: -0.5, max: 0.7 } }),
  one("Clip", [3, 5], { opset: 6 + 1, attributes: { max: 0.7 } }),
  one("Clip", [3, 5], { opset: 13, weights: [scalar(-0.5), scalar(0.7)], label: "both" }),
  one("Clip", [3, 5], { opset: 13, weights: ["", scalar(0.7)], label: "max" }),
  one("Clip", [3, 5], { opset: 13, weights: [scalar(0.1)], label: "min" }),

  ...["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"].flatMap((op) => [
    one(op, [2, 3, 5], { weights: [positive(3, 1)], label: "broadcast" }),
    one(op, [5], { weights: [positive(2, 1, 5)], label: "broadcast up" }),
  ]),
  ...["Max", "Min", "Sum", "Mean"].map((op) =>
    one(op, [3, 5], { weights: [floats(3, 5), positive(5)], label: "of three" }),
  ),
  ...[1, 2, 3, 0.5, -0.5, -1, 1.7].map((exponent) =>
    one("Pow", [3, 5], { weights: [scalar(exponent)], positive: true, label: `${exponent}` }),
  ),
  one("Pow", [3, 5], { weights: [floats(5)], positive: true, label: "an exponent each" }),
  ...["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"].map((op) =>
    one(op, [3, 4], {
      weights: [{ shape: [4], data: [0, -0.3, 0.4, 0] }],
      smooth: false,
      opset: 16,
    }),
  ),
  ...["And", "Or"].map(
    (op): Case => ({
      name: `${op} of comparisons`,
      smooth: false,
      file: {
        opset: 17,
        inputs: { x: { shape: [3, 4] } },
        initializers: { a: scalar(-0.3), b: scalar(0.4) },
        nodes: [
          { op: "Less", inputs: ["x", "a"], outputs: ["low"] },
          { op: "Less", inputs: ["x", "b"], outputs: ["high"] },
          { op: "Not", inputs: ["high"], outputs: ["above"] },
          { op, inputs: ["low", "above"], outputs: ["y0"] },
        ],
        outputs: ["y0"],
      },
    }),
  ),
  {
    name: "Where of a comparison",
    file: {
      opset: 17,
      inputs: { x: { shape: [3, 4] } },
      initializers: { zero: scalar(0), other: floats(4) },
      nodes: [
        { op: "Greater", inputs: ["x", "zero"], outputs: ["positive"] },
        { op: "Where", inputs: ["positive", "x", "other"], outputs: ["y0"] },
      ],
      outputs: ["y0"],
    },
  },
  one("Cast", [3, 5], { attributes: { to: 7 }, smooth: false }),
  one("Cast", [3, 5], { attributes: { to: 9 }, smooth: false }),
  one("Cast", [3, 5], { attributes: { to: 1 }, smooth: false }),
  one("Dropout", [3, 5], { opset: 10, attributes: { ratio: 0.4 } }),
  one("Dropout", [3, 5], { opset: 13, weights: [scalar(0.4)] }),

  one("MatMul", [3, 5], { weights: [floats(5, 4)] }),
  one("MatMul", [2, 3, 5], { weights: [floats(5, 4)] }),
  one("MatMul", [2, 2, 3, 5], { weights: [floats(2, 5, 4)] }),
  one("MatMul", [3, 5], { weights: [floats(2, 5, 4)] }),
  one("MatMul", [3, 2, 3, 5], { weights: [floats(2, 5, 4)] }),
  one("MatMul", [2, 3, 5], { weights: [floats(3, 2, 5, 4)] }),
  one("MatMul", [2, 3, 5], { weights: [floats(5)], label: "a vector" }),
  one("MatMul", [5], { weights: [floats(2, 5, 4)], label: "a vector" }),
  one("MatMul", [3, 5], { weights: [floats(5)], label: "a vector" }),
  one("Gemm", [3, 5], { weights: [floats(5, 4), floats(4)] }),
  one("Gemm", [3, 5], { weights: [floats(5, 4)], opset: 11 }),
  one("Gemm", [5, 3], {
    weights: [floats(4, 5), floats(3, 1)],
    attributes: { alpha: 0.5, beta: 1.5, transA: 1, transB: 1 },
  }),
  one("Gemm", [3, 5], { weights: [floats(5, 4), floats(1, 4)], attributes: { beta: 0 + 0.25 } }),

  ...[
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
  ].flatMap((op) => [
    one(op, [2, 3, 4], { opset: 13, attributes: { axes: [1], keepdims: 0 } }),
    one(op, [2, 3, 4], { opset: 13, attributes: { axes: [0, -1] } }),
    one(op, [2, 3, 4], { opset: 18, weights: [int64(-1, 0)], attributes: { keepdims: 0 } }),
    one(op, [2, 3, 4], { opset: 18, label: "all" }),
  ]),
  one("ReduceMean", [2, 3, 4], { opset: 18, attributes: { noop_with_empty_axes: 1 } }),
  one("ReduceLogSum", [2, 3, 4], { opset: 13, positive: true, attributes: { axes: [1] } }),
  one("ReduceProd", [2, 3, 4], { opset: 13, positive: true, attributes: { axes: [1] } }),
  one("ReduceSum", [2, 3, 4], { opset: 11, attributes: { axes: [1], keepdims: 0 } }),
  one("ReduceSum", [2, 3, 4], { opset: 13, weights: [int64(2)] }),
  one("ReduceSum", [2, 3, 4], { opset: 13, attributes: { keepdims: 0 } }),

  one("Conv", picture, { weights: [floats(3, 4, 3, 2), floats(3)] }),
  one("Conv", picture, {
    weights: [floats(3, 4, 3, 3)],
    attributes: { pads: [1, 0, 2, 1], strides: [2, 1], kernel_shape: [3, 3] },
  }),
  one("Conv", picture, {
    weights: [floats(6, 2, 3, 3), floats(6)],
    attributes: { group: 2, dilations: [2, 1] },
  }),
  one("Conv", picture, {
    weights: [floats(4, 1, 3, 3)],
    attributes: { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] },
  }),
  one("Conv", [2, 3, 9], { weights: [floats(4, 3, 4)], attributes: { strides: [2] } }),
  ...["SAME_UPPER", "SAME_LOWER", "VALID"].map((auto) =>
    one("Conv", picture, {
      weights: [floats(3, 4, 2, 3)],
      attributes: { auto_pad: auto, strides: [2, 1] },
    }),
  ),
  one("Conv", picture, {
    weights: [floats(3, 4, 2, 3)],
    attributes: { auto_pad: "NOTSET", pads: [0, 1, 0, 1] },
  }),
  one("ConvTranspose", [2, 4, 4, 3], { weights: [floats(4, 3, 3, 2), floats(3)] }),
  one("ConvTranspose", [2, 4, 4, 3], {
    weights: [floats(4, 3, 3, 3)],
    attributes: { strides: [2, 2], pads: [1, 0, 1, 1], output_padding: [1, 0] },
  }),
  one("ConvTranspose", [2, 4, 4, 3], {
    weights: [floats(4, 3, 3, 2), floats(6)],
    attributes: { group: 2, strides: [2, 1] },
  }),
  one("ConvTranspose", [2, 4, 4, 3], {
    weights: [floats(4, 3, 3, 2)],
    attributes: { dilations: [2, 2] },
  }),
  one("ConvTranspose", [2, 4, 4, 3], {
    weights: [floats(4, 3, 3, 3)],
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  }),
  one("ConvTranspose", [2, 4, 4, 3], {
    weights: [floats(4, 3, 3, 3)],
    attributes: { output_shape: [8, 6], strides: [2, 2] },
  }),

  ...["MaxPool", "AveragePool"].flatMap((op) => [
    one(op, picture, { attributes: { kernel_shape: [2, 2], strides: [2, 2] } }),
    one(op, picture, { attributes: { kernel_shape: [3, 2] } }),
    one(op, picture, { attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } }),
    one(op, picture, { attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [0, 1, 1, 0] } }),
    one(op, picture, { attributes: { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 } }),
    one(op, picture, {
      attributes: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 1, 1, 1], ceil_mode: 1 },
    }),
    one(op, [1, 1, 4, 4], { attributes: { kernel_shape: [1, 1], strides: [2, 2], ceil_mode: 1 } }),
    one(op, picture, {
      attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_UPPER" },
    }),
    one(op, picture, {
      attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_LOWER" },
    }),
    one(op, picture, { attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "VALID" } }),
    one(op, [2, 3, 9], { attributes: { kernel_shape: [3], strides: [2] } }),
  ]),
  one("MaxPool", picture, { attributes: { kernel_shape: [2, 2], dilations: [2, 3] } }),
  one("AveragePool", picture, {
    opset: 19,
    attributes: { kernel_shape: [2, 2], dilations: [2, 3] },
  }),
  one("AveragePool", picture, {
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 },
  }),
  one("AveragePool", picture, {
    opset: 19,
    attributes: {
      kernel_shape: [3, 3],
      strides: [2, 3],
      pads: [1, 1, 1, 1],
      count_include_pad: 1,
      ceil_mode: 1,
    },
  }),
  one("GlobalAveragePool", picture),
  one("GlobalMaxPool", picture),

  one("BatchNormalization", picture, { weights: [positive(4), floats(4), floats(4), positive(4)] }),
  one("BatchNormalization", [3, 4], {
    opset: 9,
    attributes: { epsilon: 0.01 },
    weights: [positive(4), floats(4), floats(4), positive(4)],
  }),
  one("InstanceNormalization", picture, { weights: [positive(4), floats(4)] }),
  one("LayerNormalization", [2, 3, 4], { weights: [positive(4), floats(4)] }),
  one("LayerNormalization", [2, 3, 4], {
    weights: [positive(3, 4)],
    attributes: { axis: 1, epsilon: 0.01 },
  }),
  one("GroupNormalization", picture, {
    opset: 18,
    attributes: { num_groups: 2 },
    weights: [positive(2), floats(2)],
  }),
  one("GroupNormalization", picture, {
    opset: 21,
    attributes: { num_groups: 2 },
    weights: [positive(4), floats(4)],
  }),
  one("LRN", [2, 5, 3, 3], { attributes: { size: 3, alpha: 0.5, beta: 0.6, bias: 1.5 } }),
  one("LRN", [2, 5, 3, 3], { attributes: { size: 5, alpha: 0.5 } }),
  ...["Softmax", "LogSoftmax"].flatMap((op) => [
    one(op, [2, 3, 4], { opset: 9 }),
    one(op, [2, 3, 4], { opset: 11, attributes: { axis: 2 } }),
    one(op, [2, 3, 4], { opset: 13 }),
    one(op, [2, 3, 4], { opset: 13, attributes: { axis: 1 } }),
  ]),

  one("Reshape", [2, 3, 4], { weights: [int64(0, -1)] }),
  one("Reshape", [2, 3, 4], { weights: [int64(4, 6)] }),
  one("Reshape", [2, 3, 4], {
    opset: 14,
    weights: [int64(-1, 2, 0)],
    attributes: { allowzero: 0 },
  }),
  one("Flatten", [2, 3, 4]),
  one("Flatten", [2, 3, 4], { attributes: { axis: 0 } }),
  one("Flatten", [2, 3, 4], { attributes: { axis: -1 } }),
  one("Flatten", [2, 3, 4], { attributes: { axis: 3 } }),
  one("Transpose", [2, 3, 4]),
  one("Transpose", [2, 3, 4], { attributes: { perm: [1, 2, 0] } }),
  one("Squeeze", [2, 1, 3, 1], { opset: 11, attributes: { axes: [1] } }),
  one("Squeeze", [2, 1, 3, 1], { opset: 11 }),
  one("Squeeze", [2, 1, 3, 1], { weights: [int64(-1)] }),
  one("Unsqueeze", [2, 3], { opset: 11, attributes: { axes: [0, 2] } }),
  one("Unsqueeze", [2, 3], { weights: [int64(-1, 1)] }),
  one("Concat", [2, 3], { weights: [floats(2, 2), floats(2, 1)], attributes: { axis: -1 } }),
  one("Concat", [2, 3], { weights: [floats(1, 3)], attributes: { axis: 0 } }),
  one("Split", [2, 6], { opset: 11, attributes: { axis: 1, split: [2, 4] }, outputs: 2 }),
  one("Split", [2, 6], { opset: 13, attributes: { axis: -1 }, outputs: 3 }),
  one("Split", [2, 6], { opset: 13, weights: [int64(1, 5)], attributes: { axis: 1 }, outputs: 2 }),
  one("Split", [2, 7], { opset: 18, attributes: { axis: 1, num_outputs: 3 }, outputs: 3 }),
  one("Slice", [4, 6], { opset: 9, attributes: { starts: [1, -4], ends: [3, 100] } }),
  one("Slice", [4, 6], { weights: [int64(1), int64(5), int64(1), int64(2)] }),
  one("Slice", [4, 6], { weights: [int64(-1, 4), int64(-100, 0), int64(0, 1), int64(-1, -2)] }),
  one("Slice", [4, 6], { weights: [int64(0), int64(2 ** 53), int64(-1)] }),
  one("Gather", [4, 6], { weights: [{ type: "int64", shape: [2, 2], data: [0, 3, -1, 1] }] }),
  one("Gather", [4, 6], {
    weights: [{ type: "int64", shape: [3], data: [0, 5, -2] }],
    attributes: { axis: 1 },
  }),
  one("Gather", [4, 6, 3], {
    weights: [{ type: "int64", shape: [2, 2], data: [0, 3, -1, 1] }],
    attributes: { axis: 1 },
  }),
  one("Gather", [4, 6, 3], {
    weights: [{ type: "int64", shape: [], data: [2] }],
    attributes: { axis: -2 },
  }),
  one("Expand", [3, 1], { weights: [int64(2, 1, 4)] }),
  one("Expand", [2, 3, 4], { weights: [int64(1, 4)] }),
  one("Tile", [2, 3], { weights: [int64(2, 3)] }),
  one("Pad", [2, 3], { opset: 9, attributes: { pads: [0, 1, 2, 0], value: 1.5 } }),
  one("Pad", [2, 3], { weights: [int64(0, 1, 2, 0)] }),
  one("Pad", [2, 3], { weights: [int64(0, 1, 2, 0), scalar(1.5)] }),
  one("Pad", [2, 5], { weights: [int64(1, 2, 0, 3)], attributes: { mode: "reflect" } }),
  one("Pad", [2, 5], { weights: [int64(1, 2, 0, 3)], attributes: { mode: "edge" } }),
  one("Pad", [2, 5], { opset: 19, weights: [int64(1, 2, 0, 3)], attributes: { mode: "wrap" } }),
  one("Pad", [2, 5], { opset: 18, weights: [int64(2, 3), "", int64(-1)] }),
  one("DepthToSpace", [2, 8, 2, 3], { attributes: { blocksize: 2 } }),
  one("DepthToSpace", [2, 8, 2, 3], { attributes: { blocksize: 2, mode: "CRD" } }),
  one("SpaceToDepth", [2, 2, 4, 6], { attributes: { blocksize: 2 } }),
  one("Shape", [2, 3, 4], { smooth: false }),
  one("Shape", [2, 3, 4], { smooth: false, attributes: { start: 1, end: -1 } }),
  one("Size", [2, 3, 4], { smooth: false }),

  ...(["LSTM", "GRU", "RNN"] as const).flatMap((op) => {
    const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op];
    const outputs = op === "LSTM" ? 3 : 2;
    const weights = (directions: number, bias = true): Numbers[] => [
      floats(directions, gates * 3, 2),
      floats(directions, gates * 3, 3),
      ...(bias ? [floats(directions, gates * 6)] : []),
    ];
    const state = (directions: number): Numbers => floats(directions, 2, 3);
    return [
      one(op, [3, 2, 2], { weights: weights(1), attributes: { hidden_size: 3 }, outputs }),
      one(op, [3, 2, 2], {
        weights: weights(1, false),
        attributes: { hidden_size: 3, direction: "reverse" },
        outputs,
      }),
      one(op, [3, 2, 2], {
        weights: [...weights(2), "", state(2), ...(op === "LSTM" ? [state(2)] : [])],
        attributes: { hidden_size: 3, direction: "bidirectional" },
        outputs,
      }),
    ];
  }),
  one("GRU", [3, 2, 2], {
    weights: [floats(1, 9, 2), floats(1, 9, 3), floats(1, 18)],
    attributes: { hidden_size: 3, linear_before_reset: 1 },
    outputs: 2,
  }),
];

const TOKENS: Case = {
  name: "Gather of a table at a traced index",
  integers: { x: { shape: [2, 3], data: Int32Array.of(0, 4, 2, 1, 1, 3) } },
  file: {
    opset: 17,
    inputs: { x: { type: "int64", shape: [2, 3] } },
    initializers: { table: floats(5, 4) },
    nodes: [{ op: "Gather", inputs: ["table", "x"], outputs: ["y0"] }],
    outputs: ["y0"],
  },
};

/** Shape arithmetic, which is computed on the host: [2, 3, 4] to [4, 6], then [3, 8], then some rows of it. */
const ARITHMETIC: Case = {
  name: "shape arithmetic",
  file: {
    opset: 17,
    inputs: { x: { shape: [2, 3, 4] } },
    initializers: {
      zero: { type: "int64", shape: [], data: [0] },
      one: { type: "int64", shape: [], data: [1] },
      two: { type: "int64", shape: [], data: [2] },
      three: { type: "int64", shape: [], data: [3] },
      front: int64(0),
      second: int64(1),
      last: int64(3),
      free: int64(-1),
      half: { shape: [1], data: [0.5] },
    },
    nodes: [
      { op: "Shape", inputs: ["x"], outputs: ["shape"] },
      { op: "Gather", inputs: ["shape", "zero"], outputs: ["batch"] },
      { op: "Unsqueeze", inputs: ["batch", "front"], outputs: ["batches"] },
      { op: "Slice", inputs: ["shape", "second", "last"], outputs: ["places"] },
      { op: "ReduceProd", inputs: ["places"], outputs: ["product"], attributes: { keepdims: 1 } },
      { op: "Mul", inputs: ["batches", "two"], outputs: ["doubled"] },
      { op: "Div", inputs: ["product", "two"], outputs: ["halved"] },
      { op: "Mod", inputs: ["product", "three"], outputs: ["rest"] },
      { op: "Add", inputs: ["halved", "rest"], outputs: ["width"] },
      { op: "Concat", inputs: ["doubled", "width"], outputs: ["target"], attributes: { axis: 0 } },
      { op: "Reshape", inputs: ["x", "target"], outputs: ["y0"] },
      { op: "Cast", inputs: ["width"], outputs: ["exact"], attributes: { to: 1 } },
      { op: "Mul", inputs: ["exact", "half"], outputs: ["scaled"] },
      { op: "Floor", inputs: ["scaled"], outputs: ["floor"] },
      { op: "Cast", inputs: ["floor"], outputs: ["rows"], attributes: { to: 7 } },
      { op: "Concat", inputs: ["rows", "free"], outputs: ["wide"], attributes: { axis: 0 } },
      { op: "Reshape", inputs: ["y0", "wide"], outputs: ["y1"] },
      { op: "Squeeze", inputs: ["rows"], outputs: ["limit"] },
      { op: "Range", inputs: ["zero", "limit", "two"], outputs: ["even"] },
      { op: "Gather", inputs: ["y1", "even"], outputs: ["picked"] },
      {
        op: "ConstantOfShape",
        inputs: ["second"],
        outputs: ["factor"],
        attributes: { value: { shape: [1], data: [1.5] } },
      },
      { op: "Mul", inputs: ["picked", "factor"], outputs: ["y2"] },
    ],
    outputs: ["y0", "y1", "y2"],
  },
};

async function compare({
  file,
  integers = {},
  smooth = true,
  positive: above = false,
}: Case): Promise<void> {
  const bytes = onnxFile(file);
  const model = fromOnnx(bytes);
  const random = mulberry32(5);
  const drawn = Object.fromEntries(
    Object.entries(file.inputs)
      .filter(([name]) => integers[name] === undefined)
      .map(([name, { shape }]) => {
        const extents = shape as readonly number[]; // no case has a named extent
        const data = new Float32Array(sizeOf(extents)).map(() =>
          above ? 0.5 + random.next() : random.normal(),
        );
        return [name, { shape: extents, data }];
      }),
  );
  const types = Object.fromEntries(
    Object.entries(file.inputs).map(([name, { type }]) => [name, type]),
  );
  const expected = await runtimeOutputs(bytes, { ...drawn, ...integers }, types);
  // Inputs stand beside the weights, so that gradients reach them.
  const params: Float32Leaves = Object.fromEntries([
    ...Object.entries(model.params),
    ...Object.entries(drawn).map(([name, leaf]) => [`input ${name}`, leaf]),
  ]);
  const apply = (
    p: Traced<Float32Leaves>,
    batch: Traced<BatchArrays>,
    mode?: Parameters<typeof model.apply>[2],
  ) => {
    const inputs = Object.keys(drawn).map((name) => [name, p[`input ${name}`] as Value]);
    return model.apply(p, { ...batch, ...Object.fromEntries(inputs) }, mode);
  };
  const options = { params, example: integers, state: model.state };
  const forward = await compileForward((p, batch, mode) => apply(p, batch, mode), options);
  const results = await forward.run(integers, params);
  await forward.dispose();
  for (const name of file.outputs) {
    expect(results[name]?.shape, name).toEqual(expected[name]?.shape);
    // float32 on both sides, sums of at most some dozens of terms and a few functions of them.
    expectClose(results[name]!.data, expected[name]!.data, 3e-6, name);
  }
  if (!smooth) {
    return;
  }
  const loss = (
    p: Traced<Float32Leaves>,
    batch: Traced<BatchArrays>,
    mode?: Parameters<typeof model.apply>[2],
  ): Value =>
    Object.values(apply(p, batch, mode))
      .map((y) => y.mul(constant(Float32Array.from(spread(y.shape)), y.shape)).sum())
      .reduce((a, b) => a.add(b));
  if (Object.keys(model.state).length === 0) {
    const cpu = await gradientsOn("cpu", loss, params, integers);
    const jax = await gradientsOn("jax", loss, params, integers);
    for (const [path, { data }] of Object.entries(jax.gradients)) {
      // As above, and the terms of a gradient may cancel.
      expectClose(cpu.gradients[path]!.data, data, 2e-5, path);
    }
    // float32 gradients against differences in float64; kinks lie 1e-5 from a drawn number with chance 1e-3.
    await expectDifferences(loss, params, integers, cpu.gradients, { tolerance: 2e-4, count: 1 });
  }
}

describe("each op computes what ONNX Runtime does, with gradients that differences confirm", () => {
  test.each([...CASES, TOKENS, ARITHMETIC].map((each) => [each.name, each] as const))(
    "%s",
    (_, each) => compare(each),
  );

  test("every op of the table has a case", () => {
    const tested = new Set(
      [...CASES, TOKENS, ARITHMETIC].flatMap(({ file }) => file.nodes.map(({ op }) => op)),
    );
    expect(ONNX_OPS.filter((op) => !tested.has(op))).toEqual([]);
  });
});
