/** The verifier: what holds of a graph before and after every pass. */

import { sizeOf } from "@adastra/core";
import type { DType, Graph, Node, Tensor } from "./ir.ts";
import { type AttributeKind, OPS } from "./ops/index.ts";

/** A pass or a rule broke the graph; always a defect of the engine, never of its input. */
export class InvalidGraphError extends Error {
  readonly code = "INVALID_GRAPH";

  constructor(stage: string, detail: string) {
    super(`verify: graph after ${stage} must be valid, got ${detail}`);
    this.name = "InvalidGraphError";
  }
}

const ARRAY_OF = {
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  bool: Uint8Array,
  int64: BigInt64Array,
} as const satisfies Record<DType, unknown>;

/**
 * Checks that every tensor is defined once and before its use, that every node has the inputs,
 * attributes and output types its op states, and that constants hold their element count.
 *
 * @throws InvalidGraphError naming the stage and the node.
 */
export function verify(graph: Graph, stage: string): Graph {
  const fail = (detail: string): never => {
    throw new InvalidGraphError(stage, detail);
  };
  const defined = new Set<Tensor>();
  const define = (tensor: Tensor, what: string): void => {
    if (defined.has(tensor)) {
      fail(`t${tensor.id} defined again by ${what}`);
    }
    defined.add(tensor);
  };
  for (const { name, tensor } of graph.inputs) {
    define(tensor, `input ${name}`);
  }
  for (const [tensor, data] of graph.constants) {
    define(tensor, "a constant");
    if (data.length !== sizeOf(tensor.shape) || !(data instanceof ARRAY_OF[tensor.dtype])) {
      fail(
        `constant t${tensor.id} ${tensor.dtype} of ${sizeOf(tensor.shape)} with ${data.length} elements in a ${data.constructor.name}`,
      );
    }
  }
  graph.nodes.forEach((node, index) => {
    const where = `node ${index} (${node.op})`;
    for (const input of node.inputs) {
      if (!defined.has(input)) {
        fail(`${where} using t${input.id} before its definition`);
      }
    }
    const problem = problemOf(node);
    if (problem !== undefined) {
      fail(`${where} ${problem}`);
    }
    for (const output of node.outputs) {
      define(output, where);
    }
  });
  for (const { name, tensor } of graph.outputs) {
    if (!defined.has(tensor)) {
      fail(`output ${name} on t${tensor.id}, which nothing defines`);
    }
  }
  const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
  if (new Set(names).size !== names.length) {
    fail(`port names twice among ${names.join(", ")}`);
  }
  return graph;
}

/** What is wrong with a node by itself. */
function problemOf({ op, inputs, attributes, outputs }: Node): string | undefined {
  if (!Object.hasOwn(OPS, op)) {
    return "of an unknown op";
  }
  const spec = OPS[op];
  const [least, greatest] = spec.arity;
  if (inputs.length < least || inputs.length > greatest) {
    return `with ${inputs.length} inputs`;
  }
  for (const [name, kind] of Object.entries(spec.attributes)) {
    const value = attributes[name];
    if (!isOfKind(kind, value)) {
      return `with attribute ${name} ${JSON.stringify(value)}`;
    }
  }
  const unknown = Object.keys(attributes).find((name) => !Object.hasOwn(spec.attributes, name));
  if (unknown !== undefined) {
    return `with unknown attribute ${unknown}`;
  }
  try {
    const types = spec.infer(inputs, attributes);
    const show = (types: readonly { dtype: DType; shape: readonly number[] }[]): string =>
      types.map(({ dtype, shape }) => `${dtype}[${shape.join()}]`).join(", ");
    return show(types) === show(outputs)
      ? undefined
      : `returning ${show(outputs)} instead of ${show(types)}`;
  } catch (error) {
    return `refused: ${(error as Error).message}`; // `infer` throws RangeErrors
  }
}

function isOfKind(kind: AttributeKind, value: unknown): boolean {
  switch (kind) {
    case "int":
      return Number.isInteger(value);
    case "string":
      return typeof value === "string";
    default:
      return Array.isArray(value) && value.every(Number.isInteger);
  }
}
