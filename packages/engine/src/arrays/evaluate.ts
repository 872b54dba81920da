/**
 * A program's expressions, evaluated over the arrays of any library.
 *
 * What the host knows stays a number: an operation whose operands are numbers is computed here, in float64, by
 * the code that core's compiled optimizers run, and one that meets an array goes to the library. So bias
 * corrections and rates cost nothing on the device, and what depends on a reduction (a global norm, AdaShift's
 * v) remains a scalar there: nothing is read back in the middle of a step.
 */

import { sizeOf } from "@adastra/core";
import {
  directWindow,
  type Expr,
  expandMath,
  matrixOf,
  type Op,
  type ReduceOver,
  runHost,
} from "@adastra/core/program";
import type { ArrayOps, BinaryOp, CompareOp, Value } from "./ops.ts";

/** One leaf as a step finds it. */
export interface LeafValues<T> {
  readonly shape: readonly number[];
  /** The step's number, or anything else that is the same for leaves at the same step number. */
  readonly step: unknown;
  /** Its own node for each reduction over all tensors, by domain; the node itself where it has no domain. */
  readonly sites?: ReadonlyMap<string, Expr>;
  /** `g`, `p`, `t`, `lr`, a hyperparameter or a state by its key. */
  input(name: string): Value<T>;
  /** The value of `e` as it was `steps` steps ago. */
  past(e: Expr, steps: number): Value<T>;
}

/** The values of one step, each computed once. */
export class Evaluation<T> {
  private readonly ops: ArrayOps<T>;
  private readonly leaves: readonly LeafValues<T>[];
  private readonly common: ReadonlySet<Expr>;
  private readonly known: ReadonlyMap<Expr, Value<T>>;
  private readonly own: readonly Map<Expr, Value<T>>[];
  /** Values of `common`, by leaf; leaves at the same step number have one map. */
  private readonly shared: readonly Map<Expr, Value<T>>[];
  private readonly overAll = new Map<Expr | string, Value<T>>();

  /**
   * @param common - expressions whose value is the same for all leaves at one step number.
   * @param known - values that take the place of their expressions.
   */
  constructor(
    ops: ArrayOps<T>,
    leaves: readonly LeafValues<T>[],
    common: ReadonlySet<Expr>,
    known: ReadonlyMap<Expr, Value<T>> = new Map(),
  ) {
    this.ops = ops;
    this.leaves = leaves;
    this.common = common;
    this.known = known;
    this.own = leaves.map(() => new Map());
    const byStep = new Map<unknown, Map<Expr, Value<T>>>();
    this.shared = leaves.map(({ step }) => {
      const memo = byStep.get(step) ?? new Map<Expr, Value<T>>();
      byStep.set(step, memo);
      return memo;
    });
  }

  /** The value of `e` for the leaf at position `leaf`; truth values are 1 and 0, or the library's. */
  value(e: Expr, leaf: number): Value<T> {
    const known = this.known.get(e);
    if (known !== undefined) {
      return known;
    }
    const memo = (this.common.has(e) ? this.shared : this.own)[leaf] as Map<Expr, Value<T>>;
    let value = memo.get(e);
    if (value === undefined) {
      value = this.compute(e, leaf);
      memo.set(e, value);
    }
    return value;
  }

  private compute(e: Expr, leaf: number): Value<T> {
    switch (e.op) {
      case "const":
        return e.value;
      case "roundoff":
        return this.ops.roundoff;
      case "input":
        return this.leaf(leaf).input(e.name);
      case "delay":
        return this.leaf(leaf).past(e.a, e.steps);
      case "window":
        return this.value(directWindow(e), leaf);
      case "reduce":
        return e.over === "all" ? this.reduceAll(e) : this.reduce(e, e.over, leaf);
      case "newtonSchulz":
        return this.newtonSchulz(e, leaf);
      case "choose":
        throw new TypeError("evaluate: a program must be specialised to its leaves, got a choice");
      case "select":
        return this.select(e, leaf);
      case "neg":
      case "abs":
      case "sqrt":
      case "floor":
      case "exp":
      case "expm1":
      case "log":
      case "tanh": {
        const a = this.value(e.a, leaf);
        return typeof a === "number" ? onHost(e.op, a) : this.ops[e.op](a);
      }
      case "erf": {
        const a = this.value(e.a, leaf);
        if (typeof a === "number") {
          return this.value(expandMath(e, "float64"), leaf);
        }
        return this.ops.erf?.(a) ?? this.value(expandMath(e, "float32"), leaf);
      }
      case "exponent": {
        const a = this.value(e.a, leaf);
        return typeof a === "number" ? onHost(e.op, a) : this.exponent(a);
      }
      case "exp2i": {
        const a = this.value(e.a, leaf);
        return typeof a === "number" ? onHost(e.op, a) : this.ops.pow(2, a);
      }
      case "add":
      case "mul":
      case "div":
      case "min":
      case "max":
      case "pow":
      case "lt":
      case "le":
      case "eq":
        return this.binary(e.op, this.value(e.a, leaf), this.value(e.b, leaf));
      case "sub":
        return (
          this.correction(e.a, e.b, leaf) ??
          this.binary(e.op, this.value(e.a, leaf), this.value(e.b, leaf))
        );
      case "and":
      case "or": {
        const [a, b] = [this.value(e.a, leaf), this.value(e.b, leaf)];
        if (typeof a !== "number" && typeof b !== "number") {
          return this.ops[e.op](a, b);
        }
        // A truth value of the host decides, or leaves the other to decide.
        const [known, other] = typeof a === "number" ? [a, b] : [b, a];
        const decides = e.op === "and" ? known === 0 : known !== 0;
        return decides ? known : other;
      }
      case "not": {
        const a = this.value(e.a, leaf);
        return typeof a === "number" ? onHost(e.op, a) : this.ops.not(a);
      }
      case "cosPi": {
        const narrow = typeof this.value(e.a, leaf) === "number" ? "float64" : "float32";
        return this.value(expandMath(e, narrow), leaf);
      }
      case "random":
      case "bf16":
      case "bf16Stochastic":
      case "int8":
      case "int8Stochastic":
        throw new TypeError(
          `evaluate: programs over arrays must neither draw nor round to fewer bits, got "${e.op}"; use core's kernels`,
        );
      default:
        return e satisfies never;
    }
  }

  private select(e: Expr & { op: "select" }, leaf: number): Value<T> {
    const cond = this.value(e.cond, leaf);
    if (typeof cond === "number") {
      return this.value(cond !== 0 ? e.a : e.b, leaf);
    }
    return this.ops.select(cond, this.value(e.a, leaf), this.value(e.b, leaf));
  }

  /** 1 − bˣ as −(e^(x ln b) − 1) where x is on the device: in float32 the subtraction would cancel digits. */
  private correction(one: Expr, power: Expr, leaf: number): Value<T> | undefined {
    if (one.op !== "const" || one.value !== 1 || power.op !== "pow") {
      return undefined;
    }
    const [b, x] = [this.value(power.a, leaf), this.value(power.b, leaf)];
    return typeof b !== "number" || !(b > 0) || typeof x === "number"
      ? undefined
      : this.ops.neg(this.ops.expm1(this.ops.mul(x, Math.log(b))));
  }

  private binary(op: BinaryOp | CompareOp, a: Value<T>, b: Value<T>): Value<T> {
    return typeof a === "number" && typeof b === "number" ? onHost(op, a, b) : this.ops[op](a, b);
  }

  private reduce(
    { kind, a: operand }: Expr & { op: "reduce" },
    over: Exclude<ReduceOver, "all">,
    leaf: number,
  ): Value<T> {
    const { shape } = this.leaf(leaf);
    const { rows, columns } = matrixOf(shape);
    const terms = { row: columns, column: rows, tensor: rows * columns }[over];
    if (terms === 0) {
      return identity(kind);
    }
    const a = this.value(operand, leaf);
    if (typeof a === "number") {
      return kind === "sum" ? onHost("mul", a, terms) : a;
    }
    const reduce = kind === "sum" ? this.ops.total : this.ops.largest;
    const [size, whole] = [this.ops.sizeOf(a), sizeOf(shape)];
    if (size === 1 && whole > 1) {
      // One number for all elements, in the shape of what it is one of.
      const one = over === "tensor" ? reduce(a, over) : a;
      return kind === "sum" ? this.ops.mul(one, terms) : one;
    }
    return reduce(size === whole ? a : this.ops.spread(a, shape), over);
  }

  /** (aI + bG + cG²) X with G = XXᵀ, or X on the other side with G = XᵀX where that is smaller. */
  private newtonSchulz(
    { a: operand, coefficients }: Expr & { op: "newtonSchulz" },
    leaf: number,
  ): Value<T> {
    const { ops } = this;
    const { shape } = this.leaf(leaf);
    const { rows, columns } = matrixOf(shape);
    const value = this.value(operand, leaf);
    if (rows * columns === 0) {
      return value;
    }
    if (typeof value === "number") {
      // A program iterates on what it made of the gradient.
      throw new TypeError("evaluate: a matrix stage must run over an array of elements, got none");
    }
    const wide = rows <= columns;
    let x = ops.reshape(value, [rows, columns]);
    for (const [a, b, c] of coefficients) {
      const gram = ops.product(x, x, wide ? "b" : "a");
      const mixed = ops.add(ops.mul(gram, b), ops.mul(ops.product(gram, gram), c));
      x = ops.add(ops.mul(x, a), wide ? ops.product(mixed, x) : ops.product(x, mixed));
    }
    return ops.reshape(x, shape);
  }

  private reduceAll(e: Expr & { op: "reduce" }): Value<T> {
    const site = e.domain ?? e;
    const known = this.overAll.get(site);
    if (known !== undefined) {
      return known;
    }
    const join = e.kind === "sum" ? "add" : "max";
    const value = this.leaves.reduce<Value<T>>((sum, { shape, sites }, leaf) => {
      const own = e.domain === undefined ? e : sites?.get(e.domain);
      return own?.op !== "reduce" || sizeOf(shape) === 0
        ? sum
        : this.join(join, sum, this.reduce(own, "tensor", leaf));
    }, identity(e.kind));
    this.overAll.set(site, value);
    return value;
  }

  /** The first partial result is taken as it is. */
  private join(op: "add" | "max", sum: Value<T>, next: Value<T>): Value<T> {
    return sum === identity(op === "add" ? "sum" : "max") ? next : this.binary(op, sum, next);
  }

  /** ⌊log₂ |a|⌋ by the logarithm, put right next to powers of two, where it may be one off. */
  private exponent(a: T): T {
    const { ops } = this;
    const size = ops.abs(a);
    const near = ops.floor(ops.mul(ops.log(size), Math.LOG2E));
    const above = ops.select(ops.le(ops.pow(2, ops.add(near, 1)), size), 1, 0);
    const below = ops.select(ops.lt(size, ops.pow(2, near)), 1, 0);
    return ops.sub(ops.add(near, above), below);
  }

  private leaf(leaf: number): LeafValues<T> {
    return this.leaves[leaf] as LeafValues<T>;
  }
}

function identity(kind: "sum" | "max"): number {
  return kind === "sum" ? 0 : Number.NEGATIVE_INFINITY;
}

/** One operation over numbers, in float64. */
function onHost(op: Op, ...values: number[]): number {
  const at = values.map((_, index) => index);
  const numbers = Float64Array.of(...values, 0);
  const matrix = { rows: 1, columns: 1 };
  runHost([{ op, out: values.length, operands: at }], { numbers, vectors: [] }, matrix);
  return numbers[values.length] as number;
}
