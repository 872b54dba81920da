/** Common subexpressions: equal nodes over equal inputs are computed once. */

import type { ConstantData, Graph, Node, Tensor } from "../ir.ts";

/** Larger constants are compared by identity only. */
const COMPARED_ELEMENTS = 1024;

export function eliminateCommon(graph: Graph): Graph {
  const replaced = new Map<Tensor, Tensor>();
  const current = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;

  const constants = new Map<Tensor, ConstantData>();
  const byContent = new Map<string, Tensor>();
  for (const [tensor, data] of graph.constants) {
    const known = data.length > COMPARED_ELEMENTS ? undefined : contentKey(tensor, data);
    const first = known === undefined ? undefined : byContent.get(known);
    if (first !== undefined) {
      replaced.set(tensor, first);
      continue;
    }
    constants.set(tensor, data);
    if (known !== undefined) {
      byContent.set(known, tensor);
    }
  }

  const nodes: Node[] = [];
  const byKey = new Map<string, Node>();
  for (const original of graph.nodes) {
    const node = { ...original, inputs: original.inputs.map(current) };
    const key = `${node.op} ${node.inputs.map(({ id }) => id).join()} ${JSON.stringify(node.attributes)}`;
    const first = byKey.get(key);
    if (first === undefined) {
      byKey.set(key, node);
      nodes.push(node);
    } else {
      first.outputs.forEach((tensor, index) => {
        replaced.set(node.outputs[index] as Tensor, tensor); // equal nodes have equal outputs
      });
    }
  }
  const outputs = graph.outputs.map(({ name, tensor }) => ({ name, tensor: current(tensor) }));
  return { inputs: graph.inputs, constants, nodes, outputs };
}

/** Bytes, not numbers: -0 and 0 differ, NaN equals itself. */
function contentKey({ dtype, shape }: Tensor, data: ConstantData): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return `${dtype} [${shape.join()}] ${bytes.join()}`;
}
