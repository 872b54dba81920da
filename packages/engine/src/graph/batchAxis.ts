/**
 * One graph for every extent of the batch: what differs between the graphs of one program at two extents.
 *
 * Shapes are static in a graph. Lowered twice, at extents b₁ and b₂, a program gives the same nodes, and the
 * numbers that differ among their static operands are of the form factor · b + offset (a Reshape to [b, 10], a
 * Slice up to b, an Expand to [b T, 1]). Solved for both, they can be computed from the extent at run time.
 */

import type { Graph, Node, Tensor } from "./ir.ts";

/** factor · b + offset; a factor of 0 is a plain number. */
export interface Affine {
  readonly factor: number;
  readonly offset: number;
}

/** What depends on the extent of the batch; undefined for what does not. */
export interface BatchAxis {
  operand(node: Node, name: string): readonly Affine[] | undefined;
  /** A constant whose shape depends on it: all its elements are one number. */
  constant(
    tensor: Tensor,
  ): { readonly shape: readonly Affine[]; readonly value: number } | undefined;
  shape(tensor: Tensor): readonly Affine[];
}

export interface Extents {
  readonly first: number;
  readonly second: number;
}

/** @throws RangeError where the graphs differ otherwise: the program depends on the extent in another way. */
export function batchAxisOf(first: Graph, second: Graph, extents: Extents): BatchAxis {
  const twins = twinsOf(first, second);
  const solve = (a: readonly number[], b: readonly number[]): readonly Affine[] =>
    a.map((value, i) => affine(value, b[i] as number, extents));
  const operands = new Map<Node, Map<string, readonly Affine[]>>();
  first.nodes.forEach((node, i) => {
    const found = new Map<string, readonly Affine[]>();
    const twin = second.nodes[i] as Node; // as many, by twinsOf
    for (const [name, value] of Object.entries(node.attributes)) {
      const other = twin.attributes[name];
      if (String(value) === String(other)) {
        continue;
      }
      if (
        !(typeof value === "object" && typeof other === "object" && value.length === other.length)
      ) {
        throw differs(`\`${name}\` of ${node.op}`);
      }
      found.set(name, solve(value, other));
    }
    operands.set(node, found);
  });
  const shape = (tensor: Tensor): readonly Affine[] =>
    solve(tensor.shape, (twins.get(tensor) ?? tensor).shape);
  const constants = new Map<Tensor, { shape: readonly Affine[]; value: number }>();
  for (const [tensor, data] of first.constants) {
    const other = second.constants.get(twins.get(tensor) ?? tensor);
    if (String(data) === String(other)) {
      continue;
    }
    const [value] = data;
    const uniform = [data, other ?? []].every((list) => [...list].every((each) => each === value));
    if (!uniform) {
      throw differs(`a constant of shape [${tensor.shape.join(", ")}]`);
    }
    constants.set(tensor, { shape: shape(tensor), value: Number(value) });
  }
  return {
    operand: (node, name) => operands.get(node)?.get(name),
    constant: (tensor) => constants.get(tensor),
    shape,
  };
}

/** Tensors of the first graph to those at their places in the second. */
function twinsOf(first: Graph, second: Graph): ReadonlyMap<Tensor, Tensor> {
  const all = ({ inputs, constants, nodes }: Graph): Tensor[] => [
    ...inputs.map(({ tensor }) => tensor),
    ...constants.keys(),
    ...nodes.flatMap(({ outputs }) => outputs),
  ];
  const [a, b] = [all(first), all(second)];
  const twins = new Map(a.map((tensor, i) => [tensor, b[i] as Tensor]));
  const same =
    a.length === b.length &&
    first.nodes.length === second.nodes.length &&
    first.nodes.every(({ op, inputs }, i) => {
      const twin = second.nodes[i] as Node;
      return op === twin.op && inputs.every((input, j) => twins.get(input) === twin.inputs[j]);
    });
  if (!same) {
    throw differs("other nodes for another extent");
  }
  return twins;
}

function affine(atFirst: number, atSecond: number, { first, second }: Extents): Affine {
  const factor = (atSecond - atFirst) / (second - first);
  if (!Number.isInteger(factor)) {
    throw differs(`the number ${atFirst}`);
  }
  return { factor, offset: atFirst - factor * first };
}

function differs(what: string): RangeError {
  return new RangeError(`the program must depend on the batch by its extent alone, got ${what}`);
}
