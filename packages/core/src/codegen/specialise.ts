/**
 * One program for all leaves becomes one for each kind of leaf.
 *
 *     choose(path, shape) ─▶ the branch that a leaf takes; state that the leaf then never reads is left out
 *
 * Leaves whose programs are the same expressions form a class, and only classes are planned. Reductions over all
 * tensors run across classes: each gets a number, and the pass after which every class has done its share.
 */

import { type Expr, type LeafInfo, operands, withOperands } from "../expr/node.ts";
import { Rewriter } from "../expr/rewrite.ts";
import { isRounding } from "../expr/verify.ts";
import { mapProgram, type Program, type ProgramPhase } from "../optimizer.ts";
import { levels } from "./levels.ts";
import { withoutState } from "./twins.ts";
import { directWindow } from "./windows.ts";

/** Leaves that run the same program. */
export interface LeafClass {
  readonly program: Program;
  /** Indices of its leaves, rising. */
  readonly leaves: readonly number[];
}

export interface Specialised {
  readonly classes: readonly LeafClass[];
  /** By domain of each reduction over all tensors: the pass from which on its result is known. */
  readonly sites: ReadonlyMap<string, number>;
}

/** @throws what the check of a choice throws, for leaves that it makes no sense for. */
export function specialise(source: Program, leaves: readonly LeafInfo[]): Specialised {
  const rewriter = new Rewriter();
  const canonical = mapProgram(source, (e) => rewriter.rewrite(e));
  checkChoices(canonical, leaves);
  const program = mapProgram(canonical, numberSites(rewriter));
  const classes: { key: string; program: Program; leaves: number[] }[] = [];
  const ids = new Map<Expr, number>();
  const idOf = (e: Expr): number => {
    ids.set(e, ids.get(e) ?? ids.size);
    return ids.get(e) as number;
  };
  leaves.forEach((leaf, index) => {
    const own = withoutUnread(
      withoutIdleRounding(mapProgram(program, takeBranches(leaf, rewriter))),
    );
    const key = rootsOf(own)
      .map(([name, e]) => `${name}:${idOf(e)}`)
      .join();
    const known = classes.find((each) => each.key === key);
    if (known === undefined) {
      classes.push({ key, program: own, leaves: [index] });
    } else {
      known.leaves.push(index);
    }
  });
  return { classes, sites: siteLevels(program, rewriter) };
}

function checkChoices(program: Program, leaves: readonly LeafInfo[]): void {
  visit(program, (e) => {
    if (e.op === "choose") {
      e.choice.check?.(leaves);
    }
  });
}

/** Gives each reduction over all tensors a domain of its own. */
function numberSites(rewriter: Rewriter): (e: Expr) => Expr {
  const sites = new Map<Expr, string>();
  return transform((before, e) => {
    if (e.op !== "reduce" || e.over !== "all") {
      return e;
    }
    const site = sites.get(before) ?? String(sites.size);
    sites.set(before, site);
    return { ...e, domain: site };
  }, rewriter);
}

function takeBranches(leaf: LeafInfo, rewriter: Rewriter): (e: Expr) => Expr {
  return transform(
    (_, e) => (e.op === "choose" ? (e.branches[e.choice.branch(leaf)] as Expr) : e),
    rewriter,
  );
}

/** Applies `f` to every node, operands first; `f` sees the node as it was, and with its new operands. */
function transform(f: (before: Expr, e: Expr) => Expr, rewriter: Rewriter): (e: Expr) => Expr {
  const memo = new Map<Expr, Expr>();
  const walk = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const result = f(e, withOperands(e, operands(e).map(walk)));
    memo.set(e, result);
    return result;
  };
  return (e) => rewriter.rewrite(walk(e));
}

/** State that stays as it is is rounded already. */
function withoutIdleRounding(program: Program): Program {
  const idle = <P extends ProgramPhase>(phase: P): P => ({
    ...phase,
    next: Object.fromEntries(
      Object.entries(phase.next).map(([key, e]) => {
        const stays = isRounding(e) && e.a.op === "input" && e.a.name === key;
        return [key, stays ? e.a : e];
      }),
    ),
  });
  return { ...idle(program), before: program.before.map(idle) };
}

/** Leaves out state that stays as it is and that nothing reads. */
function withoutUnread(program: Program): Program {
  const read = new Set<string>();
  const unchanged = (key: string, e: Expr): boolean => e.op === "input" && e.name === key;
  const seen = new Set<Expr>();
  const walk = (e: Expr): void => {
    if (!seen.has(e)) {
      seen.add(e);
      if (e.op === "input") {
        read.add(e.name);
      }
      operands(e).forEach(walk);
    }
  };
  for (const [name, e] of rootsOf(program)) {
    if (!unchanged(name, e)) {
      walk(e);
    }
  }
  const phases = [program, ...program.before];
  return withoutState(
    program,
    Object.keys(program.state).filter(
      (key) => !read.has(key) && phases.every(({ next }) => unchanged(key, next[key] as Expr)),
    ),
  );
}

/** Every expression of a program by the state it becomes, or by a name that no state has. */
function rootsOf(program: Program): [string, Expr][] {
  return [
    ...[program, ...program.before].flatMap(({ params, next }): [string, Expr][] => [
      ["params of a phase", params],
      ...Object.entries(next),
    ]),
    ...Object.entries(program.inspect).map(([name, e]): [string, Expr] => [`inspect ${name}`, e]),
    ...(program.evaluation === undefined
      ? []
      : [["evaluation of it", program.evaluation] as [string, Expr]]),
  ];
}

function siteLevels(program: Program, rewriter: Rewriter): Map<string, number> {
  const sites = new Map<string, number>();
  const levelOf = levels(
    (e) => (e.op === "window" ? rewriter.rewrite(directWindow(e)) : e),
    new Map(),
  );
  visit(program, (e) => {
    if (e.op === "reduce" && e.over === "all") {
      sites.set(e.domain as string, levelOf(e));
    }
  });
  return sites;
}

/** Calls `f` on every node of a program, operands first. */
function visit(program: Program, f: (e: Expr) => void): void {
  const seen = new Set<Expr>();
  const walk = (e: Expr): void => {
    if (!seen.has(e)) {
      seen.add(e);
      operands(e).forEach(walk);
      f(e);
    }
  };
  for (const [, e] of rootsOf(program)) {
    walk(e);
  }
}
