/** Parameter trees: nested records of leaves, addressed by path (`"dense1/kernel"`). */

import type { Leaf, Leaves, NumericArray } from "./contracts.ts";

/** Nested records ending in leaves. */
export type Tree<A extends NumericArray = NumericArray> = {
  readonly [key: string]: Tree<A> | Leaf<A>;
};

/**
 * Leaves of a tree by path, depth first in key order of the objects.
 * An already flat record of leaves passes through unchanged, its slashed keys kept.
 *
 * @throws RangeError when two leaves have the same path.
 */
export function flatten<A extends NumericArray>(tree: Tree<A>): Leaves<A> {
  const leaves: Record<string, Leaf<A>> = {};
  const walk = (branch: Tree<A>, prefix: string): void => {
    for (const [key, child] of Object.entries(branch)) {
      const path = prefix === "" ? key : `${prefix}/${key}`;
      if (path in leaves) {
        throw new RangeError(
          `flatten: paths must be unique, got "${path}" twice; rename a key that holds a slash`,
        );
      }
      if (isLeaf(child)) {
        leaves[path] = child;
      } else {
        walk(child, path);
      }
    }
  };
  walk(tree, "");
  return leaves;
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

function isLeaf<A extends NumericArray>(child: Tree<A> | Leaf<A>): child is Leaf<A> {
  return Array.isArray(child.shape) && ArrayBuffer.isView(child.data);
}
