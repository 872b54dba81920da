/**
 * Optimizers as gradient transformations of jax-js, in the shape of optax.
 *
 * One step is one jitted function over the leaves of gradients, parameters and state. What is one number a step
 * (bias corrections, the rate) is computed on the host in float64 and enters it as one small array, so that a
 * step compiles once. Inside a `jit` of the caller the step number is not known: then those numbers are
 * computed in the graph.
 */

import { type Schedule, ShapeMismatchError, sameShape } from "@adastra/core";
import {
  type Expr,
  isMask,
  type Optimizer,
  requireOptimizer,
  toProgram,
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
import { requireRate, requireSchedule } from "../arrays/learningRate.ts";
import type { Value } from "../arrays/ops.ts";
import {
  largestFrom,
  rootsOf,
  type StepProgram,
  stepProgram,
  updateOf,
} from "../arrays/stepProgram.ts";
import { type OwnedOps, ownedOps } from "./ops.ts";
import { type Kept, type OptState, readTree, treeOf } from "./state.ts";

export interface JaxOptions {
  /** The learning rate α, or a schedule of it by the steps taken. */
  readonly learningRate: number | Schedule;
}

/** What one update may be given beside gradients, state and parameters. */
export interface UpdateOptions {
  /** The rate of this step in place of the transformation's own; an argument of a jitted step, for instance. */
  readonly learningRate?: number | JaxArray;
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
}

/**
 * Binds an optimizer to jax-js arrays: `init(params)` gives its state, `update(grads, state, params)` what to add
 * to the parameters, and the next state.
 *
 *     [updates, state] = tx.update(grads, state, params.ref);  params = applyUpdates(params, updates)
 *
 * State: that of the optimizer, in trees like the parameters: `state.mu`, `past.g` (oldest first), and `count`.
 * All of it is float32, as leaves must be, what is one number a tensor too.
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
export function toJax(optimizer: Optimizer, { learningRate }: JaxOptions): GradientTransformation {
  requireOptimizer("toJax", "`optimizer`", optimizer);
  requireRate("toJax", 1, requireSchedule("toJax", learningRate)(0));
  const program = stepProgram(updateOf(toProgram(optimizer)));
  const known = largestFrom(["t", "lr"], rootsOf(program));
  const compiled = jit((arrays: StepArrays, scalars: JaxArray) => {
    const owned = ownedOps();
    const values = known.map((e, i): [Expr, JaxArray] => {
      const value = owned.own(scalars.ref.slice(i + PADDING.length));
      return [e, isMask(e) ? owned.ops.lt(0, value) : value];
    });
    scalars.dispose();
    return compute(program, arrays, owned, 0, 0, new Map(values));
  });

  function init<P extends JsTree<JaxArray>>(params: P): OptState {
    const [leaves, treedef] = tree.flatten<JaxArray>(params);
    requireFloat32("init", treedef, leaves);
    const made = program.states.map(({ scope, init: value }) =>
      leaves.map((leaf) => filled(scope === "element" ? leaf.shape : [], value, leaf)),
    );
    const past = [...program.histories, ...program.queues].map(({ source, length }) => {
      const isArray = program.histories.some((history) => history.source === source);
      const zeros = leaves.map((leaf) => filled(isArray ? leaf.shape : [], 0, leaf));
      return Array.from({ length }, (_, i) => zeros.map((zero) => (i === 0 ? zero : zero.ref)));
    });
    const state = treeOf(program, treedef, { count: countOf(0), states: made, past });
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
    const kept = readTree(program, treedef, state);
    requireParams(program, treedef, params);
    requireShapes(program, treedef, gradients, kept, params);
    const count = kept.count instanceof JaxArray ? stepsTaken(kept.count) : undefined;
    const rate = rateOf(options.learningRate ?? learningRate, count);

    const arrays: StepArrays = {
      gradients: gradients.map((g) => g.ref),
      params: program.readsParams ? tree.leaves(params as P) : [],
      states: kept.states.map((leaves) => [...leaves]),
      // The oldest step of each history leaves the state, the others stay.
      past: kept.past.map((steps) =>
        steps.map((leaves, age) => (age === 0 ? [...leaves] : leaves.map((leaf) => leaf.ref))),
      ),
    };
    if (!program.readsParams) {
      tree.dispose(params);
    }
    let results: StepResults;
    if (count !== undefined && typeof rate === "number") {
      const scalars = [...PADDING, ...knownValues(known, count + 1, rate)];
      // What `jit` gives back has the form of what was returned.
      results = compiled(arrays, vector(scalars, gradients[0])) as StepResults;
    } else {
      const owned = ownedOps();
      const t =
        count === undefined ? owned.own(np.astype(kept.count.ref, np.float32).add(1)) : count + 1;
      const lr = typeof rate === "number" ? rate : owned.own(np.astype(rate, np.float32));
      results = compute(program, arrays, owned, t, lr, new Map());
    }
    const next = count === undefined ? np.add(kept.count.ref, 1) : countOf(count + 1);
    kept.count.dispose();
    let fresh = 0;
    const past = [...program.histories, ...program.queues].map(({ source }, i) => {
      const newest = isGradient(source) ? gradients : (results.newest[fresh++] as JaxArray[]);
      return [...(kept.past[i] ?? []).slice(1), newest];
    });
    if (!program.histories.some(({ source }) => isGradient(source))) {
      for (const g of gradients) {
        g.dispose();
      }
    }
    const after = treeOf(program, treedef, { count: next, states: results.states, past });
    return [tree.unflatten(treedef, results.results) as P, after];
  }

  return { init, update };
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
  /** The newest values of histories and queues, the gradient's left out: it is there already. */
  newest: JaxArray[][];
};

/** Unequal numbers at the head of the scalars: jax-js compiles an array of equal ones as a constant, anew each step. */
const PADDING: readonly number[] = [0, 1];

/** One step over arrays or tracers. Uses up `arrays` and disposes of `owned`. */
function compute(
  program: StepProgram,
  arrays: StepArrays,
  owned: OwnedOps,
  t: Value<JaxArray>,
  lr: Value<JaxArray>,
  known: ReadonlyMap<Expr, JaxArray>,
): StepResults {
  const { gradients } = arrays;
  const totalSize = gradients.reduce((total, { size }) => total + size, 0);
  const kept = [...program.histories, ...program.queues];
  const leaves = gradients.map((g, leaf): LeafValues<JaxArray> => {
    const inputs = new Map<string, Value<JaxArray> | undefined>([
      ...program.states.map(({ key }, i) => [key, arrays.states[i]?.[leaf]] as const),
      ["g", g],
      ["p", arrays.params[leaf]],
      ["t", t],
      ["lr", lr],
      ["size", g.size],
      ["totalSize", totalSize],
    ]);
    return {
      size: g.size,
      step: 0,
      // `stepProgram` has checked that inputs are these.
      input: (name) => inputs.get(name) as Value<JaxArray>,
      past: (e, steps) => {
        const history = kept.findIndex(({ source }) => source === e);
        return arrays.past[history]?.at(-steps)?.[leaf] as JaxArray;
      },
    };
  });
  const evaluation = new Evaluation(owned.ops, leaves, program.common, known);
  const spread = (e: Expr, shapeOf: (g: JaxArray) => number[]): JaxArray[] =>
    gradients.map((g, leaf) => {
      const value = evaluation.value(e, leaf);
      const shape = shapeOf(g);
      if (typeof value === "number") {
        return np.full(shape, value);
      }
      return sameShape(value.shape, shape) ? value.ref : np.broadcastTo(value.ref, shape);
    });
  const elements = (g: JaxArray): number[] => g.shape;
  const scalar = (): number[] => [];
  const results: StepResults = {
    results: spread(program.result, elements),
    states: program.states.map(({ scope, next }) =>
      spread(next, scope === "element" ? elements : scalar),
    ),
    newest: [
      ...program.histories
        .filter(({ source }) => !isGradient(source))
        .map(({ source }) => spread(source, elements)),
      ...program.queues.map(({ source }) => spread(source, scalar)),
    ],
  };
  owned.dispose();
  tree.dispose(arrays);
  return results;
}

/** What the host knows of a step, in float64. */
function knownValues(known: readonly Expr[], t: number, lr: number): readonly number[] {
  const { ops } = ownedOps();
  const leaf: LeafValues<JaxArray> = {
    size: 0,
    step: t,
    input: (name) => (name === "t" ? t : lr),
    past: () => 0,
  };
  const evaluation = new Evaluation(ops, [leaf], new Set());
  // Computed from t and lr alone: numbers.
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

function isGradient(e: Expr): boolean {
  return e.op === "input" && e.name === "g";
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
  program: StepProgram,
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

/** Gradients are shaped as the parameters, or as element state where there are none. */
function requireShapes<P extends JsTree<JaxArray>>(
  program: StepProgram,
  treedef: JsTreeDef,
  gradients: readonly JaxArray[],
  kept: Kept,
  params: P | undefined,
): void {
  const state = program.states.findIndex(({ scope }) => scope === "element");
  const histories = program.histories.length > 0 ? kept.past[0]?.[0] : undefined;
  const like = params === undefined ? (kept.states[state] ?? histories) : tree.leaves(params);
  gradients.forEach((g, i) => {
    const expected = like?.[i]?.shape ?? g.shape;
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
