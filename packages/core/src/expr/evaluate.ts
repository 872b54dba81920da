/**
 * The meaning of a program, spelled out: one step over plain float64 arrays, by the definitions alone.
 *
 * No planning, no passes, no recursion for windows, no shared histories: delays and windows look into the
 * recorded past. Slow, and the yardstick for everything that is fast.
 */

import type { Program, ProgramPhase } from "../optimizer.ts";
import { bf16Operations } from "./bf16.ts";
import { keyOf, saltOf, uniformAt } from "./draw.ts";
import { packed, unpacked } from "./int8.ts";
import { type Expr, type LeafInfo, matrixOf, operands, type Scope, scopeOf } from "./node.ts";

/** A tensor under evaluation. */
export interface EvaluatedTensor {
  readonly leaf: LeafInfo;
  params: Float64Array;
  readonly state: Map<string, Float64Array>;
  /** Steps taken. */
  count: number;
  /** Values of delayed and windowed expressions, one array a step taken. */
  readonly past: Map<Expr, Float64Array[]>;
}

/** A tensor before its first step; a vector where no leaf is given. */
export function startTensor(
  program: Program,
  params: ArrayLike<number>,
  leaf: LeafInfo = { path: "", shape: [params.length] },
): EvaluatedTensor {
  const { nearest } = bf16Operations();
  const state = Object.entries(program.state).map(([key, { scope, init, format }]) => {
    const start =
      init === "params"
        ? Float64Array.from(params)
        : new Float64Array(countOf(scope, leaf)).fill(init);
    switch (format?.name) {
      case undefined:
        return [key, start] as const;
      case "bf16":
      case "bf16-stochastic":
        return [key, start.map(nearest)] as const;
      default:
        return [key, Float64Array.from(unpacked(packed(Float32Array.from(start))))] as const;
    }
  });
  return {
    leaf,
    params: Float64Array.from(params),
    state: new Map(state),
    count: 0,
    past: new Map(),
  };
}

/** Numbers that a value of a scope holds over a leaf. */
function countOf(scope: Scope, { shape }: LeafInfo): number {
  const { rows, columns } = matrixOf(shape);
  return { step: 1, tensor: 1, row: rows, column: columns, element: rows * columns }[scope];
}

/** Takes one step of `program` over all tensors, in float64; or one of its phases, which counts no step. */
export function evaluateStep(
  program: Program,
  tensors: readonly EvaluatedTensor[],
  gradients: readonly ArrayLike<number>[],
  learningRate: number,
  phase: ProgramPhase = program,
  seed = 0,
): void {
  const call = program.before.indexOf(phase) + 1;
  const evaluation = new Evaluation(program, tensors, gradients, learningRate, seed, call);
  const roots = [phase.params, ...Object.values(phase.next)];
  const after = tensors.map((_, index) => ({
    params: evaluation.spread(phase.params, "element", index),
    state: Object.entries(phase.next).map(([key, next]) => {
      const scope = program.state[key]?.scope ?? "element";
      return [key, evaluation.spread(next, scope, index)] as const;
    }),
    past: lookedBackAt(roots).map((e) => [e, evaluation.value(e, index)] as const),
  }));
  after.forEach(({ params, state, past }, index) => {
    const tensor = tensors[index] as EvaluatedTensor;
    tensor.params = params;
    tensor.count += phase === program ? 1 : 0;
    for (const [key, next] of state) {
      tensor.state.set(key, next);
    }
    for (const [e, value] of past) {
      tensor.past.set(e, [...(tensor.past.get(e) ?? []), value]);
    }
  });
}

/** What the next step of `program` would make of expressions of it: of each tensor one number an element, by name. */
export function evaluateElements(
  program: Program,
  tensors: readonly EvaluatedTensor[],
  gradients: readonly ArrayLike<number>[],
  learningRate: number,
  named: Readonly<Record<string, Expr>>,
): Readonly<Record<string, Float64Array>>[] {
  const evaluation = new Evaluation(program, tensors, gradients, learningRate, 0, 0);
  return tensors.map((_, index) =>
    Object.fromEntries(
      Object.entries(named).map(([name, e]) => [name, evaluation.spread(e, "element", index)]),
    ),
  );
}

class Evaluation {
  private readonly memo: Map<Expr, Float64Array>[];
  private readonly nodes: ReadonlySet<Expr>[] = [];
  private readonly scopes = new Map<Expr, Scope>();
  private readonly program: Program;
  private readonly tensors: readonly EvaluatedTensor[];
  private readonly gradients: readonly ArrayLike<number>[];
  private readonly learningRate: number;
  private readonly seed: number;
  private readonly call: number;

  constructor(
    program: Program,
    tensors: readonly EvaluatedTensor[],
    gradients: readonly ArrayLike<number>[],
    learningRate: number,
    seed: number,
    call: number,
  ) {
    this.seed = seed;
    this.call = call;
    this.memo = tensors.map(() => new Map());
    this.program = program;
    this.tensors = tensors;
    this.gradients = gradients;
    this.learningRate = learningRate;
  }

  /** One number a step, a tensor, a row, a column or an element, as the scope of the expression says. */
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

  /** The value with one number for each that `scope` holds. */
  spread(e: Expr, scope: Scope, index: number): Float64Array {
    const { leaf } = this.tensors[index] as EvaluatedTensor;
    const value = this.value(e, index);
    const at = place(this.scope(e), scope, leaf);
    return Float64Array.from({ length: countOf(scope, leaf) }, (_, i) => value[at(i)] as number);
  }

  private scope(e: Expr): Scope {
    return scopeOf(e, this.scopes);
  }

  private compute(e: Expr, index: number): Float64Array {
    const tensor = this.tensors[index] as EvaluatedTensor;
    const { leaf } = tensor;
    switch (e.op) {
      case "const":
        return Float64Array.of(e.value);
      case "roundoff":
        return Float64Array.of(2 ** -53);
      case "input":
        return this.input(e.name, index);
      case "random": {
        const key = keyOf(this.seed, leaf.path, tensor.count + 1, this.call);
        const salt = saltOf(e.stream);
        return new Float64Array(countOf("element", leaf)).map((_, i) => uniformAt(i, key, salt));
      }
      case "choose":
        return this.spread(e.branches[e.choice.branch(leaf)] as Expr, this.scope(e), index);
      case "delay":
        return this.ago(e.a, e.steps, tensor);
      case "window": {
        const terms = Array.from({ length: e.length }, (_, age) => {
          const value = age === 0 ? this.value(e.a, index) : this.ago(e.a, age, tensor);
          return value.map((x) => x * e.decay ** age);
        });
        return terms.reduce((sum, term) => sum.map((x, i) => x + (term[i] as number)));
      }
      case "reduce":
        return this.reduce(e, index);
      case "newtonSchulz":
        return e.coefficients.reduce(
          (x, abc) => newtonSchulzStep(x, matrixOf(leaf.shape), abc),
          this.spread(e.a, "element", index),
        );
      case "int8":
      case "int8Stochastic": {
        const x = Float32Array.from(this.spread(e.a, "element", index));
        const u = e.op === "int8" ? undefined : this.spread(e.b, "element", index);
        return Float64Array.from(unpacked(packed(x, u)));
      }
      default: {
        const scope = this.scope(e);
        const values = operands(e).map((operand) => this.spread(operand, scope, index));
        const f = OPERATIONS[e.op];
        return Float64Array.from({ length: countOf(scope, leaf) }, (_, i) =>
          f(...values.map((value) => value[i] as number)),
        );
      }
    }
  }

  private reduce(e: Expr & { op: "reduce" }, index: number): Float64Array {
    const join =
      e.kind === "sum"
        ? (x: number, y: number): number => x + y
        : (x: number, y: number): number => Math.max(x, y);
    const identity = e.kind === "sum" ? 0 : Number.NEGATIVE_INFINITY;
    if (e.over === "all") {
      const elements = this.tensors.flatMap((_, other) =>
        this.nodesOf(other).has(e) ? Array.from(this.spread(e.a, "element", other)) : [],
      );
      return Float64Array.of(elements.reduce(join, identity));
    }
    const { leaf } = this.tensors[index] as EvaluatedTensor;
    const result = new Float64Array(countOf(e.over, leaf)).fill(identity);
    const at = place(e.over, "element", leaf);
    this.spread(e.a, "element", index).forEach((x, i) => {
      result[at(i)] = join(result[at(i)] as number, x);
    });
    return result;
  }

  /** Every node of the program of a leaf. */
  private nodesOf(index: number): ReadonlySet<Expr> {
    const known = this.nodes[index];
    if (known !== undefined) {
      return known;
    }
    const { leaf } = this.tensors[index] as EvaluatedTensor;
    const seen = new Set<Expr>();
    const walk = (x: Expr): void => {
      if (!seen.has(x)) {
        seen.add(x);
        const next = x.op === "choose" ? [x.branches[x.choice.branch(leaf)] as Expr] : operands(x);
        next.forEach(walk);
      }
    };
    const { before, inspect, evaluation } = this.program;
    for (const { params, next } of [this.program, ...before]) {
      [params, ...Object.values(next)].forEach(walk);
    }
    [...Object.values(inspect), evaluation ?? []].flat().forEach(walk);
    this.nodes[index] = seen;
    return seen;
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
      default: {
        const hyperparameter = this.program.hyperparameters[name];
        return hyperparameter === undefined
          ? (tensor.state.get(name) as Float64Array)
          : Float64Array.of(hyperparameter.value);
      }
    }
  }

  private ago(e: Expr, steps: number, tensor: EvaluatedTensor): Float64Array {
    return tensor.past.get(e)?.at(-steps) ?? new Float64Array(countOf(this.scope(e), tensor.leaf));
  }
}

/** Where the number for index i of scope `to` stands in a value of scope `from`. */
function place(from: Scope, to: Scope, { shape }: LeafInfo): (i: number) => number {
  if (from === to) {
    return (i) => i;
  }
  const { columns } = matrixOf(shape);
  switch (from) {
    case "row":
      return (i) => Math.floor(i / columns);
    case "column":
      return (i) => i % columns;
    default:
      return () => 0;
  }
}

type Elementwise = Exclude<
  Expr["op"],
  | "const"
  | "roundoff"
  | "input"
  | "random"
  | "delay"
  | "window"
  | "reduce"
  | "newtonSchulz"
  | "int8"
  | "int8Stochastic"
  | "choose"
>;

/** Truth values are 1 and 0. `exponent` and `exp2i` are those of float64; erf is summed to the last bit that counts. */
const OPERATIONS: Readonly<Record<Elementwise, (...x: number[]) => number>> = {
  neg: (a = 0) => -a,
  abs: (a = 0) => Math.abs(a),
  sqrt: (a = 0) => Math.sqrt(a),
  floor: (a = 0) => Math.floor(a),
  exponent: (a = 0) => Math.floor(Math.log2(a)),
  exp2i: (a = 0) => 2 ** a,
  // Of the nearest float32: bfloat16 is defined on those alone.
  bf16: (a = 0) => bf16Operations().nearest(a),
  bf16Stochastic: (a = 0, u = 0) => bf16Operations().stochastic(a, u),
  exp: (a = 0) => Math.exp(a),
  expm1: (a = 0) => Math.expm1(a),
  log: (a = 0) => Math.log(a),
  erf: (a = 0) => erfSeries(a),
  tanh: (a = 0) => Math.tanh(a),
  // cos πa = sin π(½ − |a| mod 2): both exact until the sine.
  cosPi: (a = 0) => {
    const remainder = Math.abs(a) % 2;
    return Math.sin(Math.PI * (0.5 - Math.min(remainder, 2 - remainder)));
  },
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

/** aX + (bG + cG²) X with G = XXᵀ, or aX + X (bG + cG²) with G = XᵀX where that is smaller. */
function newtonSchulzStep(
  x: Float64Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  [a, b, c]: readonly [number, number, number],
): Float64Array {
  const wide = rows <= columns;
  const size = wide ? rows : columns;
  const gram = wide
    ? product(rows, columns, rows, x, transposed(rows, columns, x))
    : product(columns, rows, columns, transposed(rows, columns, x), x);
  const squared = product(size, size, size, gram, gram);
  const mixed = gram.map((each, i) => b * each + c * (squared[i] as number));
  const moved = wide
    ? product(rows, rows, columns, mixed, x)
    : product(rows, columns, columns, x, mixed);
  return moved.map((each, i) => a * (x[i] as number) + each);
}

/** The m × n matrix AB, with A of m × k and B of k × n. */
function product(m: number, k: number, n: number, a: Float64Array, b: Float64Array): Float64Array {
  return Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let l = 0; l < k; l++) {
      sum += (a[i * k + l] as number) * (b[l * n + j] as number);
    }
    return sum;
  });
}

function transposed(rows: number, columns: number, x: Float64Array): Float64Array {
  return x.map((_, at) => x[(at % rows) * columns + Math.floor(at / rows)] as number);
}

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
