/**
 * Whether anybody reads what a pass reduces, as an expression that the host knows before the pass.
 *
 *     select(c, f(Σ x), b)      Σ x is needed where c holds, if nothing else leads to it
 *
 * So an iteration of unrolled passes ends where it has converged: the passes that are left reduce for branches that the
 * step does not take, and are not run.
 */

import { type Expr, operands, scopeOf } from "../expr/node.ts";

/** Conditions that must hold, or not hold, on every way from a root to a node. */
type Guards = ReadonlyMap<Expr, boolean>;

/**
 * @param nodes - all that the roots lead to, operands before users.
 * @returns for the reductions of a pass: where one of them is needed; undefined where that is always, or not known in time.
 */
export function demand(
  roots: readonly Expr[],
  nodes: readonly Expr[],
  levelOf: (e: Expr) => number,
): (reductions: readonly Expr[], pass: number) => Expr | undefined {
  const guardsOf = guards(roots, nodes);
  return (reductions, pass) => {
    const needs = reductions.map((e) =>
      Array.from(guardsOf.get(e) ?? [])
        .filter(([cond]) => levelOf(cond) <= pass)
        .map(([cond, holds]): Expr => (holds ? cond : { op: "not", a: cond }))
        .reduce<Expr | undefined>((a, b) => (a === undefined ? b : { op: "and", a, b }), undefined),
    );
    return needs.reduce(
      (a, b) => (a === undefined || b === undefined ? undefined : a === b ? a : { op: "or", a, b }),
      needs[0],
    );
  };
}

function guards(roots: readonly Expr[], nodes: readonly Expr[]): ReadonlyMap<Expr, Guards> {
  const scopes = new Map();
  const known = new Map<Expr, Guards>(roots.map((root) => [root, new Map()]));
  for (const e of nodes.toReversed()) {
    // All users come before: what is known of the node is complete.
    const own = known.get(e) as Guards;
    for (const [position, operand] of operands(e).entries()) {
      const guarded = e.op === "select" && position > 0 && isOneNumber(e.cond, scopes);
      const way = guarded ? new Map([...own, [e.cond, position === 1]]) : own;
      const others = known.get(operand);
      known.set(operand, others === undefined ? way : common(others, way));
    }
  }
  return known;
}

function isOneNumber(cond: Expr, scopes: Map<Expr, ReturnType<typeof scopeOf>>): boolean {
  const scope = scopeOf(cond, scopes);
  return scope === "step" || scope === "tensor";
}

function common(a: Guards, b: Guards): Guards {
  return new Map([...a].filter(([cond, holds]) => b.get(cond) === holds));
}
