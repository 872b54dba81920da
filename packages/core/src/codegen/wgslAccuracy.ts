/**
 * What WGSL permits a kernel to compute, as intervals: the errors that `wgsl.ts` states, one instruction after the
 * other. Imported by tests only.
 *
 *     permitted(x ∘ y) = { all results within the budget of ∘, for all permitted x and y }
 *
 * Bounds are float64; every operation widens them outwards. A value that may be subnormal may also be 0. For
 * infinities and NaN the rules of IEEE 754 hold: more than WGSL promises, and what the backend asks of a device.
 */

import { bf16Operations } from "../expr/bf16.ts";
import { uniformAt } from "../expr/draw.ts";
import type { Id, Instruction, Kernel } from "./kernel.ts";
import { ELEMENTS_PER_INVOCATION, WORKGROUP_SIZE } from "./wgsl.ts";

/** Every number from `low` to `high`, none if low > high, and NaN if `nan`. */
export interface Range {
  readonly low: number;
  readonly high: number;
  readonly nan: boolean;
}

/** Largest error of the operations that have one, in ULP of the exact result. */
export const ULP_BUDGET = { add: 1, sub: 1, mul: 1, div: 2.5, sqrt: 9 } as const;

const NORMAL = 2 ** -126;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
/** Beyond, an implementation's reciprocal of the divisor may be 0. */
const LARGEST_DIVISOR = 2 ** 126;
/** Roundings of √ as 1 / inverseSqrt(x): 2 ULP and 2.5 ULP of at most 2⁻²³; the last digit covers their product. */
const SQRT_RELATIVE = 4.500001 * 2 ** -23;

/** ULP(x) of float32 as WGSL defines it, after Muller. */
export function ulpOf(x: number): number {
  const size = Math.min(Math.max(Math.abs(x), NORMAL), LARGEST);
  const power = 2 ** Math.floor(Math.log2(size));
  // log2 may round up to the next integer; a power of 2 is the end of the finer numbers below it.
  return (power >= size && size > NORMAL ? power / 2 : power) * 2 ** -23;
}

export function contains({ low, high, nan }: Range, x: number): boolean {
  return Number.isNaN(x) ? nan : low <= x && x <= high;
}

/** Whether a range says something: at most `relative` wide for its size, or a single infinity, or NaN alone. */
export function isTight({ low, high, nan }: Range, relative: number): boolean {
  return low > high
    ? nan
    : !nan && (low === high || high - low <= relative * Math.max(Math.abs(low), Math.abs(high)));
}

/** Ranges of what a kernel may store, `[store][element]`, and reduce, over the first `count` elements. */
export function permitted(
  kernel: Kernel,
  given: {
    readonly count: number;
    readonly streams: readonly ArrayLike<number>[];
    readonly scalars: readonly number[];
    readonly base?: number;
    readonly key?: number;
    readonly workgroupSize?: number;
  },
): { readonly stores: readonly (readonly Range[])[]; readonly reductions: readonly Range[] } {
  const elements = Array.from({ length: given.count }, (_, i) => element(kernel, given, i));
  const { workgroupSize = WORKGROUP_SIZE } = given;
  return {
    stores: kernel.stores.map(({ value }) => elements.map((values) => values[value] as Range)),
    reductions: kernel.reductions.map(({ kind, value }) => {
      const ranges = elements.map((values) => values[value] as Range);
      return kind === "sum" ? sumOf(ranges, workgroupSize) : maxOf(ranges);
    }),
  };
}

/** A mask that may be false, may be true. */
type Mask = readonly [canBeFalse: boolean, canBeTrue: boolean];

const NAN: Range = { low: Infinity, high: -Infinity, nan: true };

const exactly = (x: number): Range =>
  Number.isNaN(x) ? NAN : flushed({ low: x, high: x, nan: false });

function element(
  { body }: Kernel,
  {
    streams,
    scalars,
    base = 0,
    key = 0,
  }: {
    readonly streams: readonly ArrayLike<number>[];
    readonly scalars: readonly number[];
    readonly base?: number;
    readonly key?: number;
  },
  i: number,
): readonly (Range | Mask)[] {
  const values: (Range | Mask)[] = [];
  const range = (id: Id): Range => values[id] as Range;
  const mask = (id: Id): Mask => values[id] as Mask;
  const compute = (e: Instruction): Range | Mask => {
    switch (e.op) {
      case "load":
        return exactly(Math.fround(streams[e.stream]?.[i] as number));
      case "scalar":
        return exactly(Math.fround(scalars[e.index] as number));
      case "const":
        return exactly(Math.fround(e.value));
      case "neg":
      case "abs":
      case "sqrt":
      case "floor":
      case "exponent":
      case "exp2i":
        return flushed(UNARY[e.op](range(e.a)));
      case "add":
      case "sub":
      case "mul":
      case "div":
      case "min":
      case "max":
        return flushed(BINARY[e.op](range(e.a), range(e.b)));
      case "lt":
        return comparison(range(e.a), range(e.b), e.a === e.b, [true, false, false]);
      case "le":
        return comparison(range(e.a), range(e.b), e.a === e.b, [true, true, false]);
      case "eq":
        return comparison(range(e.a), range(e.b), e.a === e.b, [false, true, false]);
      case "and":
        return [mask(e.a)[0] || mask(e.b)[0], mask(e.a)[1] && mask(e.b)[1]];
      case "or":
        return [mask(e.a)[0] && mask(e.b)[0], mask(e.a)[1] || mask(e.b)[1]];
      case "not":
        return [mask(e.a)[1], mask(e.a)[0]];
      case "select": {
        const [canBeB, canBeA] = mask(e.cond);
        return canBeA && canBeB ? hull(range(e.a), range(e.b)) : canBeA ? range(e.a) : range(e.b);
      }
      case "random":
        return exactly(uniformAt(base + i, key, e.salt));
      case "bf16":
        return flushed(nearestOf(range(e.a)));
      case "bf16Stochastic":
        return flushed(stochasticOf(range(e.a), range(e.b)));
      default:
        return e satisfies never;
    }
  };
  for (const instruction of body) {
    values.push(compute(instruction));
  }
  return values;
}

const isEmpty = ({ low, high }: Range): boolean => low > high;

function hull(a: Range, b: Range): Range {
  return {
    low: Math.min(a.low, b.low),
    high: Math.max(a.high, b.high),
    nan: a.nan || b.nan,
  };
}

/** With 0, if a part of it is subnormal. */
function flushed(range: Range): Range {
  const { low, high, nan } = range;
  return !isEmpty(range) && low < NORMAL && high > -NORMAL && (low > 0 || high < 0)
    ? { low: Math.min(low, 0), high: Math.max(high, 0), nan }
    : range;
}

/** What a comparison gives where a < b, a = b, a > b; false for NaN. */
function comparison(
  a: Range,
  b: Range,
  same: boolean,
  [less, equal, greater]: readonly [boolean, boolean, boolean],
): Mask {
  const results = new Set<boolean>();
  if (a.nan || b.nan) {
    results.add(false);
  }
  if (!isEmpty(a) && !isEmpty(b)) {
    if (!same && a.low < b.high) results.add(less);
    if (same || (a.low <= b.high && b.low <= a.high)) results.add(equal);
    if (!same && a.high > b.low) results.add(greater);
  }
  return [results.has(false), results.has(true)];
}

type Bounds = readonly [low: number, high: number];

/** The operation at the ends of its operands, for one that is monotone in each where it is defined. */
function atEnds(at: (x: number) => Bounds, a: Range): Range {
  const nan = a.nan;
  if (isEmpty(a)) {
    return NAN;
  }
  const [low] = at(a.low);
  const [, high] = at(a.high);
  return { low, high, nan };
}

const UNARY: Readonly<
  Record<"neg" | "abs" | "sqrt" | "floor" | "exponent" | "exp2i", (a: Range) => Range>
> = {
  neg: (a) => (isEmpty(a) ? a : { low: -a.high, high: -a.low, nan: a.nan }),
  abs: (a) =>
    isEmpty(a)
      ? a
      : {
          low: a.low <= 0 && a.high >= 0 ? 0 : Math.min(Math.abs(a.low), Math.abs(a.high)),
          high: Math.max(Math.abs(a.low), Math.abs(a.high)),
          nan: a.nan,
        },
  sqrt(a) {
    const nan = a.nan || (!isEmpty(a) && a.low < 0);
    if (isEmpty(a) || a.high < 0) {
      return NAN;
    }
    const root = (x: number, sign: 1 | -1): number => Math.sqrt(x) * (1 + sign * SQRT_RELATIVE);
    return { low: root(Math.max(a.low, 0), -1), high: root(a.high, 1), nan };
  },
  floor: (a) => atEnds((x) => [Math.floor(x), Math.floor(x)], a),
  exponent(a) {
    const size = UNARY.abs(a);
    const ends = isEmpty(size) ? [] : [exponentOf(size.low), exponentOf(size.high)];
    const all = size.nan ? [...ends, 128] : ends;
    return { low: Math.min(...all), high: Math.max(...all), nan: false };
  },
  exp2i(a) {
    const ends = isEmpty(a) ? [] : [powerOf(a.low), powerOf(a.high)];
    const all = a.nan ? [...ends, 0] : ends;
    return { low: Math.min(...all), high: Math.max(...all), nan: false };
  },
};

const BINARY: Readonly<
  Record<"add" | "sub" | "mul" | "div" | "min" | "max", (a: Range, b: Range) => Range>
> = {
  add: (a, b) => corners(a, b, sum),
  sub: (a, b) => corners(a, UNARY.neg(b), sum),
  mul(a, b) {
    const zeroTimesInfinity =
      (holdsZero(a) && holdsInfinity(b)) || (holdsInfinity(a) && holdsZero(b));
    const inner = corners(a, b, (x, y) => (x === 0 || y === 0 ? [0, 0] : rounded(x * y)));
    return isEmpty(a) || isEmpty(b) ? NAN : { ...inner, nan: inner.nan || zeroTimesInfinity };
  },
  div(a, b) {
    if (isEmpty(a) || isEmpty(b)) {
      return NAN;
    }
    const undefinedAt = (holdsZero(a) && holdsZero(b)) || (holdsInfinity(a) && holdsInfinity(b));
    const nan = a.nan || b.nan || undefinedAt;
    if (holdsZero(b)) {
      const onlyZeros = a.low === 0 && a.high === 0;
      return b.low === 0 && b.high === 0 && onlyZeros
        ? NAN
        : { low: -Infinity, high: Infinity, nan };
    }
    const inner = corners(a, b, quotient);
    const large = Math.max(Math.abs(b.low), Math.abs(b.high)) > LARGEST_DIVISOR;
    return { ...(large ? hull(inner, { low: 0, high: 0, nan }) : inner), nan };
  },
  min: (a, b) =>
    isEmpty(a) || isEmpty(b)
      ? NAN
      : { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high), nan: a.nan || b.nan },
  max: (a, b) =>
    isEmpty(a) || isEmpty(b)
      ? NAN
      : { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high), nan: a.nan || b.nan },
};

/** Rounding to bfloat16 is monotone. */
function nearestOf(a: Range): Range {
  const { nearest } = bf16Operations();
  return atEnds((x) => [nearest(x), nearest(x)], a);
}

/** Monotone in the number and, either way, in u; a u that is NaN is taken as 0. */
function stochasticOf(a: Range, u: Range): Range {
  const { stochastic } = bf16Operations();
  const shares = [...(isEmpty(u) ? [] : [u.low, u.high]), ...(u.nan ? [0] : [])];
  const inner = shares.map((share) =>
    atEnds((x) => [stochastic(x, share), stochastic(x, share)], a),
  );
  return inner.reduce(hull);
}

const holdsZero = (a: Range): boolean => !isEmpty(a) && a.low <= 0 && a.high >= 0;
const holdsInfinity = (a: Range): boolean =>
  !isEmpty(a) && (a.low === -Infinity || a.high === Infinity);

/** An operation at the four corners of its operands; NaN there is one of its results, and no bound. */
function corners(a: Range, b: Range, at: (x: number, y: number) => Bounds): Range {
  if (isEmpty(a) || isEmpty(b)) {
    return NAN;
  }
  let result: Range = { ...NAN, nan: a.nan || b.nan };
  for (const x of [a.low, a.high]) {
    for (const y of [b.low, b.high]) {
      const [low, high] = at(x, y);
      result = Number.isNaN(low)
        ? { ...result, nan: true }
        : hull(result, { low, high, nan: false });
    }
  }
  return result;
}

/** x + y rounded either way; what float64 rounds away decides between two neighbours. */
function sum(x: number, y: number): Bounds {
  const total = x + y;
  const part = total - x;
  const lost = x - (total - part) + (y - part);
  const [low, high] = rounded(total);
  return low === high && Number.isFinite(total) && lost !== 0
    ? lost < 0
      ? [neighbour(total, -1), high]
      : [low, neighbour(total, 1)]
    : [low, high];
}

/** 2.5 ULP either way. */
function quotient(x: number, y: number): Bounds {
  const exact = x / y;
  if (!Number.isFinite(exact)) {
    return [exact, exact];
  }
  // Float64 rounds it by 2⁻²⁹ ULP.
  const error = (ULP_BUDGET.div + 2 ** -20) * ulpOf(exact);
  return [lowest(exact - error), -lowest(-exact - error)];
}

/** A bound of float32 results: beyond the largest lies infinity, but below 2¹²⁸ the largest may be taken. */
function lowest(x: number): number {
  return x < -LARGEST ? -Infinity : x > LARGEST ? (x < 2 ** 128 ? LARGEST : Infinity) : x;
}

/** The float32 below and above, both x if it is one. */
function rounded(x: number): Bounds {
  const near = Math.fround(x);
  if (near === x || Number.isNaN(x) || Math.abs(x) >= 2 ** 128) {
    return [near, near];
  }
  return near < x ? [near, neighbour(near, 1)] : [neighbour(near, -1), near];
}

/** The next float32 in a direction. */
function neighbour(x: number, direction: 1 | -1): number {
  if (x === 0) {
    return direction * 2 ** -149;
  }
  const float = Float32Array.of(x);
  const bits = new Int32Array(float.buffer);
  bits[0] = (bits[0] as number) + (x > 0 ? direction : -direction);
  return float[0] as number;
}

function exponentOf(size: number): number {
  if (size < NORMAL) {
    return -127;
  }
  if (size > LARGEST) {
    return 128;
  }
  const near = Math.floor(Math.log2(size));
  return 2 ** near > size ? near - 1 : 2 ** (near + 1) <= size ? near + 1 : near;
}

function powerOf(k: number): number {
  const inside = Math.min(Math.max(k, -127), 128);
  const below = Math.floor(inside);
  const rest = inside - below;
  const n = rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
  return n === -127 ? 0 : n === 128 ? Infinity : 2 ** n;
}

/** As `wgsl.ts` states it: (4 + log₂ W) · 2⁻²³ · Σ|x| a block, and the host's float64. */
function sumOf(ranges: readonly Range[], workgroupSize: number): Range {
  const roundings = ELEMENTS_PER_INVOCATION + Math.log2(workgroupSize);
  let [low, high, size, nan] = [0, 0, 0, false];
  for (const range of ranges) {
    if (isEmpty(range)) {
      return NAN;
    }
    low += range.low;
    high += range.high;
    size += Math.max(Math.abs(range.low), Math.abs(range.high));
    nan ||= range.nan;
  }
  // The last digit covers products of roundings, and float64; each of them may also lose a subnormal.
  const error = roundings * 1.00001 * 2 ** -23 * size + ranges.length * NORMAL;
  if (size <= LARGEST) {
    return { low: low - error, high: high + error, nan };
  }
  // A block may overflow, to either side or to both.
  const [negative, positive] = [ranges.some((r) => r.low < 0), ranges.some((r) => r.high > 0)];
  return {
    low: negative ? -Infinity : low === Infinity ? Infinity : 0,
    high: positive ? Infinity : high === -Infinity ? -Infinity : 0,
    nan: nan || (negative && positive),
  };
}

function maxOf(ranges: readonly Range[]): Range {
  return ranges.reduce((most, range) => BINARY.max(most, range), {
    low: -Infinity,
    high: -Infinity,
    nan: false,
  });
}
