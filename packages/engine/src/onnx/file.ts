/** An ONNX file as plain data: nodes, weights, inputs and outputs, checked as far as reading goes. */

import { sizeOf } from "@adastra/core";
import onnxProto from "onnx-proto";
import { showShape } from "../errors.ts";
import { OnnxError } from "./errors.ts";
import { Known, type KnownType } from "./known.ts";

const { AttributeProto, ModelProto, TensorProto } = onnxProto.onnx;

export type Attribute = number | string | readonly number[] | readonly string[] | Known;

export interface OnnxNode {
  readonly op: string;
  /** The file's name of it, else its first output. */
  readonly name: string;
  /** "" where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

export interface OnnxInput {
  readonly name: string;
  readonly dtype: KnownType;
  /** undefined for an extent that is free; all of it where the file states no shape. */
  readonly shape: readonly (number | undefined)[] | undefined;
}

export interface OnnxFile {
  readonly opset: number;
  readonly inputs: readonly OnnxInput[];
  readonly outputs: readonly string[];
  /** In execution order, without `Constant`. */
  readonly nodes: readonly OnnxNode[];
  /** Initializers and the values of `Constant` nodes, by the name of the tensor. */
  readonly constants: ReadonlyMap<string, Known>;
  /** Which of them stand as `Constant` nodes. */
  readonly constantNodes: ReadonlySet<string>;
}

/** Operator sets whose ops have the meanings of the table; later ones are read as the last. */
const OPSETS = { least: 7, most: 24 };

/** @throws OnnxError for bytes that are no ONNX model, or one of a kind that is not read. */
export function readFile(bytes: Uint8Array): OnnxFile {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `fromOnnx: \`bytes\` must be a Uint8Array, got ${bytes === null ? "null" : typeof bytes}`,
    );
  }
  const { graph, opsetImport } = decode(bytes);
  if (graph === null || graph === undefined) {
    throw new OnnxError(
      `fromOnnx: bytes must be an ONNX model, got ${bytes.length} bytes without a graph`,
    );
  }
  const opset = opsetImport?.find(({ domain }) => (domain ?? "") === "" || domain === "ai.onnx");
  const version = opset === undefined ? 0 : integer(opset.version);
  if (!(version >= OPSETS.least && version <= OPSETS.most)) {
    throw new OnnxError(
      `fromOnnx: the model's opset must be ${OPSETS.least} to ${OPSETS.most}, got ${version === 0 ? "none" : version}; convert it with onnx.version_converter`,
    );
  }
  if ((graph.sparseInitializer ?? []).length > 0) {
    throw new OnnxError("fromOnnx: weights must be dense, got a sparse initializer");
  }
  const constants = new Map<string, Known>();
  const constantNodes = new Set<string>();
  const define = (name: string, value: Known): void => {
    if (name === "" || constants.has(name)) {
      throw new OnnxError(
        `fromOnnx: constants must have names of their own, got "${name}" ${name === "" ? "" : "twice"}`.trimEnd(),
      );
    }
    constants.set(name, value);
  };
  for (const tensor of graph.initializer ?? []) {
    define(tensor.name ?? "", readTensor(`initializer "${tensor.name}"`, tensor));
  }
  const nodes = (graph.node ?? []).flatMap((proto): OnnxNode[] => {
    const node = readNode(proto);
    const [output = ""] = node.outputs;
    if (node.op !== "Constant") {
      return [node];
    }
    define(output, constantOf(node));
    constantNodes.add(output);
    return [];
  });
  const inputs = (graph.input ?? [])
    .filter(({ name }) => !constants.has(name ?? ""))
    .map(readInput);
  const outputs = (graph.output ?? []).map(({ name }) => name ?? "");
  return { opset: version, inputs, outputs, nodes, constants, constantNodes };
}

function decode(bytes: Uint8Array): onnxProto.onnx.IModelProto {
  try {
    return ModelProto.decode(bytes);
  } catch (error) {
    throw new OnnxError(
      `fromOnnx: bytes must be an ONNX model, got ${bytes.length} bytes that cannot be read (${error instanceof Error ? error.message : String(error)}); the file may be cut short or of another format`,
      { cause: error },
    );
  }
}

function readNode(proto: onnxProto.onnx.INodeProto): OnnxNode {
  const outputs = proto.output ?? [];
  const op =
    (proto.domain ?? "") === "" || proto.domain === "ai.onnx"
      ? (proto.opType ?? "")
      : `${proto.domain}.${proto.opType}`;
  const name = proto.name || outputs[0] || "";
  const attributes = new Map(
    (proto.attribute ?? []).flatMap((attribute): [string, Attribute][] => {
      const value = readAttribute(`${op} "${name}"`, attribute);
      return value === undefined ? [] : [[attribute.name ?? "", value]];
    }),
  );
  return { op, name, inputs: proto.input ?? [], outputs, attributes };
}

/** undefined for kinds that no op of the table has: graphs, types, sparse tensors. */
function readAttribute(
  where: string,
  proto: onnxProto.onnx.IAttributeProto,
): Attribute | undefined {
  const { AttributeType } = AttributeProto;
  switch (proto.type) {
    case AttributeType.INT:
      return integer(proto.i);
    case AttributeType.FLOAT:
      return proto.f ?? 0;
    case AttributeType.STRING:
      return word(proto.s);
    case AttributeType.INTS:
      return (proto.ints ?? []).map(integer);
    case AttributeType.FLOATS:
      return proto.floats ?? [];
    case AttributeType.STRINGS:
      return (proto.strings ?? []).map(word);
    case AttributeType.TENSOR:
      return readTensor(`attribute "${proto.name}" of ${where}`, proto.t ?? {});
    default:
      return undefined;
  }
}

function constantOf({ name, attributes }: OnnxNode): Known {
  const [[kind, value] = ["none", undefined]] = attributes;
  if (value instanceof Known) {
    return value;
  }
  const dtype = kind.startsWith("value_float") ? "float32" : "int32";
  if (kind === "value_float" || kind === "value_int") {
    return new Known(dtype, [], [value as number]); // read by its type above
  }
  if (kind === "value_floats" || kind === "value_ints") {
    const values = value as readonly number[]; // read by its type above
    return new Known(dtype, [values.length], values);
  }
  throw new OnnxError(
    `fromOnnx: a Constant must hold numbers, got attribute "${kind}" in node "${name}"`,
  );
}

function readInput({ name, type }: onnxProto.onnx.IValueInfoProto): OnnxInput {
  const tensor = type?.tensorType;
  const dtype = KINDS[tensor?.elemType ?? 0];
  if (dtype === undefined) {
    throw new OnnxError(
      `fromOnnx: inputs must be float32, integers or bool, got input "${name}" of ${typeName(tensor?.elemType ?? 0)}`,
    );
  }
  const dims = tensor?.shape?.dim;
  // An extent of 0 or below is how some exporters write "free".
  const extent = (value: unknown): number | undefined => {
    const read = integer(value);
    return read >= 1 ? read : undefined;
  };
  return { name: name ?? "", dtype, shape: dims?.map(({ dimValue }) => extent(dimValue)) };
}

/** How element types are computed with; doubles are rounded to float32. */
const KINDS: Readonly<Record<number, KnownType>> = {
  [TensorProto.DataType.FLOAT]: "float32",
  [TensorProto.DataType.DOUBLE]: "float32",
  [TensorProto.DataType.INT8]: "int32",
  [TensorProto.DataType.INT16]: "int32",
  [TensorProto.DataType.INT32]: "int32",
  [TensorProto.DataType.INT64]: "int32",
  [TensorProto.DataType.UINT8]: "int32",
  [TensorProto.DataType.UINT16]: "int32",
  [TensorProto.DataType.UINT32]: "int32",
  [TensorProto.DataType.UINT64]: "int32",
  [TensorProto.DataType.BOOL]: "bool",
};

/** What a `Cast` to an element type computes. */
export function kindOfElement(elementType: number): KnownType | undefined {
  return KINDS[elementType];
}

function typeName(elementType: number): string {
  return (TensorProto.DataType[elementType] ?? `element type ${elementType}`).toLowerCase();
}

function readTensor(where: string, proto: onnxProto.onnx.ITensorProto): Known {
  const shape = (proto.dims ?? []).map(integer);
  const elementType = proto.dataType ?? 0;
  const dtype = KINDS[elementType];
  if (dtype === undefined) {
    throw new OnnxError(
      `fromOnnx: arrays must be float32, float64, integers or bool, got ${where} of ${typeName(elementType)}; export the model in float32`,
    );
  }
  if (proto.dataLocation === TensorProto.DataLocation.EXTERNAL) {
    throw new OnnxError(
      `fromOnnx: weights must be inside the file, got ${where} in a file of its own; save the model without external data`,
    );
  }
  const data = dataOf(where, elementType, proto);
  if (!shape.every((extent) => extent >= 0) || sizeOf(shape) !== data.length) {
    throw new OnnxError(
      `fromOnnx: arrays must have as many numbers as their shape, got ${where} of shape ${showShape(shape)} with ${data.length}`,
    );
  }
  return new Known(dtype, shape, data);
}

function dataOf(
  where: string,
  elementType: number,
  proto: onnxProto.onnx.ITensorProto,
): ArrayLike<number> {
  const raw = proto.rawData;
  if (raw !== null && raw !== undefined && raw.length > 0) {
    const { width, read } = RAW[elementType] as RawType; // RAW has the keys of KINDS
    if (raw.length % width !== 0) {
      throw new OnnxError(
        `fromOnnx: arrays must have whole numbers of elements, got ${where} with ${raw.length} bytes`,
      );
    }
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    const data = new (elementType === TensorProto.DataType.FLOAT ? Float32Array : Float64Array)(
      raw.length / width,
    );
    return data.map((_, i) => read(view, i * width));
  }
  const { DataType } = TensorProto;
  switch (elementType) {
    case DataType.FLOAT:
      return Float32Array.from(proto.floatData ?? []);
    case DataType.DOUBLE:
      return proto.doubleData ?? [];
    case DataType.INT64:
      return (proto.int64Data ?? []).map(integer);
    case DataType.UINT32:
    case DataType.UINT64:
      return (proto.uint64Data ?? []).map(integer);
    default:
      return proto.int32Data ?? [];
  }
}

interface RawType {
  readonly width: number;
  readonly read: (view: DataView, at: number) => number;
}

/** Little-endian, as the format says. */
const RAW: Readonly<Record<number, RawType>> = {
  [TensorProto.DataType.FLOAT]: { width: 4, read: (view, at) => view.getFloat32(at, true) },
  [TensorProto.DataType.DOUBLE]: { width: 8, read: (view, at) => view.getFloat64(at, true) },
  [TensorProto.DataType.INT8]: { width: 1, read: (view, at) => view.getInt8(at) },
  [TensorProto.DataType.INT16]: { width: 2, read: (view, at) => view.getInt16(at, true) },
  [TensorProto.DataType.INT32]: { width: 4, read: (view, at) => view.getInt32(at, true) },
  [TensorProto.DataType.INT64]: {
    width: 8,
    read: (view, at) => Number(view.getBigInt64(at, true)),
  },
  [TensorProto.DataType.UINT8]: { width: 1, read: (view, at) => view.getUint8(at) },
  [TensorProto.DataType.UINT16]: { width: 2, read: (view, at) => view.getUint16(at, true) },
  [TensorProto.DataType.UINT32]: { width: 4, read: (view, at) => view.getUint32(at, true) },
  [TensorProto.DataType.UINT64]: {
    width: 8,
    read: (view, at) => Number(view.getBigUint64(at, true)),
  },
  [TensorProto.DataType.BOOL]: { width: 1, read: (view, at) => view.getUint8(at) },
};

/** A number, one of 64 bits (an object that turns into its digits), or 0 where the field is left out. */
function integer(value: unknown): number {
  return value === null || value === undefined ? 0 : Number(value);
}

function word(bytes: Uint8Array | null | undefined): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}
