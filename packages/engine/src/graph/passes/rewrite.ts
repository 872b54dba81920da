/** The rewrite driver: local rules over nodes, applied in order until none applies. */

import {
  type Attributes,
  type ConstantData,
  type Graph,
  type Node,
  scalarOf,
  type Tensor,
} from "../ir.ts";
import type { OpName } from "../ops/index.ts";

/** What a rule makes of a node of one output. */
export type Rewrite =
  /** Another node computes the output. */
  | { readonly op: OpName; readonly inputs: readonly Tensor[]; readonly attributes?: Attributes }
  /** The output is another tensor of the same type. */
  | { readonly same: Tensor }
  /** The output is known. */
  | { readonly constant: ConstantData };

/** What a rule may ask about the graph around a node. */
export interface Surroundings {
  /** The node of op `op` that computes `tensor`. */
  readonly producer: (tensor: Tensor | undefined, op: OpName) => Node | undefined;
  /** Whether `tensor` has one user, so that its producer can merge into it. */
  readonly usedOnce: (tensor: Tensor) => boolean;
  readonly scalar: (tensor: Tensor | undefined) => number | undefined;
}

export interface RewriteRule {
  readonly name: string;
  /** The equation the rule performs, with its assumptions. */
  readonly equation: string;
  readonly apply: (node: Node, around: Surroundings) => Rewrite | undefined;
}

/** One sweep of `rules`; returns the graph itself when nothing applied. */
export function rewrite(graph: Graph, rules: readonly RewriteRule[]): Graph {
  const producers = new Map<Tensor, Node>();
  const replaced = new Map<Tensor, Tensor>();
  const constants = new Map(graph.constants);
  const uses = countUses(graph);
  const current = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  const around: Surroundings = {
    producer: (tensor, op) => {
      const node = tensor === undefined ? undefined : producers.get(tensor);
      return node?.op === op ? node : undefined;
    },
    usedOnce: (tensor) => uses.get(tensor) === 1,
    scalar: (tensor) => scalarOf(constants, tensor),
  };
  let changed = false;
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = { ...original, inputs: original.inputs.map(current) };
    const [output] = node.outputs;
    const result = node.outputs.length === 1 ? firstRewrite(node, rules, around) : undefined;
    let kept: Node = node;
    if (result !== undefined && output !== undefined) {
      changed = true;
      if ("same" in result) {
        replaced.set(output, result.same);
        continue;
      }
      if ("constant" in result) {
        constants.set(output, result.constant);
        continue;
      }
      kept = { ...node, op: result.op, inputs: result.inputs, attributes: result.attributes ?? {} };
    }
    nodes.push(kept);
    for (const tensor of kept.outputs) {
      producers.set(tensor, kept);
    }
  }
  if (!changed) {
    return graph;
  }
  const outputs = graph.outputs.map(({ name, tensor }) => ({ name, tensor: current(tensor) }));
  return { inputs: graph.inputs, constants, nodes, outputs };
}

function firstRewrite(
  node: Node,
  rules: readonly RewriteRule[],
  around: Surroundings,
): Rewrite | undefined {
  for (const rule of rules) {
    const result = rule.apply(node, around);
    if (result !== undefined) {
      return result;
    }
  }
  return undefined;
}

function countUses(graph: Graph): ReadonlyMap<Tensor, number> {
  const uses = new Map<Tensor, number>();
  const users = [
    ...graph.nodes.flatMap(({ inputs }) => inputs),
    ...graph.outputs.map((o) => o.tensor),
  ];
  for (const tensor of users) {
    uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  }
  return uses;
}
