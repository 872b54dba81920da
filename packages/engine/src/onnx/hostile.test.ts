import fc from "fast-check";
import { expect, test } from "vitest";
import { int64, onnxFile, spread } from "../../testing/onnxFiles.ts";
import { Mode } from "../trace/mode.ts";
import { traceArrays } from "../trace/trace.ts";
import { Value } from "../trace/value.ts";
import { fromOnnx, OnnxError, UnsupportedOnnxOpError } from "./index.ts";

const SHAPE = [2, 2, 6, 6];

/** A little of everything: attributes, initializers, shape arithmetic, windows, a Constant node, a recurrent op. */
const BYTES = onnxFile({
  opset: 17,
  inputs: { x: { shape: ["n", 2, "h", "w"] } },
  outputs: ["y"],
  initializers: {
    kernel: { shape: [3, 2, 3, 3], data: spread([3, 2, 3, 3]) },
    scale: { shape: [3], data: spread([3]) },
    variance: { shape: [3], data: [1, 2, 3] },
    zero: { type: "int64", shape: [], data: [0] },
    axis: int64(0),
    free: int64(-1),
    width: int64(3),
    starts: int64(0),
    ends: int64(5),
    w: { shape: [1, 8, 3], data: spread([1, 8, 3]) },
    r: { shape: [1, 8, 2], data: spread([1, 8, 2]) },
    pads: int64(0, 0, 1, 0, 0, 0, 1, 0),
  },
  nodes: [
    {
      op: "Constant",
      inputs: [],
      outputs: ["bias"],
      attributes: { value: { shape: [3], data: spread([3]) } },
    },
    { op: "Pad", inputs: ["x", "pads"], outputs: ["padded"] },
    {
      op: "Conv",
      inputs: ["padded", "kernel", "bias"],
      outputs: ["a"],
      attributes: { pads: [1, 1, 1, 1], strides: [1, 1] },
    },
    {
      op: "BatchNormalization",
      inputs: ["a", "scale", "bias", "scale", "variance"],
      outputs: ["b"],
    },
    { op: "Relu", inputs: ["b"], outputs: ["c"] },
    {
      op: "AveragePool",
      inputs: ["c"],
      outputs: ["d"],
      attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 },
    },
    { op: "Slice", inputs: ["d", "starts", "ends", "axis"], outputs: ["e"] },
    { op: "Shape", inputs: ["e"], outputs: ["shape"] },
    { op: "Gather", inputs: ["shape", "zero"], outputs: ["n"] },
    { op: "Unsqueeze", inputs: ["n", "axis"], outputs: ["ns"] },
    { op: "Concat", inputs: ["ns", "free", "width"], outputs: ["to"], attributes: { axis: 0 } },
    { op: "Reshape", inputs: ["e", "to"], outputs: ["f"] },
    { op: "LSTM", inputs: ["f", "w", "r"], outputs: ["g"], attributes: { hidden_size: 2 } },
    { op: "Softmax", inputs: ["g"], outputs: ["y"] },
  ],
});

/** Reads the file and traces it, as `compile` does first. */
function load(bytes: Uint8Array): "traced" | "refused" {
  try {
    const model = fromOnnx(bytes);
    const leaves = Object.entries({ ...model.params, ...model.state });
    const slots = [SHAPE, ...leaves.map(([, { shape }]) => shape)];
    traceArrays(
      (...arrays) => {
        const [x, ...values] = arrays.map((array) => Value.own(array)) as [Value, ...Value[]];
        const state = new Map(leaves.map(([path], i) => [path, values[i]!]));
        return Object.values(model.apply({}, x, new Mode(false, state))).map((y) => Value.lend(y));
      },
      slots.map((shape) => ({ shape, dtype: "float32" as const })),
    );
    return "traced";
  } catch (error) {
    // Whatever a file holds, it is refused by name and in one sentence, never by a failure somewhere inside.
    expect(error, String(error)).toSatisfy(
      (e) => e instanceof OnnxError || e instanceof UnsupportedOnnxOpError,
    );
    expect((error as Error).message).toMatch(/^(fromOnnx|apply): [^\n]+$/);
    return "refused";
  }
}

test("the file itself is read", () => {
  expect(load(BYTES)).toBe("traced");
});

/** Bytes overwritten, removed, doubled, or the end cut off. */
const mutation = fc.record({
  kind: fc.constantFrom("set", "flip", "remove", "double", "cut"),
  at: fc.nat({ max: BYTES.length - 1 }),
  length: fc.integer({ min: 1, max: 12 }),
  value: fc.nat({ max: 255 }),
});

function mutated(
  bytes: Uint8Array,
  { kind, at, length, value }: { kind: string; at: number; length: number; value: number },
): Uint8Array {
  const place = Math.min(at, bytes.length);
  const [before, part, after] = [
    bytes.subarray(0, place),
    bytes.subarray(place, place + length),
    bytes.subarray(place + length),
  ];
  switch (kind) {
    case "set":
      return Uint8Array.from([...before, value, ...bytes.subarray(place + 1)]);
    case "flip":
      return bytes.map((byte, i) => (i === place ? byte ^ (1 << (value % 8)) : byte));
    case "remove":
      return Uint8Array.from([...before, ...after]);
    case "double":
      return Uint8Array.from([...before, ...part, ...part, ...after]);
    default:
      return before;
  }
}

test("2,000 mutated files are read or refused in one sentence", () => {
  const outcomes = { traced: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
      outcomes[load(mutations.reduce(mutated, BYTES))]++;
    }),
    { numRuns: 2000 },
  );
  // Both happen: numbers of weights may be anything, lengths may not.
  expect(outcomes.traced).toBeGreaterThan(100);
  expect(outcomes.refused).toBeGreaterThan(500);
}, 120_000);
