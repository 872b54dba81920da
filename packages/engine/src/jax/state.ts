/** Optimizer state as a tree of jax-js arrays. */

import { type Array as JaxArray, type JsTree, type JsTreeDef, tree } from "@jax-js/jax";
import type { LeafPrograms, StateSlot } from "../arrays/stepProgram.ts";

/** The state of an optimizer: a tree that `jit`, `tree.ref` and `tree.dispose` take. */
export type OptState = JsTree<JaxArray>;

/** What the leaves keep, together. A leaf whose program lacks one of it has a scalar 0 in its place. */
export interface KeptKeys {
  readonly name: string;
  readonly states: readonly Pick<StateSlot, "key" | "scope" | "init">[];
  /** Histories of elements, then queues of numbers. */
  readonly past: readonly {
    readonly key: string;
    readonly length: number;
    readonly ofElements: boolean;
  }[];
}

export function keptBy({ name, programs }: LeafPrograms): KeptKeys {
  const states = new Map<string, KeptKeys["states"][number]>();
  const histories = new Map<string, KeptKeys["past"][number]>();
  const queues = new Map<string, KeptKeys["past"][number]>();
  for (const program of new Set(programs)) {
    for (const { key, scope, init } of program.states) {
      states.set(key, { key, scope, init });
    }
    for (const [known, own] of [
      [histories, program.histories],
      [queues, program.queues],
    ] as const) {
      for (const { key, length } of own) {
        const longest = Math.max(length, known.get(key)?.length ?? 0);
        known.set(key, { key, length: longest, ofElements: known === histories });
      }
    }
  }
  return { name, states: [...states.values()], past: [...histories.values(), ...queues.values()] };
}

/** State as lists, a leaf of the parameters at each innermost position. */
export interface Kept {
  /** Steps taken, a uint32 scalar. */
  readonly count: JaxArray;
  /** By state, in the order of the keys. */
  readonly states: readonly (readonly JaxArray[])[];
  /** By history and queue; the oldest step first. */
  readonly past: readonly (readonly (readonly JaxArray[])[])[];
}

/**
 * `{ count, state: { mu: …, nu: … }, past: { g: [oldest, …, newest] } }`, where each … is a tree like the
 * parameters: of their shapes, of what is one number a row or column, or of scalars.
 */
export function treeOf(keys: KeptKeys, treedef: JsTreeDef, kept: Kept): OptState {
  const like = (leaves: readonly JaxArray[]): OptState => tree.unflatten(treedef, leaves);
  return {
    count: kept.count,
    state: Object.fromEntries(
      keys.states.map(({ key }, i) => [key, like(kept.states[i] as readonly JaxArray[])]),
    ),
    past: Object.fromEntries(keys.past.map(({ key }, i) => [key, (kept.past[i] ?? []).map(like)])),
  };
}

/** @throws TypeError for a tree that is not this program's state over parameters of the tree `treedef`. */
export function readTree(where: string, keys: KeptKeys, treedef: JsTreeDef, state: OptState): Kept {
  const expected = tree.structure(shapeOf(keys, treedef));
  if (!expected.equals(tree.structure(state))) {
    throw new TypeError(
      `${where}: state must be what \`init\` made for "${keys.name}" and a tree like the gradients, got ${tree.structure(state).toString(false)}; call init with the parameters`,
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
    states: keys.states.map(({ key }) => tree.leaves(branches.state[key] as OptState)),
    past: keys.past.map(({ key }) =>
      (branches.past[key] as OptState[]).map((step) => tree.leaves<JaxArray>(step)),
    ),
  };
}

/** A tree of the state's form, with numbers for arrays. */
function shapeOf({ states, past }: KeptKeys, treedef: JsTreeDef): JsTree<number> {
  const like = (): JsTree<number> =>
    tree.unflatten(
      treedef,
      Array.from({ length: treedef.size }, () => 0),
    );
  const steps = (length: number): JsTree<number>[] => Array.from({ length }, like);
  return {
    count: 0,
    state: Object.fromEntries(states.map(({ key }) => [key, like()])),
    past: Object.fromEntries(past.map(({ key, length }) => [key, steps(length)])),
  };
}
