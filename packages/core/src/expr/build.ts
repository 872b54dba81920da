/** Constructors of expressions, named as in the formulas; functions are in `math.ts`. Numbers stand for constants. */

import type { Choice, Expr, LeafInfo, ReduceOver, Scope } from "./node.ts";

/** An expression, or a number where a constant is meant. */
export type Operand = Expr | number;

export function wrap(x: Operand): Expr {
  return typeof x === "number" ? { op: "const", value: x } : x;
}

/** The unit roundoff of the arrays' dtype: 2⁻²⁴ of float32, 2⁻⁵³ of float64. */
export function roundoff(): Expr {
  return { op: "roundoff" };
}

/** A named input: `g`, `p`, `t`, `lr`, a hyperparameter, or a state of the given scope. */
export function input(name: string, scope: Scope): Expr {
  return { op: "input", name, scope };
}

export function add(a: Operand, b: Operand): Expr {
  return { op: "add", a: wrap(a), b: wrap(b) };
}
export function sub(a: Operand, b: Operand): Expr {
  return { op: "sub", a: wrap(a), b: wrap(b) };
}
export function mul(a: Operand, b: Operand): Expr {
  return { op: "mul", a: wrap(a), b: wrap(b) };
}
export function div(a: Operand, b: Operand): Expr {
  return { op: "div", a: wrap(a), b: wrap(b) };
}
/** The smaller; NaN if either is. */
export function min(a: Operand, b: Operand): Expr {
  return { op: "min", a: wrap(a), b: wrap(b) };
}
/** The larger; NaN if either is. */
export function max(a: Operand, b: Operand): Expr {
  return { op: "max", a: wrap(a), b: wrap(b) };
}
/** aᵇ, as `pow` of `math.ts`, of numbers that are not one an element, such as βᵗ: needs no program over elements. */
export function hostPow(a: Operand, b: Operand): Expr {
  return { op: "pow", a: wrap(a), b: wrap(b) };
}
export function neg(a: Operand): Expr {
  return { op: "neg", a: wrap(a) };
}
export function abs(a: Operand): Expr {
  return { op: "abs", a: wrap(a) };
}
export function sqrt(a: Operand): Expr {
  return { op: "sqrt", a: wrap(a) };
}
export function square(a: Operand): Expr {
  const x = wrap(a);
  return { op: "mul", a: x, b: x };
}
/** The largest integer not above a. */
export function floor(a: Operand): Expr {
  return { op: "floor", a: wrap(a) };
}
/** The binary exponent ⌊log₂ a⌋ of a normal, positive a, read from its bits. */
export function exponent(a: Operand): Expr {
  return { op: "exponent", a: wrap(a) };
}
/** 2ᵏ for an integer k whose power is a normal number. */
export function exp2i(k: Operand): Expr {
  return { op: "exp2i", a: wrap(k) };
}
/** The nearest bfloat16, ties to even: a float32 with the upper 7 bits of its fraction; float32 arrays only. */
export function bf16(a: Operand): Expr {
  return { op: "bf16", a: wrap(a) };
}
/**
 * One of the two bfloat16 next to a, the farther from 0 with the probability that keeps the mean: for u uniform in
 * [0, 1) as `uniform` draws it. A bfloat16 stays as it is.
 */
export function bf16Stochastic(a: Operand, u: Operand): Expr {
  return { op: "bf16Stochastic", a: wrap(a), b: wrap(u) };
}
/** The nearest number that 8 bits a block hold; what state becomes, and nothing else. See `compress`. */
export function int8(a: Operand): Expr {
  return { op: "int8", a: wrap(a) };
}
/** One of the two such numbers next to a, so that the mean is kept; u as `uniform` draws it. */
export function int8Stochastic(a: Operand, u: Operand): Expr {
  return { op: "int8Stochastic", a: wrap(a), b: wrap(u) };
}
/** Uniform in [0, 1), a multiple of 2⁻²⁴: drawn anew for each element and step, from the seed of `compileOptimizer`. */
export function uniform(stream: string): Expr {
  return { op: "random", stream };
}

export function lt(a: Operand, b: Operand): Expr {
  return { op: "lt", a: wrap(a), b: wrap(b) };
}
export function le(a: Operand, b: Operand): Expr {
  return { op: "le", a: wrap(a), b: wrap(b) };
}
export function gt(a: Operand, b: Operand): Expr {
  return lt(b, a);
}
export function ge(a: Operand, b: Operand): Expr {
  return le(b, a);
}
export function eq(a: Operand, b: Operand): Expr {
  return { op: "eq", a: wrap(a), b: wrap(b) };
}
export function and(a: Expr, b: Expr): Expr {
  return { op: "and", a, b };
}
export function or(a: Expr, b: Expr): Expr {
  return { op: "or", a, b };
}
export function not(a: Expr): Expr {
  return { op: "not", a };
}
/**
 * `a` where `cond` holds, else `b`; the branch not taken may be NaN. Where `cond` is one number a step or a tensor, a
 * pass over elements whose reductions only the branch not taken reads is not run.
 */
export function select(cond: Expr, a: Operand, b: Operand): Expr {
  return { op: "select", cond, a: wrap(a), b: wrap(b) };
}

/** a + (b − a)·w: an average moved towards b; `lerp(m, g, 1 − β)` is βm + (1 − β)g in two operations instead of three. */
export function lerp(a: Operand, b: Operand, w: Operand): Expr {
  return add(a, mul(sub(b, a), w));
}
/** min(max(a, low), high). */
export function clamp(a: Operand, low: Operand, high: Operand): Expr {
  return min(max(a, low), high);
}

/** `a` as it was `steps` steps ago; 0 before there was one. */
export function delay(a: Expr, steps: number): Expr {
  return { op: "delay", a, steps };
}
/** Σ_{i<length} decayⁱ · aₜ₋ᵢ. */
export function windowSum(a: Expr, decay: number, length: number): Expr {
  return { op: "window", a, decay, length };
}

/** The sum over a row, a column, the tensor, or all tensors; in the dtype over a column, in float64 otherwise. */
export function sum(a: Operand, over: ReduceOver = "tensor"): Expr {
  return { op: "reduce", kind: "sum", over, a: wrap(a) };
}

/** The largest element; NaN if any is. */
export function maximum(a: Operand, over: ReduceOver = "tensor"): Expr {
  return { op: "reduce", kind: "max", over, a: wrap(a) };
}

/** Number of elements of a row, a column, the tensor, or all tensors that take part in the step. */
export function size(over: ReduceOver = "tensor"): Expr {
  return sum(1, over);
}

export function mean(a: Operand, over: ReduceOver = "tensor"): Expr {
  return div(sum(a, over), size(over));
}

/**
 * `a` for leaves that `holds` of, `b` for the others: decided once, when the program is compiled for a leaf.
 *
 * @example byLeaf(({ shape }) => shape.length >= 2, scaled, g)
 */
export function byLeaf(
  holds: (leaf: LeafInfo) => boolean,
  a: Operand,
  b: Operand,
  check?: Choice["check"],
): Expr {
  const branch = (leaf: LeafInfo): number => (holds(leaf) ? 0 : 1);
  return choose({ branch, ...(check !== undefined && { check }) }, [a, b]);
}

/** One of several branches, by leaf. */
export function choose(choice: Choice, branches: readonly Operand[]): Expr {
  return { op: "choose", choice, branches: branches.map(wrap) };
}
