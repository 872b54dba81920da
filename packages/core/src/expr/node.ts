/**
 * The expression language: what one training step does to one element, as a value.
 *
 * Every node has a scope, from least to most varied:
 *
 *     step          one number for the whole step: constants, t, the learning rate, a reduction over all tensors
 *     tensor        one number a tensor: a reduction over it, per-tensor state
 *     row, column   one number a row or column of the tensor as a matrix: its last axis runs along a row,
 *                   all others together along a column; a vector is a single row
 *     element       one number an element: g, p, element state
 *
 * An operation has the narrowest scope that holds those of its operands: a row with a column makes elements.
 * Only element-scope nodes cost time per parameter; the others are computed once a step on the host, in float64,
 * whatever the dtype of the arrays.
 */

export type Scope = "step" | "tensor" | "row" | "column" | "element";

/** What a program may know about the leaf it runs over. */
export interface LeafInfo {
  /** `"dense1/kernel"`. */
  readonly path: string;
  readonly shape: readonly number[];
}

/** Rows and columns of a leaf as a matrix: the last axis runs along a row. */
export function matrixOf(shape: readonly number[]): {
  readonly rows: number;
  readonly columns: number;
} {
  const columns = shape.at(-1) ?? 1;
  return { rows: shape.slice(0, -1).reduce((product, extent) => product * extent, 1), columns };
}

/** Decides between the branches of a `choose`, leaf by leaf. */
export interface Choice {
  /** Index of the branch that a leaf takes. */
  readonly branch: (leaf: LeafInfo) => number;
  /** Called once with all leaves before anything is compiled; throws where the choice makes no sense for them. */
  readonly check?: (leaves: readonly LeafInfo[]) => void;
}

/** Exact in every backend: rounded once, to the dtype of the arrays. */
export type ExactUnary = "neg" | "abs" | "sqrt" | "floor" | "exponent" | "exp2i" | "bf16";
/** Over elements each is one shared program of exact operations (`math.ts`), which the node brings. */
export type MathUnary = "exp" | "expm1" | "log" | "erf" | "tanh" | "cosPi";
export type Arithmetic = "add" | "sub" | "mul" | "div" | "min" | "max" | "bf16Stochastic";
export type Compare = "lt" | "le" | "eq";
export type Logic = "and" | "or";

export type Expr =
  | { readonly op: "const"; readonly value: number }
  /** Half the distance from 1 to the next number of the arrays' dtype: 2⁻²⁴ of float32, 2⁻⁵³ of float64. */
  | { readonly op: "roundoff" }
  | { readonly op: "input"; readonly name: string; readonly scope: Scope }
  /** Uniform in [0, 1), one draw an element and call (`draw.ts`); the same wherever the stream is named. */
  | { readonly op: "random"; readonly stream: string }
  | { readonly op: ExactUnary | "not"; readonly a: Expr }
  | { readonly op: MathUnary; readonly a: Expr; readonly program: MathProgram<[x: Expr]> }
  | { readonly op: Arithmetic | Compare | Logic; readonly a: Expr; readonly b: Expr }
  /** Without a program where it never runs over elements. */
  | {
      readonly op: "pow";
      readonly a: Expr;
      readonly b: Expr;
      readonly program?: MathProgram<[x: Expr, y: Expr]>;
    }
  | { readonly op: "select"; readonly cond: Expr; readonly a: Expr; readonly b: Expr }
  /** `a` as 8 bits a block keep it (`int8.ts`), to the nearest or by the draws `b`; only as what state becomes. */
  | { readonly op: "int8"; readonly a: Expr }
  | { readonly op: "int8Stochastic"; readonly a: Expr; readonly b: Expr }
  /** `a` as it was `steps` steps ago; 0 before there was one. */
  | { readonly op: "delay"; readonly a: Expr; readonly steps: number }
  /** Σ_{i<length} decayⁱ · aₜ₋ᵢ; terms before the first step are 0. */
  | { readonly op: "window"; readonly a: Expr; readonly decay: number; readonly length: number }
  /** Over the elements of a row, a column, a tensor, or of all tensors that meet the node; a narrower operand counts once an element. */
  | {
      readonly op: "reduce";
      readonly kind: "sum" | "max";
      readonly over: ReduceOver;
      /** Tells reductions over all tensors apart that read alike but run over different ones. */
      readonly domain?: string;
      readonly a: Expr;
    }
  /**
   * The leaf as a matrix X after X ← (a + b XXᵀ + c (XXᵀ)²) X for each [a, b, c] in turn, XᵀX standing on the other side where
   * there are more rows than columns: an odd polynomial of the singular values. `stages` runs it.
   */
  | {
      readonly op: "newtonSchulz";
      readonly a: Expr;
      readonly coefficients: NewtonSchulz;
      readonly stages: Brought;
    }
  /** The branch that the leaf's path and shape decide on; none is left once a program is specialised to a leaf. */
  | { readonly op: "choose"; readonly choice: Choice; readonly branches: readonly Expr[] };

/** A function as a program of exact operations: part of its nodes, so that a bundle holds those of the functions it names. */
export interface MathProgram<X extends readonly Expr[]> {
  readonly expand: (dtype: "float32" | "float64", ...operands: X) => Expr;
}

/**
 * What runs a word that few programs use: part of what the word's constructor makes, so that a bundle holds it only with
 * the word. `runtime/parts.ts` says what it is, for those who run plans.
 */
export interface Brought {
  readonly runs: "matrix stages" | "8 bits";
}

/** a, b and c of each iteration. */
export type NewtonSchulz = readonly (readonly [a: number, b: number, c: number])[];

export type ReduceOver = "row" | "column" | "tensor" | "all";

export type Op = Expr["op"];

/** The operands of a node, in order. */
export function operands(e: Expr): readonly Expr[] {
  switch (e.op) {
    case "const":
    case "roundoff":
    case "input":
    case "random":
      return [];
    case "select":
      return [e.cond, e.a, e.b];
    case "choose":
      return e.branches;
    case "delay":
    case "window":
    case "reduce":
    case "newtonSchulz":
    case "neg":
    case "abs":
    case "sqrt":
    case "floor":
    case "exponent":
    case "exp2i":
    case "bf16":
    case "int8":
    case "exp":
    case "expm1":
    case "log":
    case "erf":
    case "tanh":
    case "cosPi":
    case "not":
      return [e.a];
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "min":
    case "max":
    case "bf16Stochastic":
    case "int8Stochastic":
    case "pow":
    case "lt":
    case "le":
    case "eq":
    case "and":
    case "or":
      return [e.a, e.b];
    default:
      return e satisfies never;
  }
}

/** The node with its operands replaced, in the order of `operands`. */
export function withOperands(e: Expr, next: readonly Expr[]): Expr {
  const before = operands(e);
  if (before.every((operand, i) => operand === next[i])) {
    return e;
  }
  const [x, y, z] = next;
  if (e.op === "choose") {
    return { ...e, branches: next };
  }
  if (e.op === "select") {
    return { ...e, cond: x as Expr, a: y as Expr, b: z as Expr };
  }
  // `e` has an `a` here, and a `b` where two operands were given: `operands` said so.
  return (next.length === 2 ? { ...e, a: x, b: y } : { ...e, a: x }) as Expr;
}

const RANK: Readonly<Record<Scope, number>> = { step: 0, tensor: 1, row: 2, column: 2, element: 3 };

/** The narrowest scope that holds all of them. */
export function widest(scopes: readonly Scope[]): Scope {
  return scopes.reduce((a, b) => {
    const sideBySide = RANK[a] === RANK[b] && a !== b;
    return sideBySide ? "element" : RANK[b] > RANK[a] ? b : a;
  }, "step" as Scope);
}

/** Whether a value of scope `inner` is one number in all of `outer`'s. */
export function isWithin(inner: Scope, outer: Scope): boolean {
  return widest([inner, outer]) === outer;
}

/** The scope of a node, memoised per call because programs share subexpressions freely. */
export function scopeOf(e: Expr, memo: Map<Expr, Scope> = new Map()): Scope {
  const known = memo.get(e);
  if (known !== undefined) {
    return known;
  }
  let scope: Scope;
  if (e.op === "input") {
    scope = e.scope;
  } else if (e.op === "random" || e.op === "newtonSchulz") {
    scope = "element";
  } else if (e.op === "reduce") {
    scope = e.over === "all" ? "step" : e.over;
  } else {
    scope = widest(operands(e).map((operand) => scopeOf(operand, memo)));
  }
  memo.set(e, scope);
  return scope;
}

/** Every node that `next` leads to from the roots, operands before users. */
export function reachable(roots: readonly Expr[], next: (e: Expr) => readonly Expr[]): Expr[] {
  const seen = new Set<Expr>();
  const order: Expr[] = [];
  const walk = (e: Expr): void => {
    if (!seen.has(e)) {
      seen.add(e);
      next(e).forEach(walk);
      order.push(e);
    }
  };
  roots.forEach(walk);
  return order;
}

/** What a kernel needs of the same step: not the operand of a delay or a matrix stage, nor anything that the host knows. */
export function kernelOperands(e: Expr): readonly Expr[] {
  return e.op === "delay" || e.op === "newtonSchulz"
    ? []
    : operands(e).filter((operand) => scopeOf(operand) === "element");
}

const MASKS: ReadonlySet<Op> = new Set(["lt", "le", "eq", "and", "or", "not"]);

/** Whether a node is a truth value; `select` takes one, arithmetic takes none. */
export function isMask(e: Expr): boolean {
  return e.op === "choose" ? e.branches.every(isMask) : MASKS.has(e.op);
}
