/** Appends typed nodes and constants to a graph under construction. */

import type {
  Attributes,
  ConstantData,
  DType,
  Graph,
  Node,
  Port,
  Tensor,
  TensorType,
} from "./ir.ts";
import { OPS, type OpName } from "./ops/index.ts";

/** What a graph will run on, where that decides its form. */
export type Target = "cpu" | "webgpu";

export class GraphBuilder {
  readonly target: Target;
  readonly #inputs: Port[] = [];
  readonly #nodes: Node[] = [];
  readonly #producers = new Map<Tensor, Node>();
  readonly #constants = new Map<Tensor, ConstantData>();
  readonly #scalars = new Map<string, Tensor>();
  #count = 0;

  constructor(target: Target = "cpu") {
    this.target = target;
  }

  input(name: string, type: TensorType): Tensor {
    const tensor = this.#tensor(type);
    this.#inputs.push({ name, tensor });
    return tensor;
  }

  constant(type: TensorType, data: ConstantData): Tensor {
    const tensor = this.#tensor(type);
    this.#constants.set(tensor, data);
    return tensor;
  }

  /** A constant of shape []; equal ones are one tensor. */
  scalar(value: number, dtype: DType): Tensor {
    const key = `${dtype} ${Object.is(value, -0) ? "-0" : value}`;
    let tensor = this.#scalars.get(key);
    if (tensor === undefined) {
      tensor = this.constant({ shape: [], dtype }, arrayOf(dtype, value));
      this.#scalars.set(key, tensor);
    }
    return tensor;
  }

  scalarOf(tensor: Tensor): number | undefined {
    const data = this.#constants.get(tensor);
    return data?.length === 1 ? Number(data[0]) : undefined;
  }

  /** One node; its output types follow from its inputs. */
  emitAll(op: OpName, inputs: readonly Tensor[], attributes: Attributes = {}): readonly Tensor[] {
    const types = OPS[op].infer(inputs, attributes);
    const outputs = types.map((type) => this.#tensor(type));
    const node: Node = { op, inputs, attributes, outputs };
    this.#nodes.push(node);
    for (const tensor of outputs) {
      this.#producers.set(tensor, node);
    }
    return outputs;
  }

  /** One node of a single output. */
  emit(op: OpName, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor {
    const [output] = this.emitAll(op, inputs, attributes);
    if (output === undefined) {
      throw new Error(`emit: op must have an output, got ${op} without`);
    }
    return output;
  }

  /** The node of op `op` that computes `tensor`, if one does. */
  producer(tensor: Tensor, op: OpName): Node | undefined {
    const node = this.#producers.get(tensor);
    return node?.op === op ? node : undefined;
  }

  build(outputs: readonly Port[]): Graph {
    return { inputs: this.#inputs, constants: this.#constants, nodes: this.#nodes, outputs };
  }

  #tensor({ shape, dtype }: TensorType): Tensor {
    return { id: this.#count++, shape, dtype };
  }
}

/** One element as constant data. */
export function arrayOf(dtype: DType, value: number): ConstantData {
  switch (dtype) {
    case "float32":
      return Float32Array.of(value);
    case "int32":
      return Int32Array.of(value);
    case "uint32":
      return Uint32Array.of(value);
    case "int64":
      return BigInt64Array.of(BigInt(value));
    case "bool":
      return Uint8Array.of(value === 0 ? 0 : 1);
  }
}
