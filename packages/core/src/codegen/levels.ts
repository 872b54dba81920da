/** The order that reductions impose on a program. */

import { type Expr, operands, scopeOf } from "../expr/node.ts";

/**
 * The earliest pass in which a node can be computed: one after each reduction over elements and each matrix stage that it needs.
 *
 * @param expand - windows as the expressions that are computed for them.
 * @param sites - by domain, when the result of a reduction over all tensors is known, if that is later.
 */
export function levels(
  expand: (e: Expr) => Expr,
  sites: ReadonlyMap<string, number>,
): (e: Expr) => number {
  const memo = new Map<Expr, number>();
  const scopes = new Map();
  const levelOf = (e: Expr): number => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const needs = e.op === "delay" ? [] : operands(expand(e));
    let level = needs.reduce((most, operand) => Math.max(most, levelOf(operand)), 0);
    if (e.op === "newtonSchulz") {
      level += 1;
    } else if (e.op === "reduce") {
      // What the host reduces over one tensor is known at once; across tensors it takes the end of a pass.
      level += e.over === "all" || scopeOf(e.a, scopes) === "element" ? 1 : 0;
      level = Math.max(level, sites.get(e.domain ?? "") ?? 0);
    }
    memo.set(e, level);
    return level;
  };
  return levelOf;
}
