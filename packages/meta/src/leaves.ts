/** Leaves as arrays to compute with. */

import type { DType, Leaf, Leaves, NumericArray } from "@adastra/core";

/** Leaves of the same shapes, each filled by `fill`. */
export function leavesLike(
  leaves: Leaves,
  dtype: DType,
  fill: (path: string, leaf: Leaf) => number | NumericArray,
): Leaves {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, leaf]) => {
      const { shape, data } = leaf;
      const made =
        dtype === "float64" ? new Float64Array(data.length) : new Float32Array(data.length);
      const content = fill(path, leaf);
      if (typeof content === "number") {
        made.fill(content);
      } else {
        made.set(content);
      }
      return [path, { shape: [...shape], data: made }];
    }),
  );
}

export function copyLeaves(leaves: Leaves, dtype: DType): Leaves {
  return leavesLike(leaves, dtype, (_, { data }) => data);
}

/** Writes the numbers of one set of leaves into another of the same paths. */
export function writeLeaves(into: Leaves, from: Leaves): void {
  for (const [path, { data }] of Object.entries(into)) {
    data.set(dataOf(from, path));
  }
}

/** The numbers of a leaf that `requireLike` has seen. */
export function dataOf(leaves: Leaves, path: string): NumericArray {
  const leaf = leaves[path];
  if (leaf === undefined) {
    throw new TypeError(`leaves must hold "${path}", got ${Object.keys(leaves).join(", ")}`);
  }
  return leaf.data;
}

/** @throws TypeError for other paths or lengths than those of `model`. */
export function requireLike(where: string, what: string, model: Leaves, got: Leaves): void {
  const [expected, found] = [Object.keys(model), Object.keys(got)];
  const stranger =
    expected.find((path) => !Object.hasOwn(got, path)) ??
    found.find((path) => !Object.hasOwn(model, path));
  if (stranger !== undefined) {
    throw new TypeError(
      `${where}: ${what} must have the leaves ${expected.join(", ")}, got ${found.join(", ")}; pass those of this model`,
    );
  }
  for (const path of expected) {
    const [size, length] = [dataOf(model, path).length, dataOf(got, path).length];
    if (size !== length) {
      throw new TypeError(
        `${where}: leaf "${path}" of ${what} must have ${size} numbers, got ${length}; pass those of this model`,
      );
    }
  }
}

export function allFinite(leaves: Leaves): boolean {
  return Object.values(leaves).every(({ data }) => data.every(Number.isFinite));
}
