/** What an array library must offer to run optimizer programs: one operation a node of the expression language. */

/** What an expression evaluates to: an array or a scalar of the library, or a number that the host knows. */
export type Value<T> = T | number;

export type UnaryOp = "neg" | "abs" | "sqrt" | "floor" | "exp" | "expm1" | "log" | "tanh";
/** `min` and `max` are NaN where either operand is; `pow` is for bases of at least 0. */
export type BinaryOp = "add" | "sub" | "mul" | "div" | "min" | "max" | "pow";
/** Give truth values: of the library's own kind, taken by `and`, `or`, `not` and `select` alone. */
export type CompareOp = "lt" | "le" | "eq";

/**
 * Operations over arrays `T` of one leaf's shape and scalars `T` of shape [], broadcast as NumPy's are. At
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
  /** The sum of all elements, of shape []; never asked of an array without elements. */
  readonly total: (a: T) => T;
  /** The largest element, of shape []; never asked of an array without elements. */
  readonly largest: (a: T) => T;
  readonly sizeOf: (a: T) => number;
};
