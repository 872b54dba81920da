/**
 * Optimizers as gradient transformations of jax-js, in the shape of optax.
 *
 * One step is one jitted function over the leaves of gradients, parameters and state. What is one number a step
 * (bias corrections, the rate) is computed on the host in float64 and enters it as one small array, so that a
 * step compiles once. Inside a `jit` of the caller the step number is not known: then those numbers are
 * computed in the graph.
 */

import { type Changes, type Schedule, ShapeMismatchError, sameShape } from "@adastra/core";
import {
  type Expr,
  isMask,
  type LeafInfo,
  type Optimizer,
  type Program,
  requireOptimizer,
  toProgram,
  verifyProgram,
} from "@adastra/core/program";
import {
  Array as JaxArray,
  type JsTree,
  type JsTreeDef,
  jit,
  numpy as np,
  tree,
} from "@jax-js/jax";
import { Evaluation, type LeafValues } from "../arrays/evaluate.ts";
import type { Value } from "../arrays/ops.ts";
import { HyperparameterValues, requireRate, requireSchedule } from "../arrays/stepNumbers.ts";
import {
  type LeafPrograms,
  largestFrom,
  requireSteps,
  rootsOf,
  type StepProgram,
  shapeIn,
  stepPrograms,
  updateOf,
} from "../arrays/stepProgram.ts";
import { type OwnedOps, ownedOps } from "./ops.ts";
import { type Kept, type KeptKeys, keptBy, type OptState, readTree, treeOf } from "./state.ts";

export interface JaxOptions {
  /** The learning rate α, or a schedule of it by the steps taken. */
  readonly learningRate: number | Schedule;
  /** Values or schedules for hyperparameters of the optimizer, by key; the optimizer's own where absent. */
  readonly hyperparameters?: Changes;
}

/** What one update may be given beside gradients, state and parameters. */
export interface UpdateOptions {
  /** The rate of this step in place of the transformation's own; an argument of a jitted step, for instance. */
  readonly learningRate?: number | JaxArray;
  /** Hyperparameters of this step in place of the transformation's own. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
}

/** The shape of optax's and @jax-js/optax's transformations. Functions use up their arguments, as jax-js's do. */
export interface GradientTransformation {
  init<P extends JsTree<JaxArray>>(params: P): OptState;
  update<P extends JsTree<JaxArray>>(
    updates: P,
    state: OptState,
    params?: P,
    options?: UpdateOptions,
  ): [P, OptState];
  /** The parameters to evaluate the model with: averages, or the iterate that a method calls its answer. */
  evaluationParams<P extends JsTree<JaxArray>>(state: OptState, params: P): P;
}

/**
 * Binds an optimizer to jax-js arrays: `init(params)` gives its state, `update(grads, state, params)` what to add
 * to the parameters, and the next state.
 *
 *     [updates, state] = tx.update(grads, state, params.ref);  params = applyUpdates(params, updates)
 *
 * State: that of the optimizer, in trees like the parameters: `state.mu`, `past.g` (oldest first), and `count`.
 * All of it is float32, as leaves must be, what is one number a tensor, row or column too. A leaf that keeps less than
 * others (an optimizer may decide by path and shape) has a scalar 0 for what it does not keep.
 *
 * Ownership: both functions use up their arguments, also where they do not need them; pass `.ref` or `tree.ref`
 * of what is used again. Where one throws, nothing has been used up.
 *
 * Works inside the caller's `jit`. There the step number is an array, so a schedule cannot be asked: pass the
 * rate as an argument, `tx.update(grads, state, params, { learningRate })`.
 *
 * @throws TypeError for what is not an optimizer, leaves of other dtypes, trees that differ from one another, and
 * parameters left out where the optimizer reads them; ShapeMismatchError for a gradient of another shape than its
 * parameter; RangeError for a rate that is negative or not finite.
 * @remarks Sums are taken in float32, core's in float64; a projection (FastAdaBelief's box) may be off by the
 * rounding of `params + updates`.
 * @example
 * const tx = toJax(adashift(), { learningRate: 1e-2 });
 * let state = tx.init(tree.ref(params));
 */
export function toJax(
  optimizer: Optimizer,
  { learningRate, hyperparameters = {} }: JaxOptions,
): GradientTransformation {
  requireOptimizer("toJax", "`optimizer`", optimizer);
  requireRate("toJax", 1, requireSchedule("toJax", learningRate)(0));
  const program = updateOf(toProgram(optimizer));
  verifyProgram(program);
  requireSteps("toJax", program);
  const values = new HyperparameterValues("toJax", program.hyperparameters, hyperparameters);
  const bind = binder(program);

  function init<P extends JsTree<JaxArray>>(params: P): OptState {
    const [leaves, treedef] = tree.flatten<JaxArray>(params);
    requireFloat32("init", treedef, leaves);
    const { programs, keys } = bind(treedef, leaves);
    const made = keys.states.map(({ key, scope, init: start }) =>
      leaves.map((leaf, i) => {
        if (!keeps(programs, i, key)) {
          return filled([], 0, leaf);
        }
        return start === "params" ? leaf.ref : filled(shapeIn(scope, leaf.shape), start, leaf);
      }),
    );
    const past = keys.past.map(({ key, length, ofElements }) => {
      const zeros = leaves.map((leaf, i) =>
        filled(ofElements && keeps(programs, i, key) ? leaf.shape : [], 0, leaf),
      );
      return Array.from({ length }, (_, i) => zeros.map((zero) => (i === 0 ? zero : zero.ref)));
    });
    const state = treeOf(keys, treedef, { count: countOf(0), states: made, past });
    tree.dispose(params);
    return state;
  }

  function update<P extends JsTree<JaxArray>>(
    updates: P,
    state: OptState,
    params?: P,
    options: UpdateOptions = {},
  ): [P, OptState] {
    const [gradients, treedef] = tree.flatten<JaxArray>(updates);
    requireFloat32("update", treedef, gradients);
    const given = params === undefined || params === null ? undefined : params;
    const sameTree = given === undefined || treedef.equals(tree.structure(given));
    const bound = bind(treedef, given !== undefined && sameTree ? tree.leaves(given) : gradients);
    const { programs, keys } = bound;
    const kept = readTree("update", keys, treedef, state);
    requireParams(programs, treedef, params);
    requireShapes(bound, treedef, gradients, kept, params);
    const count = kept.count instanceof JaxArray ? stepsTaken(kept.count) : undefined;
    const rate = rateOf(options.learningRate ?? learningRate, count);
    if (count === undefined && values.scheduled.length > 0) {
      throw new TypeError(
        `update: \`${values.scheduled[0]}\` must be a number inside jit, got a schedule; pass update(..., { hyperparameters })`,
      );
    }
    const numbers = values.at("update", count ?? 0, options.hyperparameters);

    const arrays: StepArrays = {
      gradients: gradients.map((g) => g.ref),
      params: programs.readsParams ? tree.leaves(params as P) : [],
      states: kept.states.map((leaves) => [...leaves]),
      // The oldest step of each history leaves the state, the others stay.
      past: kept.past.map((steps) =>
        steps.map((leaves, age) => (age === 0 ? [...leaves] : leaves.map((leaf) => leaf.ref))),
      ),
    };
    if (!programs.readsParams) {
      tree.dispose(params);
    }
    let results: StepResults;
    if (count !== undefined && typeof rate === "number") {
      const scalars = knownValues(bound.known, { ...numbers, t: count + 1, lr: rate });
      // What `jit` gives back has the form of what was returned.
      results = bound.compiled(
        arrays,
        vector([...PADDING, ...scalars], gradients[0]),
      ) as StepResults;
    } else {
      const owned = ownedOps();
      const t =
        count === undefined ? owned.own(np.astype(kept.count.ref, np.float32).add(1)) : count + 1;
      const lr = typeof rate === "number" ? rate : owned.own(np.astype(rate, np.float32));
      results = compute(bound, arrays, owned, { ...numbers, t, lr }, new Map());
    }
    const next = count === undefined ? np.add(kept.count.ref, 1) : countOf(count + 1);
    kept.count.dispose();
    const past = keys.past.map(({ key }, i) => {
      const newest =
        key === "g"
          ? gradients.map((g, leaf) => (keeps(programs, leaf, key) ? g.ref : filled([], 0, g)))
          : (results.newest[i] ?? []);
      return [...(kept.past[i] ?? []).slice(1), newest];
    });
    tree.dispose(updates);
    const after = treeOf(keys, treedef, { count: next, states: results.states, past });
    return [tree.unflatten(treedef, results.results) as P, after];
  }

  function evaluationParams<P extends JsTree<JaxArray>>(state: OptState, params: P): P {
    const [leaves, treedef] = tree.flatten<JaxArray>(params);
    requireFloat32("evaluationParams", treedef, leaves);
    const bound = bind(treedef, leaves);
    const kept = readTree("evaluationParams", bound.keys, treedef, state);
    const owned = ownedOps();
    const arrays: StepArrays = {
      gradients: leaves.map((leaf) => leaf.ref),
      params: leaves.map((leaf) => leaf.ref),
      states: kept.states.map((own) => own.map((leaf) => leaf.ref)),
      past: [],
    };
    const t = owned.own(np.astype(kept.count.ref, np.float32).add(1));
    const numbers = { ...values.at("evaluationParams", 0), t, lr: 0 };
    const evaluation = evaluationOf(bound, arrays, owned, numbers, new Map());
    const evaluated = leaves.map((leaf, i) => {
      const e = bound.programs.programs[i]?.evaluation;
      return e === undefined ? leaf.ref : spread(evaluation.value(e, i), leaf.shape);
    });
    owned.dispose();
    tree.dispose([arrays, params, state]);
    return tree.unflatten(treedef, evaluated) as P;
  }

  return { init, update, evaluationParams };
}

/** `params + updates`, leaf by leaf; uses up both. */
export function applyUpdates<P extends JsTree<JaxArray>>(params: P, updates: P): P {
  // `map` gives back the tree it was given, with arrays for arrays.
  return tree.map((p: JaxArray, u: JaxArray) => p.add(u), params as JsTree<JaxArray>, updates) as P;
}

/** What one step reads, by leaf at the innermost position. A type alias: jax-js takes trees of those alone. */
type StepArrays = {
  gradients: JaxArray[];
  /** Empty where the program does not read parameters. */
  params: JaxArray[];
  states: JaxArray[][];
  past: JaxArray[][][];
};

type StepResults = {
  results: JaxArray[];
  states: JaxArray[][];
  /** The newest values of histories and queues; none of the gradient's, which is there already. */
  newest: JaxArray[][];
};

/** An optimizer over leaves of known shapes. */
interface Bound {
  readonly programs: LeafPrograms;
  readonly keys: KeptKeys;
  /** What the host computes of each step. */
  readonly known: readonly Expr[];
  readonly compiled: (arrays: StepArrays, scalars: JaxArray) => unknown;
}

/** One `Bound` for all leaves of the same paths and shapes. */
function binder(program: Program): (treedef: JsTreeDef, like: readonly JaxArray[]) => Bound {
  const numbers = ["t", "lr", ...Object.keys(program.hyperparameters)];
  const known = new Map<string, Bound>();
  return (treedef, like) => {
    const paths = pathsOf(treedef);
    const infos = like.map(({ shape }, i): LeafInfo => ({ path: paths[i] as string, shape }));
    const key = JSON.stringify(infos);
    let bound = known.get(key);
    if (bound === undefined) {
      bound = bindTo(stepPrograms(program, infos), numbers);
      known.set(key, bound);
    }
    return bound;
  };
}

function bindTo(programs: LeafPrograms, numbers: readonly string[]): Bound {
  const known = largestFrom(numbers, programs.programs.flatMap(rootsOf));
  const bound: Bound = {
    programs,
    keys: keptBy(programs),
    known,
    compiled: jit((arrays: StepArrays, scalars: JaxArray) => {
      const owned = ownedOps();
      const values = known.map((e, i): [Expr, JaxArray] => {
        const value = owned.own(scalars.ref.slice(i + PADDING.length));
        return [e, isMask(e) ? owned.ops.lt(0, value) : value];
      });
      scalars.dispose();
      return compute(bound, arrays, owned, {}, new Map(values));
    }),
  };
  return bound;
}

/** Whether a leaf's program keeps what stands under a key. */
function keeps({ programs }: LeafPrograms, leaf: number, key: string): boolean {
  const { states, histories, queues } = programs[leaf] as StepProgram;
  return [...states, ...histories, ...queues].some((each) => each.key === key);
}

/** Unequal numbers at the head of the scalars: jax-js compiles an array of equal ones as a constant, anew each step. */
const PADDING: readonly number[] = [0, 1];

function evaluationOf(
  { programs: { programs, common }, keys }: Bound,
  arrays: StepArrays,
  owned: OwnedOps,
  numbers: Readonly<Record<string, Value<JaxArray>>>,
  known: ReadonlyMap<Expr, JaxArray>,
): Evaluation<JaxArray> {
  const leaves = arrays.gradients.map((g, leaf): LeafValues<JaxArray> => {
    const { sites, historyOf } = programs[leaf] as StepProgram;
    const inputs = new Map<string, Value<JaxArray> | undefined>([
      ...keys.states.map(({ key }, i) => [key, arrays.states[i]?.[leaf]] as const),
      ...Object.entries(numbers),
      ["g", g],
      ["p", arrays.params[leaf]],
    ]);
    return {
      shape: g.shape,
      step: 0,
      sites,
      // `stepPrograms` has checked that inputs are these.
      input: (name) => inputs.get(name) as Value<JaxArray>,
      past: (e, steps) => {
        const index = keys.past.findIndex(({ key }) => key === historyOf.get(e)?.key);
        return arrays.past[index]?.at(-steps)?.[leaf] as JaxArray;
      },
    };
  });
  return new Evaluation(owned.ops, leaves, common, known);
}

/** A value as an array of the shape, with a reference of its own. */
function spread(value: Value<JaxArray>, shape: number[]): JaxArray {
  if (typeof value === "number") {
    return np.full(shape, value);
  }
  return sameShape(value.shape, shape) ? value.ref : np.broadcastTo(value.ref, shape);
}

/** One step over arrays or tracers. Uses up `arrays` and disposes of `owned`. */
function compute(
  bound: Bound,
  arrays: StepArrays,
  owned: OwnedOps,
  numbers: Readonly<Record<string, Value<JaxArray>>>,
  known: ReadonlyMap<Expr, JaxArray>,
): StepResults {
  const { gradients } = arrays;
  const { keys } = bound;
  const { programs } = bound.programs;
  const evaluation = evaluationOf(bound, arrays, owned, numbers, known);
  const results: StepResults = {
    results: gradients.map((g, leaf) =>
      spread(evaluation.value((programs[leaf] as StepProgram).result, leaf), g.shape),
    ),
    states: keys.states.map(({ key, scope }, i) => {
      const nextOf = (leaf: number): Expr | undefined =>
        programs[leaf]?.states.find((state) => state.key === key)?.next;
      // One number for all leaves is that of the first that keeps it, as in core.
      const first = gradients.findIndex((_, leaf) => nextOf(leaf) !== undefined);
      return gradients.map((g, leaf) => {
        const from = scope === "step" ? first : leaf;
        const next = nextOf(leaf) === undefined ? undefined : nextOf(from);
        return next === undefined
          ? placeholder(arrays.states[i]?.[leaf])
          : spread(evaluation.value(next, from), shapeIn(scope, g.shape));
      });
    }),
    newest: keys.past.map(({ key, ofElements }, i) =>
      (key === "g" ? [] : gradients).map((g, leaf) => {
        const own = programs[leaf] as StepProgram;
        const history = [...own.histories, ...own.queues].find((each) => each.key === key);
        return history === undefined
          ? placeholder(arrays.past[i]?.at(-1)?.[leaf])
          : spread(evaluation.value(history.source, leaf), ofElements ? g.shape : []);
      }),
    ),
  };
  owned.dispose();
  tree.dispose(arrays);
  return results;
}

/** What stands where a leaf keeps nothing, once more. */
function placeholder(scalar: JaxArray | undefined): JaxArray {
  return scalar === undefined ? np.full([], 0) : scalar.ref;
}

/** What the host knows of a step, in float64. */
function knownValues(
  known: readonly Expr[],
  numbers: Readonly<Record<string, number>>,
): readonly number[] {
  const { ops } = ownedOps();
  const leaf: LeafValues<JaxArray> = {
    shape: [],
    step: 0,
    input: (name) => numbers[name] as number,
    past: () => 0,
  };
  const evaluation = new Evaluation(ops, [leaf], new Set());
  // Computed from these numbers alone: numbers.
  return known.map((e) => evaluation.value(e, 0) as number);
}

/** The rate of the step after `count` steps; the rate itself where it is an array. */
function rateOf(
  learningRate: number | Schedule | JaxArray,
  count: number | undefined,
): number | JaxArray {
  if (typeof learningRate === "number") {
    return requireRate("update", (count ?? 0) + 1, learningRate);
  }
  if (typeof learningRate !== "function") {
    return learningRate;
  }
  if (count === undefined) {
    throw new TypeError(
      "update: `learningRate` must be a number inside jit, got a schedule; pass update(..., { learningRate }) as an argument of the jitted function",
    );
  }
  return requireRate("update", count + 1, learningRate(count));
}

/** Step counts of arrays that were made here, so that no step waits for the device to hand one back. */
const COUNTS: WeakMap<JaxArray, number> = /* @__PURE__ */ new WeakMap();

function countOf(steps: number): JaxArray {
  const count = np.array(steps, { dtype: np.uint32 });
  COUNTS.set(count, steps);
  return count;
}

function stepsTaken(count: JaxArray): number {
  return COUNTS.get(count) ?? count.ref.item();
}

function vector(data: readonly number[], like?: JaxArray): JaxArray {
  return np.array(Float32Array.from(data), deviceOf(like));
}

function filled(shape: number[], value: number, like: JaxArray): JaxArray {
  return np.full(shape, value, { dtype: np.float32, ...deviceOf(like) });
}

/** The device of an array; a tracer has none. */
function deviceOf(like: JaxArray | undefined): Pick<JaxArray, "device"> | Record<string, never> {
  return like instanceof JaxArray ? { device: like.device } : {};
}

function requireFloat32(where: string, treedef: JsTreeDef, leaves: readonly JaxArray[]): void {
  const other = leaves.findIndex(({ dtype }) => dtype !== np.float32);
  if (other >= 0) {
    throw new TypeError(
      `${where}: leaves must be float32, got ${leaves[other]?.dtype} at "${pathsOf(treedef)[other]}"; cast it`,
    );
  }
}

function requireParams<P extends JsTree<JaxArray>>(
  program: LeafPrograms,
  treedef: JsTreeDef,
  params: P | undefined,
): void {
  if (params === undefined || params === null) {
    if (program.readsParams) {
      throw new TypeError(
        `update: "${program.name}" needs the parameters, got none; pass update(grads, state, params)`,
      );
    }
  } else if (!treedef.equals(tree.structure(params))) {
    throw new TypeError(
      `update: gradients must have the tree of the parameters, ${tree.structure(params).toString(false)}, got ${treedef.toString(false)}`,
    );
  }
}

/** Gradients are shaped as the parameters, or as what is kept of elements where there are none. */
function requireShapes<P extends JsTree<JaxArray>>(
  { programs, keys }: Bound,
  treedef: JsTreeDef,
  gradients: readonly JaxArray[],
  kept: Kept,
  params: P | undefined,
): void {
  const given = params === undefined || params === null ? undefined : tree.leaves(params);
  const ofElements = [
    ...keys.states.map(({ key, scope }, i) => ({
      key,
      leaves: scope === "element" ? kept.states[i] : undefined,
    })),
    ...keys.past.map((past, i) => ({
      key: past.key,
      leaves: past.ofElements ? kept.past[i]?.[0] : undefined,
    })),
  ];
  gradients.forEach((g, i) => {
    const like = ofElements.find((each) => each.leaves && keeps(programs, i, each.key));
    const expected = (given ?? like?.leaves)?.[i]?.shape ?? g.shape;
    if (!sameShape(expected, g.shape)) {
      throw new ShapeMismatchError("update", pathsOf(treedef)[i] as string, expected, g.shape);
    }
  });
}

/** Paths of a tree's leaves, such as `"dense1/kernel"`. */
function pathsOf(treedef: JsTreeDef, prefix = ""): string[] {
  if (treedef.childTreedefs.length === 0) {
    return treedef.size === 1 ? [prefix] : [];
  }
  return treedef.childTreedefs.flatMap((child, i) => {
    // The keys of an object; an array has none.
    const keys = treedef.nodeMetadata as readonly string[] | null;
    const key = keys?.[i] ?? String(i);
    return pathsOf(child, prefix === "" ? key : `${prefix}/${key}`);
  });
}
