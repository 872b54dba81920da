/**
 * States that always hold the same numbers become one array.
 *
 * CProp around Adam keeps the average of g² that Adam keeps too when their decay rates agree: two keys,
 * one definition, so one array. Two states are twins when they start alike and their next values are the
 * same expression once one is read for the other.
 */

import { input } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import type { Rewriter } from "../expr/rewrite.ts";
import type { Program } from "../optimizer.ts";

export interface Merged {
  readonly program: Program;
  /** Merged keys, by the key they live on under. */
  readonly twins: ReadonlyMap<string, string>;
}

/** Merges twins and puts every expression into canonical, expanded form. */
export function mergeTwins(source: Program, rewriter: Rewriter, expand: (e: Expr) => Expr): Merged {
  const twins = new Map<string, string>();
  let program: Program = {
    ...source,
    params: expand(source.params),
    next: mapValues(source.next, expand),
  };
  const keys = Object.keys(source.state);
  for (const [position, key] of keys.entries()) {
    for (const twin of keys.slice(position + 1)) {
      const merged = tryMerge(program, rewriter, key, twin);
      if (merged !== undefined) {
        program = merged;
        twins.set(twin, key);
      }
    }
  }
  return { program, twins };
}

function tryMerge(
  program: Program,
  rewriter: Rewriter,
  key: string,
  twin: string,
): Program | undefined {
  const spec = program.state[key];
  const other = program.state[twin];
  if (spec === undefined || other === undefined) {
    return undefined; // one of them has been merged already
  }
  if (spec.scope !== other.scope || !Object.is(spec.init, other.init)) {
    return undefined;
  }
  const replace = new Map([[twin, input(key, spec.scope)]]);
  const next = mapValues(program.next, (e) => rewriter.substitute(e, replace));
  if (next[key] !== next[twin]) {
    return undefined;
  }
  const { [twin]: _state, ...state } = program.state;
  const { [twin]: _next, ...rest } = next;
  return { ...program, state, params: rewriter.substitute(program.params, replace), next: rest };
}

function mapValues(
  record: Readonly<Record<string, Expr>>,
  f: (e: Expr) => Expr,
): Readonly<Record<string, Expr>> {
  return Object.fromEntries(Object.entries(record).map(([key, e]) => [key, f(e)]));
}
