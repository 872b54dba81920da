/**
 * The meaning of a program, spelled out: one step over plain float64 arrays, by the definitions alone.
 *
 * No planning, no passes, no recursion for windows, no shared histories: delays and windows look into the
 * recorded past. Slow, and the yardstick for everything that is fast.
 */

import type { Program } from "../optimizer.ts";
import { type Expr, operands } from "./node.ts";

/** A tensor under evaluation. A value of tensor or step scope is an array of one number. */
export interface EvaluatedTensor {
  params: Float64Array;
  readonly state: Map<string, Float64Array>;
  /** Steps taken. */
  count: number;
  /** Values of delayed and windowed expressions, one array a step taken. */
  readonly past: Map<Expr, Float64Array[]>;
}

/** A tensor before its first step. */
export function startTensor(program: Program, params: ArrayLike<number>): EvaluatedTensor {
  const state = Object.entries(program.state).map(([key, { scope, init }]) => {
    const size = scope === "element" ? params.length : 1;
    return [key, new Float64Array(size).fill(init)] as const;
  });
  return { params: Float64Array.from(params), state: new Map(state), count: 0, past: new Map() };
}

/** Takes one step of `program` over all tensors, in float64. */
export function evaluateStep(
  program: Program,
  tensors: readonly EvaluatedTensor[],
  gradients: readonly ArrayLike<number>[],
  learningRate: number,
): void {
  const roots = [program.params, ...Object.values(program.next)];
  const evaluation = new Evaluation(tensors, gradients, learningRate);
  const after = tensors.map((tensor, index) => ({
    params: spread(evaluation.value(program.params, index), tensor.params.length),
    state: Object.entries(program.next).map(([key, next]) => {
      const size = (tensor.state.get(key) as Float64Array).length;
      return [key, spread(evaluation.value(next, index), size)] as const;
    }),
    past: lookedBackAt(roots).map((e) => [e, evaluation.value(e, index)] as const),
  }));
  after.forEach(({ params, state, past }, index) => {
    const tensor = tensors[index] as EvaluatedTensor;
    tensor.params = params;
    tensor.count += 1;
    for (const [key, next] of state) {
      tensor.state.set(key, next);
    }
    for (const [e, value] of past) {
      tensor.past.set(e, [...(tensor.past.get(e) ?? []), value]);
    }
  });
}

class Evaluation {
  private readonly memo: Map<Expr, Float64Array>[];
  private readonly tensors: readonly EvaluatedTensor[];
  private readonly gradients: readonly ArrayLike<number>[];
  private readonly learningRate: number;

  constructor(
    tensors: readonly EvaluatedTensor[],
    gradients: readonly ArrayLike<number>[],
    learningRate: number,
  ) {
    this.memo = tensors.map(() => new Map());
    this.tensors = tensors;
    this.gradients = gradients;
    this.learningRate = learningRate;
  }

  value(e: Expr, index: number): Float64Array {
    const memo = this.memo[index] as Map<Expr, Float64Array>;
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const value = this.compute(e, index);
    memo.set(e, value);
    return value;
  }

  private compute(e: Expr, index: number): Float64Array {
    const tensor = this.tensors[index] as EvaluatedTensor;
    switch (e.op) {
      case "const":
        return Float64Array.of(e.value);
      case "input":
        return this.input(e.name, index);
      case "delay":
        return this.ago(e.a, e.steps, tensor);
      case "window": {
        const terms = Array.from({ length: e.length }, (_, age) => {
          const value = age === 0 ? this.value(e.a, index) : this.ago(e.a, age, tensor);
          return map([value], (x) => (x as number) * e.decay ** age);
        });
        return terms.reduce((sum, term) =>
          map([sum, term], (a, b) => (a as number) + (b as number)),
        );
      }
      case "reduce": {
        const over = e.over === "all" ? this.tensors.map((_, other) => other) : [index];
        const elements = over.flatMap((other) => {
          const size = (this.tensors[other] as EvaluatedTensor).params.length;
          return Array.from(spread(this.value(e.a, other), size));
        });
        return Float64Array.of(
          e.kind === "sum"
            ? elements.reduce((sum, x) => sum + x, 0)
            : elements.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY),
        );
      }
      default: {
        const values = operands(e).map((operand) => this.value(operand, index));
        return map(values, OPERATIONS[e.op]);
      }
    }
  }

  private input(name: string, index: number): Float64Array {
    const tensor = this.tensors[index] as EvaluatedTensor;
    switch (name) {
      case "p":
        return tensor.params;
      case "g":
        return Float64Array.from(this.gradients[index] as ArrayLike<number>);
      case "t":
        return Float64Array.of(tensor.count + 1);
      case "lr":
        return Float64Array.of(this.learningRate);
      case "size":
        return Float64Array.of(tensor.params.length);
      case "totalSize":
        return Float64Array.of(this.tensors.reduce((sum, { params }) => sum + params.length, 0));
      default:
        return tensor.state.get(name) as Float64Array;
    }
  }

  private ago(e: Expr, steps: number, tensor: EvaluatedTensor): Float64Array {
    return tensor.past.get(e)?.at(-steps) ?? Float64Array.of(0);
  }
}

type Elementwise = Exclude<Expr["op"], "const" | "input" | "delay" | "window" | "reduce">;

/** Truth values are 1 and 0. `exponent` and `exp2i` are those of float64; erf is summed to the last bit that counts. */
const OPERATIONS: Readonly<Record<Elementwise, (...x: number[]) => number>> = {
  neg: (a = 0) => -a,
  abs: (a = 0) => Math.abs(a),
  sqrt: (a = 0) => Math.sqrt(a),
  floor: (a = 0) => Math.floor(a),
  exponent: (a = 0) => Math.floor(Math.log2(a)),
  exp2i: (a = 0) => 2 ** a,
  exp: (a = 0) => Math.exp(a),
  expm1: (a = 0) => Math.expm1(a),
  log: (a = 0) => Math.log(a),
  erf: (a = 0) => erfSeries(a),
  tanh: (a = 0) => Math.tanh(a),
  not: (a = 0) => (a === 0 ? 1 : 0),
  add: (a = 0, b = 0) => a + b,
  sub: (a = 0, b = 0) => a - b,
  mul: (a = 0, b = 0) => a * b,
  div: (a = 0, b = 0) => a / b,
  min: (a = 0, b = 0) => Math.min(a, b),
  max: (a = 0, b = 0) => Math.max(a, b),
  pow: (a = 0, b = 0) => a ** b,
  lt: (a = 0, b = 0) => (a < b ? 1 : 0),
  le: (a = 0, b = 0) => (a <= b ? 1 : 0),
  eq: (a = 0, b = 0) => (a === b ? 1 : 0),
  and: (a = 0, b = 0) => (a !== 0 && b !== 0 ? 1 : 0),
  or: (a = 0, b = 0) => (a !== 0 || b !== 0 ? 1 : 0),
  select: (cond = 0, a = 0, b = 0) => (cond !== 0 ? a : b),
};

/** erf x = 2/√π e^(−x²) Σ 2ᵏ x^(2k+1) / (1·3·…·(2k+1)): all terms of one sign, so no cancellation. */
function erfSeries(x: number): number {
  if (Math.abs(x) > 6) {
    return Math.sign(x); // 1 − erf 6 is 2e-17, below the last bit of 1
  }
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > Math.abs(sum) * 1e-18; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function map(values: readonly Float64Array[], f: (...x: number[]) => number): Float64Array {
  const size = values.some(({ length }) => length === 0)
    ? 0
    : Math.max(...values.map(({ length }) => length));
  return Float64Array.from({ length: size }, (_, i) =>
    f(...values.map((value) => value[value.length === 1 ? 0 : i] as number)),
  );
}

function spread(value: Float64Array, size: number): Float64Array {
  return value.length === size ? value.slice() : new Float64Array(size).fill(value[0] as number);
}

/** Expressions whose past a program needs. */
function lookedBackAt(roots: readonly Expr[]): Expr[] {
  const seen = new Set<Expr>();
  const found = new Set<Expr>();
  const walk = (e: Expr): void => {
    if (!seen.has(e)) {
      seen.add(e);
      if (e.op === "delay" || e.op === "window") {
        found.add(e.a);
      }
      operands(e).forEach(walk);
    }
  };
  roots.forEach(walk);
  return [...found];
}
