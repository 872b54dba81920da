/**
 * Rules that make a program smaller and keep every bit of it: NaN, infinities and the sign of zero included.
 *
 * Expressions come out interned: equal structure is one object, so later passes compare by identity.
 */

import { type Expr, operands, scopeOf, withOperands } from "./node.ts";

/** One interner a program; expressions rewritten by the same one can be compared by identity. */
export class Rewriter {
  private readonly interned = new Map<string, Expr>();
  private readonly ids = new Map<object, number>();
  private readonly done = new Map<Expr, Expr>();

  /** The canonical form of an expression. */
  rewrite(e: Expr): Expr {
    const known = this.done.get(e);
    if (known !== undefined) {
      return known;
    }
    const inner = withOperands(
      e,
      operands(e).map((operand) => this.rewrite(operand)),
    );
    const simpler = simplify(inner);
    const result = simpler === inner ? this.intern(inner) : this.rewrite(simpler);
    this.done.set(e, result);
    this.done.set(result, result);
    return result;
  }

  /** Rewrites with every input of the given names replaced. */
  substitute(e: Expr, replacements: ReadonlyMap<string, Expr>): Expr {
    const memo = new Map<Expr, Expr>();
    const walk = (x: Expr): Expr => {
      const known = memo.get(x);
      if (known !== undefined) {
        return known;
      }
      const replaced =
        x.op === "input" ? (replacements.get(x.name) ?? x) : withOperands(x, operands(x).map(walk));
      memo.set(x, replaced);
      return replaced;
    };
    return this.rewrite(walk(e));
  }

  private intern(e: Expr): Expr {
    const {
      a: _a,
      b: _b,
      cond: _c,
      branches: _d,
      // The program of a function is the function's.
      program: _p,
      ...own
    } = e as Expr & Record<OperandKey, unknown>;
    const fields = Object.entries(own).map(([key, value]) => {
      if (typeof value === "object" && value !== null) {
        return `${key}=#${this.idOf(value)}`;
      }
      // Object.is tells -0 from 0, and so must the key.
      return Object.is(value, -0) ? `${key}=-0` : `${key}=${String(value)}`;
    });
    const key = `${fields.join(" ")}(${operands(e)
      .map((operand) => this.idOf(operand))
      .join(",")})`;
    const known = this.interned.get(key);
    if (known !== undefined) {
      return known;
    }
    this.interned.set(key, e);
    return e;
  }

  private idOf(e: object): number {
    const known = this.ids.get(e);
    if (known !== undefined) {
      return known;
    }
    this.ids.set(e, this.ids.size);
    return this.ids.size - 1;
  }
}

type OperandKey = "a" | "b" | "cond" | "branches" | "program";

/** One rule applied at the root, or the node itself. Operands are canonical already. */
function simplify(e: Expr): Expr {
  switch (e.op) {
    case "neg":
      // −(−a) = a;  −c is a constant
      return e.a.op === "neg" ? e.a.a : e.a.op === "const" ? constant(-e.a.value) : e;
    case "add":
      if (e.a.op === "const" && e.b.op === "const") {
        return constant(e.a.value + e.b.value);
      }
      // a + (−b) = a − b
      if (e.b.op === "neg") {
        return { op: "sub", a: e.a, b: e.b.a };
      }
      // a + (−0) = a; a + 0 is not a for a = −0
      return isConstant(e.b, -0) ? e.a : isConstant(e.a, -0) ? e.b : e;
    case "sub":
      if (e.a.op === "const" && e.b.op === "const") {
        return constant(e.a.value - e.b.value);
      }
      // a − (−b) = a + b
      if (e.b.op === "neg") {
        return { op: "add", a: e.a, b: e.b.a };
      }
      // a − 0 = a
      return isConstant(e.b, 0) ? e.a : e;
    case "mul":
      if (e.a.op === "const" && e.b.op === "const") {
        return constant(e.a.value * e.b.value);
      }
      // 1·a = a·1 = a;  −1·a = −a
      for (const [one, other] of [
        [e.a, e.b],
        [e.b, e.a],
      ] as const) {
        if (isConstant(one, 1)) {
          return other;
        }
        if (isConstant(one, -1)) {
          return { op: "neg", a: other };
        }
      }
      return e;
    case "div":
      if (e.a.op === "const" && e.b.op === "const") {
        return constant(e.a.value / e.b.value);
      }
      // a/1 = a
      return isConstant(e.b, 1) ? e.a : e;
    case "bf16":
      // What is rounded stays as it is.
      return e.a.op === "bf16" || e.a.op === "bf16Stochastic" ? e.a : e;
    case "choose":
      // Branches that agree leave nothing to choose.
      return e.branches.every((branch) => branch === e.branches[0]) ? (e.branches[0] ?? e) : e;
    case "delay":
      return pushDelay(e.a, e.steps) ?? e;
    case "window":
      // one term, or terms that 0⁰ = 1 leaves alone
      return e.length === 1 || e.decay === 0 ? e.a : e;
    default:
      return e;
  }
}

/**
 * A delay goes to the operands where f(0) = 0: delay(a·b) = delay(a)·delay(b), likewise |a|, √a; not −a, as −0 is not 0.
 * Then g² delayed and g delayed share the history of g. Per-tensor values are queued as they are.
 */
function pushDelay(a: Expr, steps: number): Expr | undefined {
  if (a.op === "delay") {
    return { op: "delay", a: a.a, steps: a.steps + steps };
  }
  if (scopeOf(a) !== "element") {
    return undefined;
  }
  if (a.op === "mul" && scopeOf(a.a) === "element" && scopeOf(a.b) === "element") {
    return {
      op: "mul",
      a: { op: "delay", a: a.a, steps },
      b: { op: "delay", a: a.b, steps },
    };
  }
  if (a.op === "abs" || a.op === "sqrt") {
    return { op: a.op, a: { op: "delay", a: a.a, steps } };
  }
  return undefined;
}

function constant(value: number): Expr {
  return { op: "const", value };
}

function isConstant(e: Expr, value: number): boolean {
  return e.op === "const" && Object.is(e.value, value);
}
