/** Parameter trees: nested records of leaves, addressed by path (`"dense1/kernel"`). */

import type { Leaf, Leaves, NumericArray } from "./contracts.ts";
import { kindOf, ShapeMismatchError } from "./errors.ts";
import type { LeafInfo } from "./expr/node.ts";

/** Nested records ending in leaves. */
export type Tree<A extends NumericArray = NumericArray> = {
  readonly [key: string]: Tree<A> | Leaf<A>;
};

/**
 * Leaves of a tree by path, depth first in key order of the objects.
 * An already flat record of leaves passes through unchanged, its slashed keys kept.
 *
 * @throws RangeError when two leaves have the same path; TypeError for what is neither leaf nor record.
 */
export function flatten<A extends NumericArray>(tree: Tree<A>): Leaves<A> {
  const leaves: Record<string, Leaf<A>> = {};
  const walk = (branch: Tree<A>, prefix: string): void => {
    for (const [key, child] of Object.entries(branch)) {
      const path = prefix === "" ? key : `${prefix}/${key}`;
      if (key === "__proto__" || !(isLeaf(child) || isBranch(child))) {
        throw new TypeError(
          `flatten: "${path}" must be a leaf { shape, data } with a typed array, or a record of such, got ${describe(child)}; wrap or rename it`,
        );
      }
      if (Object.hasOwn(leaves, path)) {
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
  if (!isBranch(tree)) {
    throw new TypeError(
      `flatten: a tree must be a record of leaves { shape, data }, got ${describe(tree)}; pass model parameters`,
    );
  }
  walk(tree, "");
  return leaves;
}

/** The leaves of parameters, at least one, each with as many numbers as its shape has. */
export function checkParams(where: string, params: Tree): Leaves {
  const leaves = flatten(params);
  if (Object.keys(leaves).length === 0) {
    throw new TypeError(
      `${where}: \`params\` must hold at least one leaf { shape, data }, got none; pass model parameters`,
    );
  }
  for (const [path, { shape, data }] of Object.entries(leaves)) {
    if (data.length !== sizeOf(shape) || shape.some((n) => !(Number.isSafeInteger(n) && n >= 0))) {
      throw new ShapeMismatchError(where, path, shape, [data.length]);
    }
  }
  return leaves;
}

/** Path and shape of each leaf. */
export function infosOf(leaves: Leaves): LeafInfo[] {
  return Object.entries(leaves).map(([path, { shape }]) => ({ path, shape }));
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Whether a value is an array that parameters, gradients and state may be kept in. */
export function isNumericArray(value: unknown): value is NumericArray {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object Float32Array]" || tag === "[object Float64Array]";
}

function isLeaf<A extends NumericArray>(child: Tree<A> | Leaf<A>): child is Leaf<A> {
  const isObject = typeof child === "object" && child !== null;
  return isObject && Array.isArray(child.shape) && isNumericArray(child.data);
}

/** A plain record: not an array, not a typed array, not a leaf whose parts are of the wrong kind. */
function isBranch(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  return !isList && !("data" in value && !isRecord(value.data));
}

function isRecord(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function describe(value: unknown): string {
  const hasData = typeof value === "object" && value !== null && "data" in value;
  return hasData && !isRecord(value.data) ? `{ data: ${kindOf(value.data)} }` : kindOf(value);
}
