/**
 * Which leaves a transform is for: patterns of their paths, or a function.
 *
 *     dense1/kernel   that leaf          *    any characters of one segment          **   any number of segments
 *
 * `**` before a slash and `bias` is every bias, at the root too; `head/**` is `head` and everything under it.
 */

import type { Leaves, NumericArray } from "../contracts.ts";
import { show } from "../errors.ts";
import { byLeaf, type Operand, wrap } from "../expr/build.ts";
import type { Expr, LeafInfo } from "../expr/node.ts";
import { flatten, infosOf, type Tree } from "../tree.ts";

/** Leaves by a pattern, by any of several patterns, or by what a function says of path and shape. */
export type LeafMask = string | readonly string[] | ((leaf: LeafInfo) => boolean);

/** Whether a pattern takes a path. */
export function matchesPath(pattern: string, path: string): boolean {
  return matchesSegments(pattern.split("/"), path.split("/"));
}

function matchesSegments(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) {
    return path.length === 0;
  }
  const [segment, ...below] = path;
  if (first === "**") {
    return (
      matchesSegments(rest, path) || (segment !== undefined && matchesSegments(pattern, below))
    );
  }
  return segment !== undefined && matchesSegment(first, segment) && matchesSegments(rest, below);
}

function matchesSegment(pattern: string, segment: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(segment);
}

/** Paths of some leaves, for messages. */
export function somePaths(leaves: readonly LeafInfo[]): string {
  const shown = leaves.slice(0, 8).map(({ path }) => path);
  return [...shown, ...(leaves.length > shown.length ? ["..."] : [])].join(", ");
}

/** @throws TypeError for what is no pattern, RangeError for an empty list or pattern. */
export function requirePattern(where: string, name: string, pattern: string): void {
  if (typeof pattern !== "string") {
    throw new TypeError(`${where}: ${name} must be a pattern of leaf paths, got ${show(pattern)}`);
  }
  if (pattern === "") {
    throw new RangeError(
      `${where}: ${name} must be a pattern of leaf paths, got ""; "**" is every leaf`,
    );
  }
}

/**
 * `a` for the leaves of a mask, `b` for the others; everywhere `a` without a mask.
 *
 * @throws TypeError or RangeError for what is no mask; when compiled, RangeError for a pattern that takes no leaf.
 */
export function masked(
  where: string,
  mask: LeafMask | undefined,
): (a: Operand, b: Operand) => Expr {
  if (mask === undefined) {
    return (a) => wrap(a);
  }
  const { holds, check } = readMask(where, mask);
  return (a, b) => byLeaf(holds, a, b, check);
}

/**
 * The leaves that a mask takes, and the others, by path; arrays are shared, not copied.
 *
 * @param where - Who is named in messages.
 * @throws As `masked`, at once.
 */
export function splitLeaves<A extends NumericArray>(
  params: Tree<A>,
  mask: LeafMask,
  where = "splitLeaves",
): { readonly taken: Leaves<A>; readonly others: Leaves<A> } {
  const leaves = flatten(params);
  const { holds, check } = readMask(where, mask);
  check(infosOf(leaves));
  const those = (wanted: boolean): Leaves<A> =>
    Object.fromEntries(
      Object.entries(leaves).filter(([path, { shape }]) => holds({ path, shape }) === wanted),
    );
  return { taken: those(true), others: those(false) };
}

/** Whether a mask holds for a leaf, and a check that it holds for one of all. */
function readMask(
  where: string,
  mask: LeafMask,
): {
  readonly holds: (leaf: LeafInfo) => boolean;
  readonly check: (leaves: readonly LeafInfo[]) => void;
} {
  if (typeof mask === "function") {
    const check = (leaves: readonly LeafInfo[]): void => {
      if (!leaves.some(mask)) {
        fail(where, "a function that is false for each", leaves);
      }
    };
    return { holds: mask, check };
  }
  const patterns = typeof mask === "string" ? [mask] : mask;
  if (!Array.isArray(patterns) || patterns.length === 0) {
    throw new TypeError(
      `${where}: \`mask\` must be a pattern, patterns or a function of the leaf, got ${Array.isArray(mask) ? "no pattern" : show(mask)}; leave it out for every leaf`,
    );
  }
  for (const pattern of patterns) {
    requirePattern(where, "`mask`", pattern);
  }
  const holds = ({ path }: LeafInfo): boolean =>
    patterns.some((pattern) => matchesPath(pattern, path));
  const check = (leaves: readonly LeafInfo[]): void => {
    for (const pattern of patterns) {
      if (!leaves.some(({ path }) => matchesPath(pattern, path))) {
        fail(where, show(pattern), leaves);
      }
    }
  };
  return { holds, check };
}

function fail(where: string, got: string, leaves: readonly LeafInfo[]): never {
  throw new RangeError(
    `${where}: \`mask\` must take at least one leaf, got ${got}; leaves are ${somePaths(leaves)}`,
  );
}
