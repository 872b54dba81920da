/** Cases of decentralized methods in trace files: they carry their own graph and gradients. */

import { broken, isList, isRow, record } from "./checks.ts";

/** What a case of N nodes in d dimensions is run on. */
export interface DecentralizedInputs {
  /** W, N rows of N. */
  readonly matrix: readonly (readonly number[])[];
  /** `[node][dim]`. */
  readonly init: readonly (readonly number[])[];
  readonly steps: number;
  readonly gradients:
    | { readonly kind: "fixed"; readonly grads: readonly (readonly (readonly number[])[])[] }
    /** a (x − c) by node and dimension. */
    | {
        readonly kind: "quadratic";
        readonly a: readonly (readonly number[])[];
        readonly c: readonly (readonly number[])[];
      }
    | { readonly kind: "two_node_counterexample" };
}

/** @throws TypeError naming the file and what in the case is not of the schema. */
export function parseDecentralized(value: unknown, file: string, at: string): DecentralizedInputs {
  const { W, init, steps, grads, objective } = record(value, file, at);
  if (!isList(init, isRow) || init.length === 0) {
    throw broken(file, `${at}: \`init\` must hold numbers by node`, init);
  }
  const [nodes, size] = [init.length, init[0]?.length ?? 0];
  if (!isGrid(init, nodes, size)) {
    throw broken(file, `${at}: \`init\` must hold ${size} numbers at every node`, init);
  }
  if (!isList(W, isRow) || !isGrid(W, nodes, nodes)) {
    throw broken(file, `${at}: \`W\` must be ${nodes} rows of ${nodes} numbers`, W);
  }
  if (!(typeof steps === "number" && Number.isSafeInteger(steps) && steps >= 0)) {
    throw broken(file, `${at}: \`steps\` must be a natural number`, steps);
  }
  const isNodes = (item: unknown): item is readonly (readonly number[])[] =>
    isList(item, isRow) && isGrid(item, nodes, size);
  if (grads !== undefined) {
    if (!isList(grads, isNodes) || grads.length < steps) {
      throw broken(
        file,
        `${at}: \`grads\` must hold ${steps} steps of ${size} numbers at ${nodes} nodes`,
        grads,
      );
    }
    return { matrix: W, init, steps, gradients: { kind: "fixed", grads } };
  }
  const { kind, a, c } = record(objective, file, `${at}: \`objective\``);
  if (kind === "quadratic") {
    if (!isNodes(a) || !isNodes(c)) {
      throw broken(
        file,
        `${at}: a quadratic needs \`a\` and \`c\`, ${size} numbers at ${nodes} nodes`,
        { a, c },
      );
    }
    return { matrix: W, init, steps, gradients: { kind, a, c } };
  }
  if (kind !== "two_node_counterexample") {
    throw broken(
      file,
      `${at}: the objective must be "quadratic" or "two_node_counterexample"`,
      kind,
    );
  }
  if (nodes !== 2 || size !== 1) {
    throw broken(file, `${at}: the counterexample has two nodes of one number`, init);
  }
  return { matrix: W, init, steps, gradients: { kind } };
}

function isGrid(rows: readonly (readonly number[])[], height: number, width: number): boolean {
  return rows.length === height && rows.every((row) => row.length === width);
}
