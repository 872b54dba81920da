/** What an array library must offer to run optimizer programs: one operation a node of the expression language. */

/** What an expression evaluates to: an array or a scalar of the library, or a number that the host knows. */
export type Value<T> = T | number;

export type UnaryOp = "neg" | "abs" | "sqrt" | "floor" | "exp" | "expm1" | "log" | "tanh";
/** `min` and `max` are NaN where either operand is; `pow` is for bases of at least 0. */
export type BinaryOp = "add" | "sub" | "mul" | "div" | "min" | "max" | "pow";
/** Give truth values: of the library's own kind, taken by `and`, `or`, `not` and `select` alone. */
export type CompareOp = "lt" | "le" | "eq";

/**
 * Operations over arrays `T` of one leaf's shape, of its rows or columns, and scalars `T` of shape [], broadcast as NumPy's are. At
 * least one operand is a `T`. Results belong to whoever made the `ArrayOps`; operands are never used up.
 */
export type ArrayOps<T> = {
  readonly [op in UnaryOp]: (a: T) => T;
} & {
  readonly [op in BinaryOp | CompareOp]: (a: Value<T>, b: Value<T>) => T;
} & {
  /** Left out where the library has none: core's program of exact operations takes its place. */
  readonly erf?: (a: T) => T;
  readonly and: (a: T, b: T) => T;
  readonly or: (a: T, b: T) => T;
  readonly not: (a: T) => T;
  /** `a` where the truth value holds, else `b`; the branch not taken may be NaN. */
  readonly select: (cond: T, a: Value<T>, b: Value<T>) => T;
  /** The sum over `over`; never asked of an array without elements. */
  readonly total: (a: T, over: Over) => T;
  /** The largest over `over`; never asked of an array without elements. */
  readonly largest: (a: T, over: Over) => T;
  /** AB of two arrays of two axes, Aᵀ or Bᵀ standing for the one that `transposed` names. */
  readonly product: (a: T, b: T, transposed?: "a" | "b") => T;
  /** The same numbers, in order, in another shape. */
  readonly reshape: (a: T, shape: readonly number[]) => T;
  /** The array broadcast to a shape. */
  readonly spread: (a: T, shape: readonly number[]) => T;
  readonly sizeOf: (a: T) => number;
  /** The unit roundoff of the arrays' dtype. */
  readonly roundoff: number;
};

/**
 * What a reduction runs over. A tensor's result has shape []; a row's keeps the shape with 1 for the last axis, a
 * column's with 1 for all others.
 */
export type Over = "row" | "column" | "tensor";

/** The axes of an array of so many that a reduction runs over. */
export function axesOf(rank: number, over: Over): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return over === "tensor" ? axes : over === "row" ? axes.slice(-1) : axes.slice(0, -1);
}
