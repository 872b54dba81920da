/**
 * The graph: nodes in execution order over immutable tensors.
 *
 * Every tensor is defined once: as an input, a constant or an output of a node that stands before
 * its users (`verify.ts` holds passes to that). Tensors are compared by identity; passes never
 * change them, they rewire nodes. What an op means stands in `ops.ts`.
 */

import type { OpName } from "./ops/index.ts";
import type { Attributes, TensorType } from "./types.ts";

export type { Attributes, DType, TensorType } from "./types.ts";

export interface Tensor extends TensorType {
  /** Unique within a graph; its ONNX name is `t<id>`. */
  readonly id: number;
}

export interface Node {
  readonly op: OpName;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly outputs: readonly Tensor[];
}

/** A tensor with a name outside the graph; its row-major data is what counts, not its unit axes. */
export interface Port {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Row-major elements; bool as 0 and 1 in a Uint8Array. */
export type ConstantData = Float32Array | Int32Array | Uint32Array | Uint8Array | BigInt64Array;

export interface Graph {
  readonly inputs: readonly Port[];
  readonly constants: ReadonlyMap<Tensor, ConstantData>;
  readonly nodes: readonly Node[];
  readonly outputs: readonly Port[];
}

/** The value of a constant of one element. */
export function scalarOf(
  constants: Graph["constants"],
  tensor: Tensor | undefined,
): number | undefined {
  const data = tensor === undefined ? undefined : constants.get(tensor);
  return data?.length === 1 ? Number(data[0]) : undefined;
}

/** The graph as text, one node a line: `t7 float32[64,10] = Gemm(t1, t2) {transB: 1}`. */
export function print(graph: Graph): string {
  const type = ({ dtype, shape }: Tensor): string => `${dtype}[${shape.join(",")}]`;
  const port = ({ name, tensor }: Port): string => `${name}: t${tensor.id} ${type(tensor)}`;
  const operand = (tensor: Tensor): string =>
    `${scalarOf(graph.constants, tensor) ?? `t${tensor.id}`}`;
  const line = ({ op, inputs, attributes, outputs }: Node): string => {
    const left = outputs.map((tensor) => `t${tensor.id} ${type(tensor)}`).join(", ");
    const options = Object.entries(attributes).map(([key, value]) =>
      typeof value === "object" ? `${key}: [${value.join(",")}]` : `${key}: ${value}`,
    );
    const braces = options.length === 0 ? "" : ` {${options.join(", ")}}`;
    return `${left} = ${op}(${inputs.map(operand).join(", ")})${braces}`;
  };
  return [
    `inputs ${graph.inputs.map(port).join("; ")}`,
    ...graph.nodes.map(line),
    `outputs ${graph.outputs.map(port).join("; ")}`,
  ].join("\n");
}
