/** Encoding: a graph as the bytes of an ONNX model (opset 18). */

import onnxProto from "onnx-proto";
import type { Attributes, ConstantData, Graph, Node, Port, Tensor, TensorType } from "./ir.ts";
import { ELEMENT_TYPE, ints, OPS, type OpName } from "./ops/index.ts";

const { AttributeProto, ModelProto } = onnxProto.onnx;

/** The model; inputs and outputs carry the names of the graph's ports. */
export function encode(graph: Graph): Uint8Array {
  const names = new NameTable(graph);
  const operands = new OperandTable();
  const nodes = graph.nodes.map((node) => encodeNode(node, names, operands));
  const copies = names.copies.map(({ name, tensor }) => ({
    opType: "Identity",
    input: [names.of(tensor)],
    output: [name],
  }));
  const constants = [...graph.constants].map(([tensor, data]) => ({
    name: names.of(tensor),
    dataType: ELEMENT_TYPE[tensor.dtype],
    dims: [...tensor.shape],
    rawData: bytesOf(data),
  }));
  const model = ModelProto.create({
    irVersion: 8,
    producerName: "adastra",
    opsetImport: [
      { domain: "", version: 18 },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: {
      name: "graph",
      node: [...nodes, ...copies],
      input: graph.inputs.map(({ name, tensor }) => valueInfo(name, tensor)),
      output: graph.outputs.map(({ name, tensor }) => valueInfo(name, tensor)),
      initializer: [...constants, ...operands.initializers],
    },
  });
  return ModelProto.encode(model).finish();
}

/** Names of tensors: those of ports where there is one. */
class NameTable {
  readonly #names = new Map<Tensor, string>();
  /** Outputs that need an Identity: an input, a constant or a tensor already under another name. */
  readonly copies: Port[] = [];

  constructor(graph: Graph) {
    for (const { name, tensor } of graph.inputs) {
      this.#names.set(tensor, name);
    }
    for (const port of graph.outputs) {
      if (this.#names.has(port.tensor) || graph.constants.has(port.tensor)) {
        this.copies.push(port);
      } else {
        this.#names.set(port.tensor, port.name);
      }
    }
  }

  of(tensor: Tensor): string {
    return this.#names.get(tensor) ?? `t${tensor.id}`;
  }
}

/** Initializers for the operands that a graph keeps as attributes; equal ones are one. */
class OperandTable {
  readonly initializers: { name: string; dataType: number; dims: number[]; rawData: Uint8Array }[] =
    [];
  readonly #names = new Map<string, string>();

  name(values: readonly number[]): string {
    const key = values.join();
    let name = this.#names.get(key);
    if (name === undefined) {
      name = `i${this.#names.size}`;
      this.#names.set(key, name);
      const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      this.initializers.push({
        name,
        dataType: ELEMENT_TYPE.int64,
        dims: [values.length],
        rawData,
      });
    }
    return name;
  }
}

function encodeNode(
  { op, inputs, attributes, outputs }: Node,
  names: NameTable,
  operands: OperandTable,
) {
  const kinds = Object.entries(OPS[op].attributes);
  const static_ = kinds.filter(([, kind]) => kind === "operand").map(([name]) => name);
  return {
    opType: op,
    domain: OPS[op].domain ?? "",
    input: [
      ...inputs.map((tensor) => names.of(tensor)),
      ...static_.map((name) => operands.name(ints(attributes, name))),
    ],
    output: outputs.map((tensor) => names.of(tensor)),
    attribute: encodeAttributes(op, attributes),
  };
}

function encodeAttributes(op: OpName, attributes: Attributes): onnxProto.onnx.IAttributeProto[] {
  const { INT, INTS, STRING } = AttributeProto.AttributeType;
  return Object.entries(attributes)
    .filter(([name]) => OPS[op].attributes[name] !== "operand")
    .map(([name, value]) => {
      switch (typeof value) {
        case "number":
          return { name, type: INT, i: value };
        case "string":
          return { name, type: STRING, s: new TextEncoder().encode(value) };
        default:
          return { name, type: INTS, ints: [...value] };
      }
    });
}

function valueInfo(name: string, { shape, dtype }: TensorType) {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPE[dtype], shape: { dim } } } };
}

function bytesOf(data: ConstantData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
