/** Optimizer state as a tree of jax-js arrays. */

import { type Array as JaxArray, type JsTree, type JsTreeDef, tree } from "@jax-js/jax";
import type { StepProgram } from "../arrays/stepProgram.ts";

/** The state of an optimizer: a tree that `jit`, `tree.ref` and `tree.dispose` take. */
export type OptState = JsTree<JaxArray>;

/** State as lists, a leaf of the parameters at each innermost position. */
export interface Kept {
  /** Steps taken, a uint32 scalar. */
  readonly count: JaxArray;
  /** By state, in the program's order. */
  readonly states: readonly (readonly JaxArray[])[];
  /** By history, then by queue; the oldest step first. */
  readonly past: readonly (readonly (readonly JaxArray[])[])[];
}

/**
 * `{ count, state: { mu: …, nu: … }, past: { g: [oldest, …, newest] } }`, where each … is a tree like the
 * parameters: of their shapes, or of scalars for what is one number a tensor.
 */
export function treeOf(program: StepProgram, treedef: JsTreeDef, kept: Kept): OptState {
  const like = (leaves: readonly JaxArray[]): OptState => tree.unflatten(treedef, leaves);
  const past = [...program.histories, ...program.queues];
  return {
    count: kept.count,
    state: Object.fromEntries(
      program.states.map(({ key }, i) => [key, like(kept.states[i] as readonly JaxArray[])]),
    ),
    past: Object.fromEntries(past.map(({ key }, i) => [key, (kept.past[i] ?? []).map(like)])),
  };
}

/** @throws TypeError for a tree that is not this program's state over parameters of the tree `treedef`. */
export function readTree(program: StepProgram, treedef: JsTreeDef, state: OptState): Kept {
  const past = [...program.histories, ...program.queues];
  const expected = tree.structure(shapeOf(program, treedef));
  if (!expected.equals(tree.structure(state))) {
    throw new TypeError(
      `update: state must be what \`init\` made for "${program.name}" and a tree like the gradients, got ${tree.structure(state).toString(false)}; call init with the parameters`,
    );
  }
  // The structures agree, so the branches are these.
  const branches = state as {
    count: JaxArray;
    state: Record<string, OptState>;
    past: Record<string, OptState[]>;
  };
  return {
    count: branches.count,
    states: program.states.map(({ key }) => tree.leaves(branches.state[key] as OptState)),
    past: past.map(({ key }) =>
      (branches.past[key] as OptState[]).map((step) => tree.leaves<JaxArray>(step)),
    ),
  };
}

/** A tree of the state's form, with numbers for arrays. */
function shapeOf({ states, histories, queues }: StepProgram, treedef: JsTreeDef): JsTree<number> {
  const like = (): JsTree<number> =>
    tree.unflatten(
      treedef,
      Array.from({ length: treedef.size }, () => 0),
    );
  const steps = (length: number): JsTree<number>[] => Array.from({ length }, like);
  return {
    count: 0,
    state: Object.fromEntries(states.map(({ key }) => [key, like()])),
    past: Object.fromEntries(
      [...histories, ...queues].map(({ key, length }) => [key, steps(length)]),
    ),
  };
}
