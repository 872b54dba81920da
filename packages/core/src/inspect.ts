/**
 * Statistics of a step, of each tensor and of the whole model, reduced by probes: kernels that read what a pass of the
 * step is about to read, over a sample of the elements or all of them, and store nothing.
 *
 *     program ─ withStatistics ─▶ with sums and maxima of gradient, parameter, update and of what the optimizer names
 *     sums of a tensor ─ finish ─▶ its statistics          sums of all tensors together ─ finish ─▶ the model's
 *
 * Terms are rounded to the dtype, then added in float64 in the order that is the same on every backend. In float32 a
 * square below 1e-38 is lost, so gradients are scaled by 2¹⁶ and v by 2³², which is exact: what is left are gradients
 * of 1e-15 to 5e4 whose fourth powers the correlation needs, and 1e-24 to 2e14 for norm and rms.
 */

import { abs, input, maximum, mul, neg, square, sub, sum } from "./expr/build.ts";
import { type Expr, scopeOf } from "./expr/node.ts";
import type { Program } from "./optimizer.ts";

/** Size of the elements of a tensor, or of all tensors. */
export interface Magnitude {
  /** √(Σx²). */
  readonly norm: number;
  /** √(Σx²/n). */
  readonly rms: number;
  /** max |x| of the elements looked at: NaN or infinite exactly when one of them is. */
  readonly max: number;
}

/** Distribution of a value that the optimizer names; of one number a tensor or step, that number four times. */
export interface ValueStatistics {
  /** Σx/n. */
  readonly mean: number;
  /** √(Σx²/n). */
  readonly rms: number;
  readonly min: number;
  readonly max: number;
  /**
   * Of `v` where it is one number an element: Pearson's correlation of v and g² over the elements, in [-1, 1], g the
   * gradient that arrived and v as the step uses it. NaN where the standard deviation of either is below 1/256 of
   * its rms, which float32 cannot tell from none; above that, within 0.01 of the exact value.
   */
  readonly correlation?: number;
}

/**
 * Statistics of one step over the elements of a tensor, or of all tensors. Quotients by zero are infinite or NaN.
 *
 * Of a sample, sums are those of the sample times n over its size: rms and mean of a tensor are the sample's own, a norm
 * is √n rms, the model's weigh tensors by n. Maxima and minima are the sample's.
 */
export interface TensorStatistics {
  /** n: elements of the tensor, or of all tensors. */
  readonly elements: number;
  /** Elements that were looked at: n, or fewer where the step was inspected by a sample. */
  readonly sampled: number;
  /** g, as it arrived: before clipping or decay; of the last call where several make up a step. */
  readonly gradient: Magnitude;
  /** p before the step. */
  readonly parameter: Magnitude;
  /** What the step adds to p, weight decay and projections included; before p + update is rounded. */
  readonly update: Magnitude;
  /** rms of the update over rms of the parameter: the share of itself by which a tensor moves. */
  readonly updateRatio: number;
  /** rms of the update over rms of the gradient, in the unit of a learning rate of plain SGD. */
  readonly stepSize: number;
  /** Values that the optimizer names in `inspect`, such as `v`, `effectiveRate`, `inertia`, `conformity`. */
  readonly values: Readonly<Record<string, ValueStatistics>>;
}

/** Statistics of an inspected step. */
export interface Statistics {
  /** By leaf path, in the order of the parameters: leaves that took part and have elements. */
  readonly tensors: Readonly<Record<string, TensorStatistics>>;
  /** Over the elements of all these tensors together, not the mean of their statistics. */
  readonly model: TensorStatistics;
}

/** What is reduced: the first two of gradient, parameter and update, the others of named values. */
type Kind =
  | "squares"
  | "largest"
  | "sum"
  | "sumOfSquares"
  | "max"
  /** The maximum of −x. */
  | "min"
  | "gradientSquares"
  | "gradientFourths"
  | "products";

/** Places of sums and maxima, by value and kind. */
export type Places = Readonly<Record<string, Readonly<Partial<Record<Kind, number>>>>>;

/** What the program of `withStatistics` reduces as `key`. */
export function placeOf(key: string): readonly [name: string, kind: Kind] {
  const space = key.indexOf(" ");
  // Keys are made of a kind, a space and a name.
  return [key.slice(space + 1), key.slice(0, space) as Kind];
}

/** Sums and maxima of one tensor as its probes leave them. */
export interface Reading {
  readonly path: string;
  readonly elements: number;
  readonly sampled: number;
  /** Where they stand in `numbers`, counted from `from` on. */
  readonly places: Places;
  readonly numbers: readonly number[];
  readonly from: number;
}

/** Powers of two, so that scaling is exact. */
const GRADIENT_SCALE = 2 ** 16;
const V_SCALE = GRADIENT_SCALE ** 2;

/** The program with sums and maxima of gradient, parameter, update and inspected values; with none where not asked for. */
export function withStatistics(program: Program, inspect: boolean): Program {
  if (!inspect) {
    return { ...program, inspect: {} };
  }
  const reduced: Record<string, Expr> = {};
  const reduce = (kind: Kind, name: string, e: Expr): void => {
    reduced[`${kind} ${name}`] = e;
  };
  const gradient = input("g", "element");
  const parameter = input("p", "element");
  const squaredGradient = square(mul(gradient, GRADIENT_SCALE));
  const gradientSquares = sum(squaredGradient);
  reduce("squares", "gradient", gradientSquares);
  for (const [name, x] of [
    ["parameter", parameter],
    ["update", updateOf(program.params, parameter)],
  ] as const) {
    reduce("squares", name, sum(square(x)));
    reduce("largest", name, maximum(abs(x)));
  }
  reduce("largest", "gradient", maximum(abs(gradient)));
  for (const [name, value] of Object.entries(program.inspect)) {
    const x = isV(name) ? mul(value, V_SCALE) : value;
    reduce("sum", name, sum(x));
    reduce("sumOfSquares", name, sum(square(x)));
    reduce("max", name, maximum(value));
    reduce("min", name, maximum(neg(value)));
    if (isV(name) && scopeOf(value) === "element") {
      reduce("gradientSquares", name, gradientSquares);
      reduce("gradientFourths", name, sum(square(squaredGradient)));
      reduce("products", name, sum(mul(squaredGradient, x)));
    }
  }
  return { ...program, inspect: reduced };
}

/** What is added to the parameter; its sign does not matter to what is reduced of it. */
function updateOf(params: Expr, parameter: Expr): Expr {
  const isSum = params.op === "add" && params.a.op === "input" && params.a.name === "p";
  const update = isSum ? params.b : sub(params, parameter);
  return update.op === "neg" ? update.a : update;
}

/** The name of a second moment; in chains a later stage's carries its position. */
function isV(name: string): boolean {
  return /^(\d+\.)*v$/.test(name);
}

/** The statistics of a step from what its tensors reduced; made once they are read. */
export function statisticsOf(read: () => readonly Reading[]): Statistics {
  return new StepStatistics(read);
}

class StepStatistics implements Statistics {
  declare readonly tensors: Statistics["tensors"];
  declare readonly model: TensorStatistics;
  readonly #read: () => readonly Reading[];
  #readings: readonly Reading[] | undefined;
  #tensors: Statistics["tensors"] | undefined;
  #model: TensorStatistics | undefined;

  constructor(read: () => readonly Reading[]) {
    this.#read = read;
    Object.defineProperty(this, "tensors", TENSORS);
    Object.defineProperty(this, "model", MODEL);
  }

  get readings(): readonly Reading[] {
    this.#readings ??= this.#read();
    return this.#readings;
  }

  makeTensors(): Statistics["tensors"] {
    this.#tensors ??= Object.fromEntries(
      this.readings.map((reading) => [reading.path, finish([reading])]),
    );
    return this.#tensors;
  }

  makeModel(): TensorStatistics {
    this.#model ??= finish(this.readings);
    return this.#model;
  }
}

// Of each object's own, so that it compares, clones and prints as what it holds; and the same functions for all: with
// functions of its own each object would have a hidden class of its own, which costs four times as much.
const TENSORS = {
  enumerable: true,
  get(this: StepStatistics): Statistics["tensors"] {
    return this.makeTensors();
  },
};

const MODEL = {
  enumerable: true,
  get(this: StepStatistics): TensorStatistics {
    return this.makeModel();
  },
};

/** Statistics over the elements of some tensors together. */
function finish(readings: readonly Reading[]): TensorStatistics {
  const gradient = magnitude(readings, "gradient", GRADIENT_SCALE);
  const parameter = magnitude(readings, "parameter", 1);
  const update = magnitude(readings, "update", 1);
  const values: Record<string, ValueStatistics> = {};
  for (const places of new Set(readings.map((reading) => reading.places))) {
    for (const name of Object.keys(places)) {
      if (places[name]?.sum !== undefined) {
        values[name] ??= distribution(readings, name);
      }
    }
  }
  return {
    elements: countOf(readings),
    sampled: readings.reduce((count, { sampled }) => count + sampled, 0),
    gradient,
    parameter,
    update,
    updateRatio: update.rms / parameter.rms,
    stepSize: update.rms / gradient.rms,
    values,
  };
}

function magnitude(readings: readonly Reading[], name: string, scale: number): Magnitude {
  const squares = total(readings, "squares", name);
  const mean = readings.length === 0 ? 0 : squares / countOf(readings);
  return {
    norm: Math.sqrt(squares) / scale,
    rms: Math.sqrt(mean) / scale,
    max: Math.max(0, total(readings, "largest", name)),
  };
}

/** Of a named value, over the tensors that have it. */
function distribution(all: readonly Reading[], name: string): ValueStatistics {
  const readings = all.filter(({ places }) => places[name]?.sum !== undefined);
  const scale = isV(name) ? V_SCALE : 1;
  const count = countOf(readings);
  const mean = (kind: Kind): number => total(readings, kind, name) / count;
  const correlated = readings.every(({ places }) => places[name]?.products !== undefined);
  const [first, second] = [mean("sum"), mean("sumOfSquares")];
  return {
    mean: first / scale,
    rms: Math.sqrt(second) / scale,
    min: -total(readings, "min", name),
    max: total(readings, "max", name),
    ...(correlated && {
      correlation: pearson(
        { mean: mean("gradientSquares"), square: mean("gradientFourths") },
        { mean: first, square: second },
        mean("products"),
      ),
    }),
  };
}

function total(readings: readonly Reading[], kind: Kind, name: string): number {
  const isMaximum = kind === "largest" || kind === "max" || kind === "min";
  let result = isMaximum ? Number.NEGATIVE_INFINITY : 0;
  for (const { places, numbers, from } of readings) {
    const x = numbers[from + (places[name]?.[kind] as number)] as number;
    result = isMaximum ? Math.max(result, x) : result + x;
  }
  return result;
}

function countOf(readings: readonly Reading[]): number {
  let count = 0;
  for (const { elements } of readings) {
    count += elements;
  }
  return count;
}

/** The share of a mean square that a variance must exceed: its terms are rounded to 2⁻²⁴ of themselves in float32. */
const LEAST_VARIANCE = 2 ** -16;

interface Moments {
  readonly mean: number;
  /** Of the square. */
  readonly square: number;
}

/** cov(x, y)/√(var x · var y) from means of x, x², y, y² and xy. */
function pearson(x: Moments, y: Moments, product: number): number {
  const variance = ({ mean, square: ofSquare }: Moments): number => {
    const spread = ofSquare - mean * mean;
    return spread > LEAST_VARIANCE * ofSquare ? spread : Number.NaN;
  };
  const quotient = (product - x.mean * y.mean) / Math.sqrt(variance(x)) / Math.sqrt(variance(y));
  return Math.min(1, Math.max(-1, quotient));
}
