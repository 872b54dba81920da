/** Dead code: nodes and constants that no output needs. Inputs stay, they are the signature. */

import type { Graph, Node, Tensor } from "../ir.ts";

export function eliminateDead(graph: Graph): Graph {
  const live = new Set<Tensor>(graph.outputs.map(({ tensor }) => tensor));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((tensor) => live.has(tensor))) {
      nodes.push(node);
      for (const tensor of node.inputs) {
        live.add(tensor);
      }
    }
  }
  const constants = new Map([...graph.constants].filter(([tensor]) => live.has(tensor)));
  return { ...graph, constants, nodes: nodes.reverse() };
}
