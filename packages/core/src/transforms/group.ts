/**
 * Parameter groups: another optimizer, or another rate, for each group of leaves.
 *
 * A program of one group never meets the leaves of another: each `choose` below is decided when the optimizer is
 * compiled, and reductions over all tensors run over the group's own.
 */

import { requireNonNegative, show } from "../errors.ts";
import { add, choose, mul } from "../expr/build.ts";
import { type Choice, type Expr, type LeafInfo, operands, withOperands } from "../expr/node.ts";
import {
  combine,
  type Hyperparameter,
  type NamedInputs,
  nonNegative,
  type Optimizer,
  type Phase,
  requireOptimizer,
  type StepOutputs,
  uniqueKey,
} from "../optimizer.ts";
import { matchesPath, requirePattern, somePaths } from "./patterns.ts";

export interface GroupMember {
  readonly optimizer: Optimizer;
  /** A rate of the group's own in place of the common one, at least 0. */
  readonly learningRate?: number;
  /** What the rate is multiplied by, at least 0, default 1. */
  readonly scale?: number;
}

interface Member {
  readonly pattern: string;
  readonly optimizer: Optimizer;
  /** The group's rates and the hyperparameters of its optimizer, by their key in the whole. */
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** Keys in the whole by those that the optimizer knows. */
  readonly keys: ReadonlyMap<string, string>;
}

/** The pattern that takes every leaf which no other takes. */
const REST = "**";

/**
 * Optimizers by pattern of leaf paths.
 *
 * A pattern is a path with `*` for any characters of one segment and `**` for any number of segments; the pattern
 * `**` alone takes every leaf that no other takes. Reductions over all tensors (`clipByGlobalNorm`, Adai's mean) run over
 * the group's own leaves.
 *
 * State: for each leaf that of its optimizer; groups that declare the same state share its name. Hyperparameters carry
 * their group's pattern: `"head/**.scale"`, `"head/**.weightDecay"`, and `"head/**.learningRate"` for a group with a rate
 * of its own; they can be changed while training, and take schedules through `compileOptimizer`'s `hyperparameters`.
 *
 * @throws TypeError for what is no optimizer; RangeError for no groups, a rate out of range, or optimizers that take
 * different calls before a step. When compiled, RangeError for a leaf that two patterns take or none does, and for a
 * pattern other than `**` that takes none.
 * @remarks The common `learningRate` reaches every group without one of its own.
 * @example group({ "head/**": adam(), "**": { optimizer: sgd({ momentum: 0.9 }), scale: 10 } })
 */
export function group(groups: Readonly<Record<string, Optimizer | GroupMember>>): Optimizer {
  const members = Object.entries(groups).map(([pattern, given]) => memberOf(pattern, given));
  if (members.length === 0) {
    throw new RangeError(
      "group: at least one group is needed, got none; pass optimizers by pattern",
    );
  }
  const calls = callsOf(members);
  const choice: Choice = {
    branch: (leaf) => {
      const index = indexOf(members, leaf);
      return index < 0 ? members.length : index;
    },
    check: (leaves) => checkLeaves(members, leaves),
  };
  const confinements = members.map((_, index) => confineTo(members, index));
  const combined = combine(
    members.map(({ optimizer: { state } }) => ({ state })),
    true,
  );
  const inputsOf = (index: number, inputs: NamedInputs): NamedInputs => {
    const { pattern, keys } = members[index] as Member;
    const own = Array.from(keys, ([key, unique]) => [key, inputs[unique]]);
    const { [`${pattern}.learningRate`]: rate = inputs.lr } = inputs;
    return {
      ...combined.inputsOf(index, inputs),
      ...(Object.fromEntries(own) as Record<string, Expr>),
      lr: mul(rate, inputs[`${pattern}.scale`] as Expr),
    };
  };
  /** What each member makes of its inputs, confined to its leaves. */
  const each = <T>(
    inputs: NamedInputs,
    make: (optimizer: Optimizer, own: NamedInputs, confine: (e: Expr) => Expr) => T,
  ): T[] =>
    members.map(({ optimizer }, index) => {
      const own = inputsOf(index, inputs);
      const confine = confinements[index] as Confinement;
      return make(optimizer, own, confine(Object.values(own)));
    });
  /** One call of all groups: for each leaf that of its own. */
  const together = (
    inputs: NamedInputs,
    call: (optimizer: Optimizer, own: NamedInputs) => StepOutputs<string>,
  ): StepOutputs<string> => {
    const made = each(inputs, (optimizer, own, confine) =>
      mapOutputs(call(optimizer, own), confine),
    );
    const next = made.map((outputs, index) => combined.rename(index, outputs.next));
    const inspected = Object.keys(made[0]?.inspect ?? {}).filter((name) =>
      made.every(({ inspect = {} }) => Object.hasOwn(inspect, name)),
    );
    return {
      // The last branch is that of a leaf left out, which the check refuses.
      update: choose(choice, [...made.map(({ update }) => update), 0]),
      ...(made.some(({ params }) => params !== undefined) && {
        params: choose(choice, [
          ...made.map(({ update, params = add(inputs.p, update) }) => params),
          inputs.p,
        ]),
      }),
      next: Object.fromEntries(
        Object.keys(combined.state).map((key) => [
          key,
          choose(
            choice,
            next.map((own) => own[key] ?? (inputs[key] as Expr)),
          ),
        ]),
      ),
      inspect: Object.fromEntries(
        inspected.map((name) => [
          name,
          choose(
            choice,
            made.map(({ inspect = {} }) => inspect[name] as Expr),
          ),
        ]),
      ),
    };
  };
  return {
    name: `group(${members.map(({ optimizer }) => optimizer.name).join(", ")})`,
    state: combined.state,
    hyperparameters: Object.fromEntries(
      members.flatMap(({ hyperparameters }) => Object.entries(hyperparameters)),
    ),
    step: (inputs) => together(inputs, (optimizer, own) => optimizer.step(own)),
    before: calls.map(
      (status, index): Phase => ({
        status,
        step: (inputs) =>
          together(inputs, ({ before = [] }, own) => (before[index] as Phase).step(own)),
      }),
    ),
    ...(members.some(({ optimizer }) => optimizer.evaluation !== undefined) && {
      evaluation: (inputs) =>
        choose(
          choice,
          each(inputs, ({ evaluation }, own, confine) => confine(evaluation?.(own) ?? own.p)),
        ),
    }),
  };
}

/** Makes expressions of a group's optimizer, but for those it was given, the group's own. */
type Confinement = (given: readonly Expr[]) => (e: Expr) => Expr;

function memberOf(pattern: string, given: Optimizer | GroupMember): Member {
  requirePattern("group", "a key", pattern);
  const member: GroupMember =
    typeof given === "object" && "optimizer" in given ? given : { optimizer: given };
  const { optimizer, learningRate, scale = 1 } = member;
  requireOptimizer("group", `"${pattern}"`, optimizer);
  const rates = { scale, ...(learningRate !== undefined && { learningRate }) };
  const hyperparameters: Record<string, Hyperparameter> = {};
  for (const [name, value] of Object.entries(rates)) {
    requireNonNegative("group", `${pattern}.${name}`, value);
    hyperparameters[`${pattern}.${name}`] = nonNegative(value);
  }
  const keys = new Map<string, string>();
  for (const [key, spec] of Object.entries(optimizer.hyperparameters ?? {})) {
    const unique = uniqueKey(`${pattern}.${key}`, hyperparameters);
    hyperparameters[unique] = spec;
    keys.set(key, unique);
  }
  return { pattern, optimizer, hyperparameters, keys };
}

/** What the calls before a step report, the same for every group. */
function callsOf(members: readonly Member[]): readonly Phase["status"][] {
  const calls = members.map(({ optimizer: { before = [] } }) => before.map(({ status }) => status));
  const [first = []] = calls;
  const other = calls.findIndex((each) => each.join() !== first.join());
  if (other >= 0) {
    const names = [members[0], members[other]]
      .map((member) => member?.optimizer.name)
      .join(" and ");
    throw new RangeError(
      `group: optimizers of all groups must take the same calls before a step, got ${names}; put accumulate or sam around the group`,
    );
  }
  return first;
}

/** Index of the group of a leaf: of the pattern that takes it, else of the rest; −1 where there is neither. */
function indexOf(members: readonly Member[], { path }: LeafInfo): number {
  const index = members.findIndex(({ pattern }) => pattern !== REST && matchesPath(pattern, path));
  return index >= 0 ? index : members.findIndex(({ pattern }) => pattern === REST);
}

function checkLeaves(members: readonly Member[], leaves: readonly LeafInfo[]): void {
  const patterns = members.map(({ pattern }) => pattern).filter((pattern) => pattern !== REST);
  for (const leaf of leaves) {
    const takers = patterns.filter((pattern) => matchesPath(pattern, leaf.path));
    if (takers.length > 1) {
      throw new RangeError(
        `group: each leaf must be in one group, got "${leaf.path}" in ${takers.map(show).join(" and ")}; narrow one of them`,
      );
    }
    if (indexOf(members, leaf) < 0) {
      throw new RangeError(
        `group: each leaf must be in one group, got "${leaf.path}" in none of ${patterns.map(show).join(", ")}; add "**" for the rest`,
      );
    }
  }
  const idle = patterns.find((pattern) => !leaves.some(({ path }) => matchesPath(pattern, path)));
  if (idle !== undefined) {
    throw new RangeError(
      `group: a pattern must take at least one leaf, got "${idle}"; leaves are ${somePaths(leaves)}`,
    );
  }
}

/** Gives reductions over all tensors the group's domain, and lets checks of choices see the group's leaves. */
function confineTo(members: readonly Member[], index: number): Confinement {
  // Groups of the same patterns have the same leaves: the patterns name the domain.
  const domain = JSON.stringify([index, ...members.map(({ pattern }) => pattern)]);
  const choices = new Map<Choice, Choice>();
  const confineChoice = (choice: Choice): Choice => {
    const { branch, check } = choice;
    const confined = choices.get(choice) ?? {
      branch,
      ...(check !== undefined && {
        check: (leaves: readonly LeafInfo[]) => {
          const own = leaves.filter((leaf) => indexOf(members, leaf) === index);
          if (own.length > 0) {
            check(own);
          }
        },
      }),
    };
    choices.set(choice, confined);
    return confined;
  };
  return (given) => {
    const memo = new Map<Expr, Expr>(given.map((e) => [e, e]));
    const walk = (e: Expr): Expr => {
      const known = memo.get(e);
      if (known !== undefined) {
        return known;
      }
      let confined = withOperands(e, operands(e).map(walk));
      if (confined.op === "choose") {
        confined = { ...confined, choice: confineChoice(confined.choice) };
      } else if (confined.op === "reduce" && confined.over === "all") {
        confined = { ...confined, domain: `${domain}${confined.domain ?? ""}` };
      }
      memo.set(e, confined);
      return confined;
    };
    return walk;
  };
}

function mapOutputs(
  { update, params, next, inspect = {} }: StepOutputs<string>,
  f: (e: Expr) => Expr,
): StepOutputs<string> {
  const mapValues = (named: Readonly<Record<string, Expr>>): Record<string, Expr> =>
    Object.fromEntries(Object.entries(named).map(([key, e]) => [key, f(e)]));
  return {
    update: f(update),
    ...(params !== undefined && { params: f(params) }),
    next: mapValues(next),
    inspect: mapValues(inspect),
  };
}
