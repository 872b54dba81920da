/** `toOnnx`: a traced function as an ONNX file, its parameters as initializers. */

import { flatten, type Leaves, type Tree } from "@adastra/core";
import { showShape } from "../errors.ts";
import { type BatchAxis, batchAxisOf } from "../graph/batchAxis.ts";
import type { Graph, Port } from "../graph/ir.ts";
import { lower } from "../graph/lower.ts";
import { encode } from "../graph/onnx.ts";
import { optimize } from "../graph/passes/optimize.ts";
import { type BatchArrays, type InputSlot, type Signature, signatureOf } from "../signature.ts";
import type { Mode } from "../trace/mode.ts";
import { forwardFunction, slotsOf, type Traced, trace } from "../trace/trace.ts";
import type { Value } from "../trace/value.ts";

export interface ToOnnxOptions<P, B> {
  /** Parameters, as they are now. */
  readonly params: P;
  /** What the layers keep beside them, and frozen parameters. */
  readonly state?: Leaves<Float32Array>;
  /** A batch; only names, shapes and kinds are read. */
  readonly example: B;
  /**
   * Whether the first axis of every input and output may have any extent; default true. False writes the
   * extents of the example, which a function that depends on them in other ways needs.
   */
  readonly anyBatch?: boolean;
}

/**
 * The ONNX file (opset 18) of a forward function: inputs are the arrays of a batch by name, outputs the named
 * results in float32, initializers the parameters and the state by path.
 *
 * What the layers compute is written in elementary ops, so a batch norm reads as arithmetic.
 *
 * @param forward - As for `compileForward`.
 * @throws TypeError or RangeError if an option or a leaf is not as described, two names are the same, or the
 *   function depends on the batch's extent in a way that no formula follows; UnsupportedOpError for a primitive
 *   without a lowering rule.
 * @example
 * const bytes = toOnnx((p, { x }, mode) => ({ logits: model.apply(p, x, mode) }), { params, state, example: { x } });
 */
export function toOnnx<P extends Tree<Float32Array>, B extends BatchArrays>(
  forward: (params: Traced<P>, batch: Traced<B>, mode: Mode) => Readonly<Record<string, Value>>,
  options: ToOnnxOptions<P, B>,
): Uint8Array {
  const { params, state = {}, example, anyBatch = true } = options;
  const signature = signatureOf("toOnnx", params, example, state);
  const graphOf = (at: Signature): Graph => {
    const { program, outputs } = trace(at, (notes) => forwardFunction(forward, params, at, notes));
    const names = [...slotsOf(at), ...outputs].map(({ name }) => name);
    requireDistinct(names);
    return named(optimize(shaped(lower(program), outputs)), names);
  };
  const weights = new Map(
    Object.entries({ ...flatten(params), ...state }).map(([path, { data }]) => [path, data]),
  );
  if (!anyBatch) {
    return encode(graphOf(signature), { weights, portable: true });
  }
  const { graph, batch } = atAnyBatch(signature, graphOf);
  return encode(graph, { weights, portable: true, batch });
}

/** A file has one space of names. */
function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RangeError(
      `toOnnx: parameters, state, inputs and results must have names of their own, got "${twice}" twice; rename a result or an array of the batch`,
    );
  }
}

/** Primes that no extent of a model is likely to be a multiple of: what differs between them is the batch's. */
const EXTENTS = { first: 89, second: 97 };

function atAnyBatch(
  signature: Signature,
  graphOf: (at: Signature) => Graph,
): { readonly graph: Graph; readonly batch: BatchAxis } {
  const extents = new Set(signature.batch.map(({ shape }) => shape[0]));
  if (extents.size !== 1 || extents.has(undefined)) {
    const shapes = signature.batch.map(({ name, shape }) => `"${name}" ${showShape(shape)}`);
    throw new RangeError(
      `toOnnx: arrays of the example must share their first extent, the batch's, got ${shapes.join(", ") || "none"}; pass anyBatch: false`,
    );
  }
  const at = (extent: number): Signature => ({
    ...signature,
    batch: signature.batch.map((slot) => ({ ...slot, shape: [extent, ...slot.shape.slice(1)] })),
  });
  try {
    const [graph, other] = [graphOf(at(EXTENTS.first)), graphOf(at(EXTENTS.second))];
    return { graph, batch: batchAxisOf(graph, other, EXTENTS) };
  } catch (error) {
    graphOf(signature); // what is wrong at the example's own extent is said first
    throw new RangeError(
      `toOnnx: \`forward\` must be traceable for any batch, got one that is not (${error instanceof Error ? error.message : String(error)}); pass anyBatch: false`,
      { cause: error },
    );
  }
}

/** Outputs with the shapes of the program: a lowered graph leaves unit axes as they come. */
function shaped(graph: Graph, outputs: readonly { readonly shape: readonly number[] }[]): Graph {
  const tensors = [
    ...graph.inputs.map(({ tensor }) => tensor),
    ...graph.constants.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ];
  const free = 1 + tensors.reduce((largest, { id }) => Math.max(largest, id), 0);
  const added = graph.outputs.map(({ name, tensor }, i) => {
    const { shape } = outputs[i] as InputSlot; // one an output
    const output = { id: free + i, shape, dtype: tensor.dtype };
    const node = {
      op: "Reshape" as const,
      inputs: [tensor],
      attributes: { shape },
      outputs: [output],
    };
    return { node, port: { name, tensor: output } };
  });
  return {
    ...graph,
    nodes: [...graph.nodes, ...added.map(({ node }) => node)],
    outputs: added.map(({ port }) => port),
  };
}

function named(graph: Graph, names: readonly string[]): Graph {
  const rename = (ports: readonly Port[], from: number): Port[] =>
    ports.map(({ tensor }, i) => ({ name: names[from + i] as string, tensor }));
  return {
    ...graph,
    inputs: rename(graph.inputs, 0),
    outputs: rename(graph.outputs, graph.inputs.length),
  };
}
