/**
 * A program prepared for evaluation over arrays: what it makes, what it keeps, and what the host knows of it.
 *
 *     program ─ specialise ───────────▶ one program a kind of leaf
 *             ─ rewrite, merge twins ─▶ expressions as core plans them
 *             ─ delays ───────────────▶ histories of elements, queues of one number a tensor
 *             ─ windows, summed anew ─▶ expressions of those histories
 *
 * Keys, order and lengths of what is kept are those of core's compiled optimizers, so that state moves between
 * the two. Here windows are never continued but summed anew in every step, L − 1 additions instead of two: exact,
 * no NaN outlives the window, and the running sums that core keeps follow from the history.
 */

import {
  directWindow,
  drawsAnything,
  type Expr,
  type Hyperparameters,
  kernelOperands,
  type LeafInfo,
  mergeTwins,
  operands,
  type Program,
  Rewriter,
  reachable,
  recursiveWindow,
  roundsToFewerBits,
  type Scope,
  scopeOf,
  specialise,
  verifyProgram,
  windowState,
  withOperands,
} from "@adastra/core/program";

export interface StateSlot {
  readonly key: string;
  readonly scope: Scope;
  /** Value of every number before the first step; `"params"` starts at the parameter itself. */
  readonly init: number | "params";
  readonly next: Expr;
  /** Whether its value never depends on an array: then it stays a number, in float64. */
  readonly onHost: boolean;
}

/** The values of one expression in the last `length` steps. */
export interface History {
  readonly key: string;
  readonly source: Expr;
  readonly length: number;
  readonly onHost: boolean;
}

/** The program of one kind of leaf. */
export interface StepProgram {
  readonly name: string;
  /** What the step makes: the program's `params`. */
  readonly result: Expr;
  readonly states: readonly StateSlot[];
  /** Of elements, in core's order: the gradient's under `g`. */
  readonly histories: readonly History[];
  /** Of values that are one number a tensor. */
  readonly queues: readonly History[];
  /** Running sums as core keeps them, as expressions of the past alone. */
  readonly windows: readonly { readonly key: string; readonly sum: Expr }[];
  /** The history or queue that a delayed expression is read from. */
  readonly historyOf: ReadonlyMap<Expr, History>;
  /** Expressions whose value is the same for all leaves at one step number. */
  readonly common: ReadonlySet<Expr>;
  /** Reductions over all tensors by domain, as this kind of leaf writes them. */
  readonly sites: ReadonlyMap<string, Expr>;
  /** The parameter to evaluate the model with, where it is another. */
  readonly evaluation: Expr | undefined;
  /** Whether the parameter is read. */
  readonly readsParams: boolean;
}

/** The programs of all leaves; expressions of different kinds of leaves compare by identity. */
export interface LeafPrograms {
  readonly name: string;
  readonly hyperparameters: Hyperparameters;
  /** One a leaf; leaves of a kind have the same. */
  readonly programs: readonly StepProgram[];
  readonly common: ReadonlySet<Expr>;
  readonly readsParams: boolean;
}

/** Every expression that a step evaluates. */
export function rootsOf({ result, states, histories, queues }: StepProgram): readonly Expr[] {
  const past = [...histories, ...queues].map(({ source }) => source);
  return [result, ...states.map(({ next }) => next), ...past];
}

/** The same program with what is added to the parameter as its result, instead of the new parameter. */
export function updateOf(program: Program): Program {
  const { params } = program;
  const isSum = params.op === "add" && params.a.op === "input" && params.a.name === "p";
  const p: Expr = { op: "input", name: "p", scope: "element" };
  return { ...program, params: isSum ? params.b : { op: "sub", a: params, b: p } };
}

/** The shape of what is one number for each of a scope, such that it broadcasts against the leaf. */
export function shapeIn(scope: Scope, shape: readonly number[]): number[] {
  switch (scope) {
    case "element":
      return [...shape];
    case "row":
      return shape.map((extent, axis) => (axis === shape.length - 1 ? 1 : extent));
    case "column":
      return shape.map((extent, axis) => (axis === shape.length - 1 ? extent : 1));
    default:
      return [];
  }
}

/** @throws TypeError for a program with calls before its step: what runs over arrays takes steps alone. */
export function requireSteps(where: string, program: Program): void {
  const { name, before } = program;
  if (drawsAnything(program) || roundsToFewerBits(program)) {
    throw new TypeError(
      `${where}: the optimizer must neither draw nor round to fewer bits, got "${name}"; use core's kernels`,
    );
  }
  if (before.length > 0) {
    const statuses = before.map(({ status }) => status).join(", ");
    throw new TypeError(
      `${where}: the optimizer must take its steps in one call, got "${name}" with calls before them (${statuses}); use core's kernels`,
    );
  }
}

/** @throws TypeError when the program is not legal (see core's `verifyProgram`), and what a choice finds wrong in the leaves. */
export function stepPrograms(source: Program, leaves: readonly LeafInfo[]): LeafPrograms {
  verifyProgram(source);
  const rewriter = new Rewriter();
  const programs: StepProgram[] = [];
  for (const kind of specialise({ ...source, inspect: {} }, leaves).classes) {
    const program = stepProgram(kind.program, rewriter);
    for (const leaf of kind.leaves) {
      programs[leaf] = program;
    }
  }
  return {
    name: source.name,
    hyperparameters: source.hyperparameters,
    programs,
    common: new Set(programs.flatMap(({ common }) => [...common])),
    readsParams: programs.some(({ readsParams }) => readsParams),
  };
}

/** One without choices. */
function stepProgram(source: Program, rewriter: Rewriter): StepProgram {
  const { program } = mergeTwins(source, rewriter, (e) => rewriter.rewrite(e));
  const everything = [program.params, ...Object.values(program.next)];

  const windows = new Map<Expr & { op: "window" }, string>();
  const lengths = new Map<Expr, number>();
  const note = ({ a, steps }: Expr & { op: "delay" }): void => {
    lengths.set(a, Math.max(lengths.get(a) ?? 0, steps));
  };
  for (const node of reachable(everything, operands)) {
    if (node.op === "window") {
      const key = windowState(windows.size);
      windows.set(node, key);
      const state: Expr = { op: "input", name: key, scope: "element" };
      // Pasts as core's kernels read them: those below a matrix stage are not theirs.
      const forms = [recursiveWindow(node, state), directWindow(node)];
      reachable(
        forms.map((form) => rewriter.rewrite(form)),
        kernelOperands,
      ).forEach((e) => e.op === "delay" && note(e));
    } else if (node.op === "delay" && scopeOf(node) === "element") {
      note(node);
    }
  }

  const anew = summedAnew(rewriter);
  const result = anew(program.params);
  const slots = Object.entries(program.state).map(([key, { scope, init }]) => ({
    key,
    scope,
    init,
    next: anew(program.next[key] as Expr),
  }));
  const histories = [...lengths].map(([expr, length], index): History => {
    const isGradient = expr.op === "input" && expr.name === "g";
    const key = isGradient ? "g" : `history${index}`;
    return { key, source: anew(expr), length, onHost: false };
  });
  const roots = [
    result,
    ...slots.map(({ next }) => next),
    ...histories.map((history) => history.source),
  ];
  const queued = queuesOf(roots);

  const onHost = knownToHost(slots, Object.keys(program.hyperparameters));
  const queues = [...queued].map(([expr, length], index): History => {
    return { key: `queue${index}`, source: expr, length, onHost: onHost(expr) };
  });
  const all = reachable([...roots, ...queued.keys()], operands);
  return {
    name: program.name,
    result,
    states: slots.map((slot) => ({
      ...slot,
      onHost: isNumber(slot.scope) && onHost({ op: "input", name: slot.key, scope: slot.scope }),
    })),
    histories,
    queues,
    windows: [...windows].map(([node, key]) => ({
      key,
      sum: anew(directWindow({ ...node, a: { op: "delay", a: node.a, steps: 1 } })),
    })),
    historyOf: new Map([...histories, ...queues].map((history) => [history.source, history])),
    common: commonOf(all),
    sites: new Map(
      all.flatMap((e) => (e.op === "reduce" && e.over === "all" ? [[e.domain ?? "", e]] : [])),
    ),
    evaluation: program.evaluation,
    readsParams: all.some((e) => e.op === "input" && e.name === "p"),
  };
}

/** Replaces every window by the sum of its terms. */
function summedAnew(rewriter: Rewriter): (e: Expr) => Expr {
  const memo = new Map<Expr, Expr>();
  const walk = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const inner = withOperands(e, operands(e).map(walk));
    const result = inner.op === "window" ? directWindow(inner) : inner;
    memo.set(e, result);
    return result;
  };
  return (e) => rewriter.rewrite(walk(e));
}

/** Sources of delays that are one number a tensor, with the longest delay of each. */
function queuesOf(roots: readonly Expr[]): ReadonlyMap<Expr, number> {
  const lengths = new Map<Expr, number>();
  for (const e of reachable(roots, operands)) {
    if (e.op === "delay" && scopeOf(e) !== "element") {
      lengths.set(e.a, Math.max(lengths.get(e.a) ?? 0, e.steps));
    }
  }
  return lengths;
}

/** What depends on no array, given that per-tensor state may be such a value too: the largest set that holds. */
function knownToHost(
  slots: readonly Omit<StateSlot, "onHost">[],
  hyperparameters: readonly string[],
): (e: Expr) => boolean {
  let keys = slots.filter(({ scope }) => isNumber(scope)).map(({ key }) => key);
  for (;;) {
    const known = computedFrom(["t", "lr", ...hyperparameters, ...keys]);
    const kept = slots.filter(({ key, next }) => keys.includes(key) && known(next));
    if (kept.length === keys.length) {
      return known;
    }
    keys = kept.map(({ key }) => key);
  }
}

function isNumber(scope: Scope): boolean {
  return scope === "step" || scope === "tensor";
}

/** Whether an expression is computed from constants and the inputs of these names alone, by operations that `admits` takes. */
export function computedFrom(
  names: readonly string[],
  admits: (e: Expr) => boolean = () => true,
): (e: Expr) => boolean {
  const memo = new Map<Expr, boolean>();
  const computed = (e: Expr): boolean => {
    let known = memo.get(e);
    if (known === undefined) {
      known = e.op === "input" ? names.includes(e.name) : admits(e) && operands(e).every(computed);
      memo.set(e, known);
    }
    return known;
  };
  return computed;
}

/**
 * The largest expressions below `roots` that are computed from the inputs of these names, at least one of them, and
 * that have the same value for every leaf.
 */
export function largestFrom(names: readonly string[], roots: readonly Expr[]): readonly Expr[] {
  const computed = computedFrom(names, ({ op }) => op !== "reduce" && op !== "delay");
  const constant = computedFrom([]);
  const found = new Set<Expr>();
  reachable(roots, (e) => {
    if (computed(e)) {
      if (!constant(e)) {
        found.add(e);
      }
      return [];
    }
    return operands(e);
  });
  return [...found];
}

/** Values of step scope without a past of their own, among `all` in the order operands, users. */
function commonOf(all: readonly Expr[]): ReadonlySet<Expr> {
  const common = new Set<Expr>();
  for (const e of all) {
    const overAll = e.op === "reduce" && e.over === "all";
    const isOperation = e.op !== "delay" && operands(e).every((operand) => common.has(operand));
    if (overAll || (scopeOf(e) === "step" && isOperation)) {
      common.add(e);
    }
  }
  return common;
}
