/** Encoding: a graph as the bytes of an ONNX model (opset 18). */

import onnxProto from "onnx-proto";
import type { Affine, BatchAxis } from "./batchAxis.ts";
import { arrayOf } from "./builder.ts";
import type { Attributes, ConstantData, Graph, Node, Port, Tensor, TensorType } from "./ir.ts";
import { ELEMENT_TYPE, int, ints, OPS, type OpName } from "./ops/index.ts";

const { AttributeProto, ModelProto } = onnxProto.onnx;

/** How a graph is written that others read, not only a session of this process. */
export interface FileOptions {
  /** Data of the inputs that are initializers, by port. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
  /** Only ops of ONNX's own set. */
  readonly portable?: boolean;
  /** The first axis of every other input is named `batch`, and its extent free. */
  readonly batch?: BatchAxis;
}

type NodeProto = onnxProto.onnx.INodeProto;

/** The model; inputs and outputs carry the names of the graph's ports. */
export function encode(graph: Graph, options: FileOptions = {}): Uint8Array {
  const { weights = new Map<string, Float32Array>(), portable = false, batch } = options;
  const names = new NameTable(graph);
  const [fed] = graph.inputs.filter(({ name }) => !weights.has(name));
  const operands = new OperandTable(names, fed?.name ?? "");
  const constants = [...graph.constants].flatMap(([tensor, data]) => {
    const varying = batch?.constant(tensor);
    if (varying !== undefined) {
      operands.fill(names.of(tensor), tensor, varying);
      return [];
    }
    return [initializer(names.of(tensor), tensor, data)];
  });
  const nodes = graph.nodes.flatMap((node) => encodeNode(node, names, operands, options));
  const copies = names.copies.map(({ name, tensor }) => ({
    opType: "Identity",
    input: [names.of(tensor)],
    output: [name],
  }));
  const stored = graph.inputs.flatMap(({ name, tensor }) => {
    const data = weights.get(name);
    return data === undefined ? [] : [initializer(name, tensor, data)];
  });
  const ports = (list: readonly Port[]) =>
    list.map(({ name, tensor }) => valueInfo(name, tensor, batch?.shape(tensor)));
  const model = ModelProto.create({
    irVersion: 8,
    producerName: "adastra",
    opsetImport: [
      { domain: "", version: 18 },
      ...(portable ? [] : [{ domain: "com.microsoft", version: 1 }]),
    ],
    graph: {
      name: "graph",
      node: [...operands.nodes, ...nodes, ...copies],
      input: ports(graph.inputs.filter(({ name }) => !weights.has(name))),
      output: ports(graph.outputs),
      initializer: [...stored, ...constants, ...operands.initializers],
    },
  });
  return ModelProto.encode(model).finish();
}

function initializer(name: string, { dtype, shape }: TensorType, data: ConstantData) {
  return { name, dataType: ELEMENT_TYPE[dtype], dims: [...shape], rawData: bytesOf(data) };
}

/** Names of tensors: those of ports where there is one. */
class NameTable {
  readonly #names = new Map<Tensor, string>();
  readonly #taken: Set<string>;
  /** Outputs that need an Identity: an input, a constant or a tensor already under another name. */
  readonly copies: Port[] = [];

  constructor(graph: Graph) {
    this.#taken = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
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
    let name = this.#names.get(tensor);
    if (name === undefined) {
      name = this.free(`t${tensor.id}`);
      this.#names.set(tensor, name);
    }
    return name;
  }

  /** `name`, or one that no port has. */
  free(name: string): string {
    return this.#taken.has(name) ? this.free(`${name}_`) : name;
  }
}

/** Initializers for the operands that a graph keeps as attributes, and nodes for those that depend on the batch. */
class OperandTable {
  readonly initializers: ReturnType<typeof initializer>[] = [];
  readonly nodes: NodeProto[] = [];
  readonly #names = new Map<string, string>();
  readonly #free: (name: string) => string;
  /** Whose first extent is the batch's. */
  readonly #input: string;

  constructor(names: NameTable, input: string) {
    this.#free = (name) => names.free(name);
    this.#input = input;
  }

  name(values: readonly number[]): string {
    return this.#once(values.join(), `i${this.#names.size}`, (name) => {
      const data = BigInt64Array.from(values, BigInt);
      this.initializers.push(initializer(name, { shape: [values.length], dtype: "int64" }, data));
    });
  }

  /** Computed at run time: the parts that are numbers, and those that are not, end to end. */
  varying(entries: readonly Affine[]): string {
    const key = entries.map(({ factor, offset }) => `${factor}b+${offset}`).join();
    return this.#once(key, `batch${this.#names.size}`, (name) => {
      const parts = entries.map((entry) => this.#scalar(entry));
      this.#emit("Concat", parts, name, [intAttribute("axis", 0)]);
    });
  }

  /** A constant of one number, as large as the batch makes it. */
  fill(
    name: string,
    { dtype }: TensorType,
    { shape, value }: { readonly shape: readonly Affine[]; readonly value: number },
  ): void {
    const t = initializer("", { shape: [1], dtype }, arrayOf(dtype, value));
    const attribute = { name: "value", type: AttributeProto.AttributeType.TENSOR, t };
    this.#emit("ConstantOfShape", [this.varying(shape)], name, [attribute]);
  }

  /** [factor · batch + offset]. */
  #scalar({ factor, offset }: Affine): string {
    if (factor === 0) {
      return this.name([offset]);
    }
    return this.#once(`${factor}b+${offset}`, `batch${this.#names.size}`, (name) => {
      const product = offset === 0 ? name : this.#free(`${name}_product`);
      this.#emit("Mul", [this.#extent(), this.name([factor])], product);
      if (offset !== 0) {
        this.#emit("Add", [product, this.name([offset])], name);
      }
    });
  }

  #extent(): string {
    return this.#once("b", "batch", (name) => {
      const end = intAttribute("end", 1);
      this.#emit("Shape", [this.#input], name, [intAttribute("start", 0), end]);
    });
  }

  #once(key: string, wanted: string, define: (name: string) => void): string {
    let name = this.#names.get(key);
    if (name === undefined) {
      name = this.#free(wanted);
      this.#names.set(key, name);
      define(name);
    }
    return name;
  }

  #emit(
    opType: string,
    input: string[],
    output: string,
    attribute: onnxProto.onnx.IAttributeProto[] = [],
  ): void {
    this.nodes.push({ opType, input, output: [output], attribute });
  }
}

function intAttribute(name: string, i: number): onnxProto.onnx.IAttributeProto {
  return { name, type: AttributeProto.AttributeType.INT, i };
}

function encodeNode(
  node: Node,
  names: NameTable,
  operands: OperandTable,
  { portable = false, batch }: FileOptions,
): NodeProto[] {
  const { op, inputs, attributes, outputs } = node;
  if (op === "FusedMatMul" && portable) {
    return matmul(node, names);
  }
  const kinds = Object.entries(OPS[op].attributes);
  const static_ = kinds.filter(([, kind]) => kind === "operand").map(([name]) => name);
  const operand = (name: string): string => {
    const varying = batch?.operand(node, name);
    return varying === undefined
      ? operands.name(ints(attributes, name))
      : operands.varying(varying);
  };
  const proto = {
    opType: op,
    domain: OPS[op].domain ?? "",
    input: [...inputs.map((tensor) => names.of(tensor)), ...static_.map(operand)],
    output: outputs.map((tensor) => names.of(tensor)),
    attribute: encodeAttributes(op, attributes),
  };
  return [proto];
}

/** FusedMatMul by ONNX's own ops: its operands transposed beforehand. */
function matmul({ inputs, attributes, outputs }: Node, names: NameTable): NodeProto[] {
  const output = outputs.map((tensor) => names.of(tensor));
  const transposes: NodeProto[] = [];
  const input = inputs.map((tensor, i) => {
    if (int(attributes, i === 0 ? "transA" : "transB") === 0) {
      return names.of(tensor);
    }
    const rank = tensor.shape.length;
    const perm = [...tensor.shape.keys()].slice(0, -2).concat(rank - 1, rank - 2);
    const turned = names.free(`${output[0]}_${i === 0 ? "a" : "b"}`);
    const { INTS } = AttributeProto.AttributeType;
    transposes.push({
      opType: "Transpose",
      input: [names.of(tensor)],
      output: [turned],
      attribute: [{ name: "perm", type: INTS, ints: perm }],
    });
    return turned;
  });
  return [...transposes, { opType: "MatMul", input, output }];
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

function valueInfo(name: string, { shape, dtype }: TensorType, varying?: readonly Affine[]) {
  const dim = shape.map((dimValue, axis) => {
    const { factor, offset } = varying?.[axis] ?? { factor: 0, offset: dimValue };
    // Only the batch itself has a name; what is computed from it is left open.
    return factor === 0 ? { dimValue } : factor === 1 && offset === 0 ? { dimParam: "batch" } : {};
  });
  return { name, type: { tensorType: { elemType: ELEMENT_TYPE[dtype], shape: { dim } } } };
}

function bytesOf(data: ConstantData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
