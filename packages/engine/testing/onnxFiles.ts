/** Small ONNX files for tests, and what ONNX Runtime makes of them. */

import { sizeOf } from "@adastra/core";
import onnxProto from "onnx-proto";
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { BatchArrays } from "../src/index.ts";

const { AttributeProto, ModelProto, TensorProto } = onnxProto.onnx;

export interface Numbers {
  readonly type?: "float" | "double" | "int64" | "int32" | "bool";
  readonly shape: readonly number[];
  readonly data: readonly number[] | Float32Array;
}

export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Numbers
  | { readonly float: number };

export interface NodeSpec {
  readonly op: string;
  readonly name?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

export interface FileSpec {
  readonly opset: number;
  readonly nodes: readonly NodeSpec[];
  /** Extents may be names. */
  readonly inputs: Readonly<
    Record<
      string,
      { readonly type?: Numbers["type"]; readonly shape: readonly (number | string)[] }
    >
  >;
  readonly outputs: readonly string[];
  readonly initializers?: Readonly<Record<string, Numbers>>;
}

const TYPES = {
  float: TensorProto.DataType.FLOAT,
  double: TensorProto.DataType.DOUBLE,
  int64: TensorProto.DataType.INT64,
  int32: TensorProto.DataType.INT32,
  bool: TensorProto.DataType.BOOL,
};

/** A vector of int64, as shapes and axes are written. */
export function int64(...data: number[]): Numbers {
  return { type: "int64", shape: [data.length], data };
}

export function tensorProto({ type = "float", shape, data }: Numbers): onnxProto.onnx.ITensorProto {
  const bytes = {
    float: () => Float32Array.from(data),
    double: () => Float64Array.from(data),
    int64: () => BigInt64Array.from(Array.from(data, (x) => BigInt(x))),
    int32: () => Int32Array.from(data),
    bool: () => Uint8Array.from(data),
  }[type]();
  return { dims: [...shape], dataType: TYPES[type], rawData: new Uint8Array(bytes.buffer) };
}

function attributeProto(name: string, value: AttributeValue): onnxProto.onnx.IAttributeProto {
  const { AttributeType: T } = AttributeProto;
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? { name, type: T.INT, i: value }
      : { name, type: T.FLOAT, f: value };
  }
  if (typeof value === "string") {
    return { name, type: T.STRING, s: encode(value) };
  }
  if (Array.isArray(value)) {
    return typeof value[0] === "string"
      ? { name, type: T.STRINGS, strings: (value as readonly string[]).map(encode) }
      : { name, type: T.INTS, ints: [...(value as readonly number[])] };
  }
  if ("float" in value) {
    return { name, type: T.FLOAT, f: value.float };
  }
  return { name, type: T.TENSOR, t: tensorProto(value as Numbers) };
}

export function onnxFile({
  opset,
  nodes,
  inputs,
  outputs,
  initializers = {},
}: FileSpec): Uint8Array {
  const model = ModelProto.create({
    irVersion: 8,
    producerName: "tests",
    opsetImport: [{ domain: "", version: opset }],
    graph: {
      name: "graph",
      node: nodes.map(({ op, name = "", inputs: from, outputs: to, attributes = {} }) => ({
        opType: op,
        name,
        input: [...from],
        output: [...to],
        attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
      })),
      input: Object.entries(inputs).map(([name, { type = "float", shape }]) => ({
        name,
        type: {
          tensorType: {
            elemType: TYPES[type],
            shape: {
              dim: shape.map((extent) =>
                typeof extent === "number" ? { dimValue: extent } : { dimParam: extent },
              ),
            },
          },
        },
      })),
      // ONNX Runtime infers types that are left out.
      output: outputs.map((name) => ({ name })),
      initializer: Object.entries(initializers).map(([name, numbers]) => ({
        name,
        ...tensorProto(numbers),
      })),
    },
  });
  return ModelProto.encode(model).finish();
}

/** Outputs by name as numbers. */
export async function runtimeOutputs(
  bytes: Uint8Array,
  inputs: BatchArrays,
  types: Readonly<Record<string, Numbers["type"]>> = {},
): Promise<Record<string, { readonly shape: readonly number[]; readonly data: number[] }>> {
  const session = await InferenceSession.create(bytes, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const feeds = Object.entries(inputs).map(([name, { shape, data }]): [string, Tensor] => {
    switch (types[name]) {
      case "int64":
        return [name, new Tensor("int64", BigInt64Array.from(Array.from(data, BigInt)), shape)];
      case "int32":
        return [name, new Tensor("int32", data as Int32Array, shape)];
      case "bool":
        return [name, new Tensor("bool", Uint8Array.from(data), shape)];
      default:
        return [name, new Tensor("float32", data as Float32Array, shape)];
    }
  });
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { dims, data }]) => [
      name,
      { shape: dims, data: Array.from(data as Iterable<number | bigint | boolean>, Number) },
    ]),
  );
}

/** `count` numbers of a shape, spread over [-1, 1] without repeating. */
export function spread(shape: readonly number[], scale = 1): number[] {
  const size = sizeOf(shape);
  return Array.from({ length: size }, (_, i) => scale * Math.sin(1 + 12.9898 * i));
}
