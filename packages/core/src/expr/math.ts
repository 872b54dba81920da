/**
 * exp, expm1, log, erf, tanh, cosPi and pow as programs of exact operations, so that every backend gives equal bits.
 *
 * Each operation of a program rounds once, to the dtype of the arrays; polynomials and limits are chosen per
 * dtype. The parts the programs share:
 *
 *     reduce      x = k ln 2 + r, |r| ≤ ½ ln 2, and p = eʳ − 1 = r + r² P(r)
 *     scaleBy     y · 2ᵏ in two steps, which overflows to ∞ and underflows gradually
 *     split       x = m · 2ᵏ, m in [√½, √2), and l = log m = f − (½f² − s (½f² + R(s²))), f = m − 1, s = f/(2 + f)
 *
 * `exponent` and `exp2i` only ever see operands they are defined for: arguments are bounded by a comparison
 * that NaN fails, and NaN comes back in by a final `select` whose condition NaN fails too.
 *
 * Lanes are float32 or float64, the range is every number, and errors are the largest found, in units in the
 * last place (ULP) of the true value: float64 over some 500,000 arguments against 48-digit references, float32
 * over every 211th number against float64. ½ is the share of the last rounding. `math.test.ts` repeats a part of
 * the float32 sweep and holds the worst float64 arguments. Subnormal arguments and results count as others.
 */

import {
  abs,
  add,
  and,
  clamp,
  div,
  eq,
  exp2i,
  exponent,
  floor,
  lt,
  min,
  mul,
  neg,
  type Operand,
  select,
  square,
  sub,
  wrap,
} from "./build.ts";
import type { Expr, MathProgram } from "./node.ts";

/** Constants of one dtype; polynomials by rising power, from `fixtures/generate/math/coefficients.py`. */
interface Constants {
  /** ln 2 in two parts; the first has so few bits that its product with any exponent is exact. */
  readonly ln2High: number;
  readonly ln2Low: number;
  /** P in eʳ − 1 = r + r² P(r). */
  readonly exp: readonly number[];
  /** R(z)/z in log m = 2s + s R(s²). */
  readonly log: readonly number[];
  /** P in erf x = x + x P(x²), |x| ≤ 1. */
  readonly erfNear: readonly number[];
  /** Q in 1 − erf x = e^(−x²) Q(1/(x + 2)), x ≥ 1. */
  readonly erfFar: readonly number[];
  /** P in sin πq = q (π + q² P(q²)), |q| ≤ ¼. */
  readonly sinPi: readonly number[];
  /** π less its value in the dtype. */
  readonly piLow: number;
  /** Below and above: eˣ rounds to 0, to ∞. */
  readonly expRange: readonly [number, number];
  /** Within: eˣ is a normal number. */
  readonly expNormal: readonly [number, number];
  /** Below: eˣ − 1 rounds to −1. */
  readonly expm1Low: number;
  /** Up to here eˣ − 1 and x round alike; so do tanh x and x. */
  readonly expm1Linear: number;
  readonly tanhLinear: number;
  /** From here on tanh x, erf x round to 1. */
  readonly tanhOne: number;
  readonly erfOne: number;
  /** Times this, the smallest subnormal is normal. */
  readonly normalize: number;
  /** Powers of 2 below and above which eʳ · 2ᵏ, |r| ≤ ½ ln 2, rounds to 0, to ∞. */
  readonly powRange: readonly [number, number];
  /** pow splits y at multiples of 1/powGrid: y · k is exact for the upper part unless xʸ over- or underflows. */
  readonly powGrid: number;
  /** Beyond it xʸ is 0, 1 or ∞ whatever x ≥ 0. */
  readonly powLimit: number;
}

// Functions, so that a bundle without programs has no constants: bundlers keep a power outside one.
function float32(): Constants {
  return {
    ln2High: 0.693145751953125,
    ln2Low: 1.4286068e-6,
    exp: [0.5, 0.16666543, 0.04166628, 0.008366584, 0.0013946452],
    log: [0.66666776, 0.39977536, 0.29871863],
    erfNear: [
      0.12837917, -0.37612626, 0.112836, -0.026854444, 0.0051895357, -0.0008020842, 7.889123e-5,
    ],
    erfFar: [-0.013637238, 0.7867191, -0.25502345, 5.810214, -0.6379584],
    sinPi: [-5.167709, 2.5498052, -0.58941877],
    piLow: -8.742278e-8,
    expRange: [-104, 89],
    expNormal: [-87, 88],
    expm1Low: -18,
    expm1Linear: 2 ** -25,
    tanhLinear: 2 ** -13,
    tanhOne: 10,
    erfOne: 4,
    normalize: 2 ** 24,
    powRange: [-153, 131],
    powGrid: 2 ** 8,
    powLimit: 2 ** 40,
  };
}

function float64(): Constants {
  return {
    ln2High: 0.693147180559663,
    ln2Low: 2.8235290563031577e-13,
    exp: [
      0.5000000000000006, 0.16666666666666685, 0.04166666666657362, 0.0083333333333146,
      0.0013888888932379723, 0.00019841269903012542, 2.480150444488705e-5, 2.7557227968815566e-6,
      2.7626326935152e-7, 2.5114468691293677e-8,
    ],
    log: [
      0.6666666666666734, 0.3999999999941432, 0.28571428742474725, 0.22222198563497944,
      0.18183564866130517, 0.15314035847062213, 0.14796105340634194,
    ],
    erfNear: [
      0.12837916709551256, -0.3761263890318355, 0.11283791670945252, -0.026866170643276035,
      0.005223977607422288, -0.0008548325989653283, 0.00012055295319521354, -1.4924744649931631e-5,
      1.6447517567641667e-6, -1.6209175426580397e-7, 1.3722975493826882e-8, -7.801189557567462e-10,
    ],
    erfFar: [
      2.890945627177257e-5, 0.5629298845267021, 1.153140831241316, 1.6859951477464736,
      5.0226114724564646, -8.699025118707528, 39.24507305582577, -93.29356319544111,
      75.24611809420885, 37.86402912559486, -101.31819657757997, 49.391671317227484,
    ],
    sinPi: [
      -5.167712780049959, 2.5501640398739136, -0.5992645289680122, 0.08214586991026075,
      -0.007370030644747343, 0.00046157522003758796,
    ],
    piLow: 1.2246467991473532e-16,
    expRange: [-746, 710],
    expNormal: [-708, 709],
    expm1Low: -40,
    expm1Linear: 2 ** -54,
    tanhLinear: 2 ** -28,
    tanhOne: 22,
    erfOne: 6,
    normalize: 2 ** 54,
    powRange: [-1080, 1032],
    powGrid: 2 ** 24,
    powLimit: 2 ** 70,
  };
}

function constantsOf(dtype: "float32" | "float64"): Constants {
  return dtype === "float32" ? float32() : float64();
}

const EXP: MathProgram<[Expr]> = { expand: (dtype, x) => expProgram(x, constantsOf(dtype)) };
const EXPM1: MathProgram<[Expr]> = { expand: (dtype, x) => expm1Program(x, constantsOf(dtype)) };
const LOG: MathProgram<[Expr]> = { expand: (dtype, x) => logProgram(x, constantsOf(dtype)) };
const ERF: MathProgram<[Expr]> = { expand: (dtype, x) => erfProgram(x, constantsOf(dtype)) };
const TANH: MathProgram<[Expr]> = { expand: (dtype, x) => tanhProgram(x, constantsOf(dtype)) };
const COS_PI: MathProgram<[Expr]> = { expand: (dtype, x) => cosPiProgram(x, constantsOf(dtype)) };
const POW: MathProgram<[Expr, Expr]> = {
  expand: (dtype, x, y) => powProgram(x, y, constantsOf(dtype)),
};

export function exp(a: Operand): Expr {
  return { op: "exp", a: wrap(a), program: EXP };
}
/** eᵃ − 1, accurate where a is small. */
export function expm1(a: Operand): Expr {
  return { op: "expm1", a: wrap(a), program: EXPM1 };
}
/** The natural logarithm. */
export function log(a: Operand): Expr {
  return { op: "log", a: wrap(a), program: LOG };
}
export function erf(a: Operand): Expr {
  return { op: "erf", a: wrap(a), program: ERF };
}
export function tanh(a: Operand): Expr {
  return { op: "tanh", a: wrap(a), program: TANH };
}
/** cos πa. */
export function cosPi(a: Operand): Expr {
  return { op: "cosPi", a: wrap(a), program: COS_PI };
}
/** aᵇ for a ≥ 0. */
export function pow(a: Operand, b: Operand): Expr {
  return { op: "pow", a: wrap(a), b: wrap(b), program: POW };
}

/**
 * The program of a node that has one, over its operands as they stand; any other node as it is. The operands must hold no
 * such node any more, or it is expanded in its turn by the caller.
 */
export function expandMath(e: Expr, dtype: "float32" | "float64"): Expr {
  if (e.op === "pow") {
    return e.program?.expand(dtype, e.a, e.b) ?? e;
  }
  return "program" in e ? e.program.expand(dtype, e.a) : e;
}

/**
 * eˣ = 2ᵏ (1 + p). Error 0.87 ULP in float64, 0.91 in float32.
 *
 * 0 at −∞ and ∞ at ∞, as wherever eˣ rounds to them; subnormal in between; 1 at ±0; NaN at NaN.
 *
 * An operand whose form keeps it where eˣ is normal, such as max(−|x|, −80), needs no limits: half the work.
 */
function expProgram(x: Expr, c: Constants): Expr {
  const [low, high] = rangeOf(x);
  if (low >= c.expNormal[0] && high <= c.expNormal[1]) {
    const { k, p } = reduce(x, c);
    return mul(add(1, p), exp2i(k));
  }
  const { k, p } = reduce(bounded(x, ...c.expRange), c);
  return select(eq(x, x), scaleBy(add(1, p), k), x);
}

/**
 * eˣ − 1 = 2ᵏ p + (2ᵏ − 1), as twice its half: 2ᵏ alone may overflow where eˣ does not.
 * Error 1.6 ULP in float64, 1.7 in float32, next to x = ½ ln 2; below 0.9 for |x| ≤ ¼.
 *
 * −1 at −∞, ∞ at ∞ and wherever it rounds to it; x itself at ±0, next to them, and at NaN.
 */
function expm1Program(x: Expr, c: Constants): Expr {
  const y = expm1Within(bounded(x, c.expm1Low, c.expRange[1]), c);
  return select(lt(c.expm1Linear, abs(x)), y, x);
}

/**
 * log x = k ln 2 + log m. Error 0.82 ULP in float64, 0.84 in float32.
 *
 * 0 at 1, −∞ at ±0, ∞ at ∞, NaN at NaN and below 0.
 */
function logProgram(x: Expr, c: Constants): Expr {
  const { k, f, tail, valid, limit } = split(x, c);
  const y = sub(mul(k, c.ln2High), sub(sub(tail, mul(k, c.ln2Low)), f));
  return select(valid, y, limit);
}

/**
 * |x| ≤ 1: x + x P(x²). Beyond: 1 − e^(−x²) Q(1/(|x| + 2)) with the sign of x.
 * Error 1.6 ULP in float64 (2e-16), 1.4 in float32 (9e-8), next to |x| = 1.
 *
 * Odd: ±0 at ±0, ±1 at ±∞; NaN at NaN.
 */
function erfProgram(x: Expr, c: Constants): Expr {
  const near = add(x, mul(x, horner(square(x), c.erfNear)));
  const a = bounded(abs(x), 1, c.erfOne);
  const { k, p } = reduce(neg(square(a)), c);
  const q = horner(div(1, add(a, 2)), c.erfFar);
  const far = sub(1, mul(mul(add(1, p), exp2i(k)), q));
  return select(lt(1, abs(x)), withSign(far, x), near);
}

/**
 * tanh |x| = t / (t + 2), t = e^(2|x|) − 1, with the sign of x. Error 2.4 ULP in float64, 2.5 in float32.
 *
 * Odd: ±0 at ±0, ±1 at ±∞; NaN at NaN.
 */
function tanhProgram(x: Expr, c: Constants): Expr {
  const a = bounded(abs(x), 0, c.tanhOne);
  const t = expm1Within(mul(2, a), c);
  const y = div(t, add(t, 2));
  return select(lt(c.tanhLinear, abs(x)), withSign(y, x), x);
}

/**
 * cos πx with w = |x| mod 2, folded at 1, and q = ½ − w: sin πq for |q| ≤ ¼, else ±(1 − 2 sin² πu/2), u the distance of w
 * from 0 or 1. All of it exact up to the sine. Error 1.6 ULP in float64 and float32, next to x = ⅓ and ⅔; at most 1.6e-16
 * and 8.6e-8.
 *
 * ±1 at integers and wherever it rounds to it, 0 half-way between them; NaN at ±∞ and NaN.
 */
function cosPiProgram(x: Expr, c: Constants): Expr {
  const a = abs(x);
  const r = sub(a, mul(2, floor(mul(a, 0.5))));
  const w = min(r, sub(2, r));
  const q = sub(0.5, w);
  const u = min(w, sub(1, w));
  const nearOne = lt(u, 0.25);
  const m = select(nearOne, mul(0.5, u), q);
  const z = square(m);
  const sine = add(mul(m, Math.PI), mul(m, add(mul(z, horner(z, c.sinPi)), c.piLow)));
  const y = sub(1, mul(2, square(sine)));
  return select(nearOne, withSign(y, q), sine);
}

/**
 * xʸ for x ≥ 0, with x = m · 2ᵏ: xʸ = 2^(yk) e^(y log m). The product yk may be large but is exact for the
 * upper part of y, so its integer part goes to the exponent of the result and no digit is lost.
 *
 * The error depends on y alone, not on y log x: in either dtype 1.6 ULP for |y| ≤ 1, 2.3 for |y| ≤ 2, 4 for
 * |y| ≤ 4, and at most 1.2 (1 + |y|) ULP wherever it was measured (1.2e-14 relative in float64 at |y| = 340). A y
 * that is one number a step costs nothing a parameter: the host splits it.
 *
 * 1 at y = ±0 whatever x, and at x = 1; with −0 taken as 0, x = 0 and x = ∞ give 0 or ∞ by the sign of y, and
 * so does an infinite y. NaN where x is NaN or below 0 and y ≠ 0, and where y is NaN. Overflows to ∞,
 * underflows gradually.
 */
function powProgram(x: Expr, y: Expr, c: Constants): Expr {
  const { k, f, tail, valid, limit } = split(x, c);
  const yBounded = clamp(y, -c.powLimit, c.powLimit);
  const yHigh = div(floor(add(mul(yBounded, c.powGrid), 0.5)), c.powGrid);
  const yLow = sub(yBounded, yHigh);
  const large = mul(yHigh, k);
  const small = add(mul(yBounded, sub(f, tail)), mul(mul(yLow, k), Math.LN2));
  const log2 = select(valid, add(large, mul(small, Math.LOG2E)), mul(y, limit));

  const inRange = bounded(log2, ...c.powRange);
  const n = floor(add(inRange, 0.5));
  const r = add(mul(sub(large, n), Math.LN2), small);
  // Out of range 2ⁿ alone is 0 or ∞ already.
  const power = scaleBy(add(1, expm1Near(select(eq(inRange, log2), r, 0), c)), n);
  return select(eq(y, 0), 1, select(eq(log2, log2), power, log2));
}

/** k and p of x = k ln 2 + r, p = eʳ − 1; the rounding of r is added back where p is small. */
function reduce(x: Expr, c: Constants): { readonly k: Expr; readonly p: Expr } {
  const k = floor(add(mul(x, Math.LOG2E), 0.5));
  const high = sub(x, mul(k, c.ln2High));
  const low = mul(k, c.ln2Low);
  const r = sub(high, low);
  const rest = sub(sub(high, r), low);
  return { k, p: add(r, add(mul(square(r), horner(r, c.exp)), rest)) };
}

/** eʳ − 1 for |r| ≤ ½ ln 2. */
function expm1Near(r: Expr, c: Constants): Expr {
  return add(r, mul(square(r), horner(r, c.exp)));
}

/** eˣ − 1 for x in [expm1Low, expRange[1]]. */
function expm1Within(x: Expr, c: Constants): Expr {
  const { k, p } = reduce(x, c);
  const half = exp2i(sub(k, 1));
  return mul(2, add(mul(half, p), sub(half, 0.5)));
}

/**
 * x = m · 2ᵏ for positive finite x, subnormals included, with log m = f − tail; elsewhere `valid` is false
 * and `limit` is what log x tends to: −∞ at ±0, ∞ at ∞, NaN below 0.
 */
function split(
  x: Expr,
  c: Constants,
): {
  readonly k: Expr;
  readonly f: Expr;
  readonly tail: Expr;
  readonly valid: Expr;
  readonly limit: Expr;
} {
  const positive = lt(0, x);
  const valid = and(positive, lt(x, Infinity));
  const limit = select(eq(x, 0), -Infinity, select(positive, x, NaN));
  // Moved towards 1, so that both x and the power that undoes its exponent are normal.
  const small = lt(x, 1);
  const moved = mul(select(valid, x, 1), select(small, c.normalize, 1 / c.normalize));
  const j = exponent(mul(moved, Math.SQRT2));
  const k = add(j, select(small, -Math.log2(c.normalize), Math.log2(c.normalize)));
  const f = sub(mul(moved, exp2i(neg(j))), 1);
  const s = div(f, add(f, 2));
  const z = square(s);
  const halfSquare = mul(0.5, square(f));
  const tail = sub(halfSquare, mul(s, add(halfSquare, mul(z, horner(z, c.log)))));
  return { k, f, tail, valid, limit };
}

/** Bounds that the form of an expression alone gives its value; NaN comes through whatever they say. */
function rangeOf(e: Expr): readonly [low: number, high: number] {
  switch (e.op) {
    case "const":
      return [e.value, e.value];
    case "abs":
      return [0, Infinity];
    case "neg": {
      const [low, high] = rangeOf(e.a);
      return [-high, -low];
    }
    case "max":
    case "min": {
      const [a, b] = [rangeOf(e.a), rangeOf(e.b)];
      const choose = e.op === "max" ? Math.max : Math.min;
      return [choose(a[0], b[0]), choose(a[1], b[1])];
    }
    default:
      return [-Infinity, Infinity];
  }
}

/** y · 2ᵏ rounded once, for 1/2 ≤ y ≤ 2 and |k| up to twice the largest exponent. */
function scaleBy(y: Expr, k: Expr): Expr {
  const first = floor(mul(k, 0.5));
  return mul(mul(y, exp2i(first)), exp2i(sub(k, first)));
}

/** x within [low, high]; `high` where x is NaN. */
function bounded(x: Expr, low: number, high: number): Expr {
  return select(lt(x, high), select(lt(low, x), x, low), high);
}

/** y ≥ 0 with the sign of x ≠ 0. */
function withSign(y: Expr, x: Expr): Expr {
  return select(lt(x, 0), neg(y), y);
}

/** c₀ + x (c₁ + x (c₂ + …)). */
function horner(x: Expr, coefficients: readonly number[]): Expr {
  return coefficients
    .slice(0, -1)
    .reduceRight<Expr>((sum, c) => add(c, mul(x, sum)), wrap(coefficients.at(-1) ?? 0));
}
