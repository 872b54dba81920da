/**
 * States that always hold the same numbers become one array.
 *
 * CProp around Adam keeps the average of g² that Adam keeps too when their decay rates agree: two keys,
 * one definition, so one array. Two states are twins when they start alike and their next values are the
 * same expression once one is read for the other, in the step and in every phase before it.
 */

import { input } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import type { Rewriter } from "../expr/rewrite.ts";
import { mapProgram, type Program } from "../optimizer.ts";

export interface Merged {
  readonly program: Program;
  /** Merged keys, by the key they live on under. */
  readonly twins: Readonly<Record<string, string>>;
}

/** Merges twins and puts every expression into canonical, expanded form. */
export function mergeTwins(source: Program, rewriter: Rewriter, expand: (e: Expr) => Expr): Merged {
  const twins: Record<string, string> = {};
  let program = mapProgram(source, expand);
  const keys = Object.keys(source.state);
  for (const [position, key] of keys.entries()) {
    for (const twin of keys.slice(position + 1)) {
      const merged = tryMerge(program, rewriter, key, twin);
      if (merged !== undefined) {
        program = merged;
        twins[twin] = key;
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
  if (
    spec.scope !== other.scope ||
    spec.format !== other.format ||
    !Object.is(spec.init, other.init)
  ) {
    return undefined;
  }
  const replace = new Map([[twin, input(key, spec.scope)]]);
  const merged = mapProgram(program, (e) => rewriter.substitute(e, replace));
  const phases = [merged, ...merged.before];
  if (phases.some(({ next }) => next[key] !== next[twin])) {
    return undefined;
  }
  return withoutState(merged, [twin]);
}

/** The program without the state of some keys. */
export function withoutState(program: Program, keys: readonly string[]): Program {
  const kept = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
  return {
    ...program,
    state: kept(program.state),
    next: kept(program.next),
    before: program.before.map((phase) => ({ ...phase, next: kept(phase.next) })),
  };
}
