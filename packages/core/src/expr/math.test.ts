import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, div, input, mul, sub } from "./build.ts";
import { cosPi, erf, exp, expandMath, expm1, log, pow, tanh } from "./math.ts";
import { type Expr, operands } from "./node.ts";

type DType = "float32" | "float64";

/**
 * The function of `names` that an expression over exact operations is, each rounded to the dtype. Throws where
 * `exponent` meets anything but a normal positive number, or `exp2i` anything but an exponent of one.
 */
function compile(e: Expr, names: readonly string[], dtype: DType): (...x: number[]) => number {
  const round = dtype === "float32" ? Math.fround : (x: number): number => x;
  const largest = dtype === "float32" ? 127 : 1023;
  const order: Expr[] = [];
  const index = new Map<Expr, number>();
  const visit = (node: Expr): void => {
    if (!index.has(node)) {
      operands(node).forEach(visit);
      index.set(node, order.length);
      order.push(node);
    }
  };
  visit(e);
  const values: number[] = Array.from({ length: order.length });
  const at = order.map((node) => operands(node).map((operand) => index.get(operand)!));

  const exponent = (x: number): number => {
    if (!(x >= 2 ** (1 - largest) && x < Infinity)) {
      throw new RangeError(`exponent: \`x\` must be normal and positive, got ${x}`);
    }
    return exponentOf(x);
  };
  const exp2i = (k: number): number => {
    if (!(Number.isInteger(k) && k >= 1 - largest && k <= largest)) {
      throw new RangeError(`exp2i: \`k\` must be the exponent of a normal number, got ${k}`);
    }
    return 2 ** k;
  };
  const truth = (holds: boolean): number => (holds ? 1 : 0);
  const apply = (node: Expr, x: readonly number[], a: number, b: number, c: number): number => {
    switch (node.op) {
      case "const":
        return round(node.value);
      case "input":
        return round(x[names.indexOf(node.name)]!);
      case "add":
        return round(a + b);
      case "sub":
        return round(a - b);
      case "mul":
        return round(a * b);
      case "div":
        return round(a / b);
      case "min":
        return Math.min(a, b);
      case "max":
        return Math.max(a, b);
      case "neg":
        return -a;
      case "abs":
        return Math.abs(a);
      case "sqrt":
        return round(Math.sqrt(a));
      case "floor":
        return Math.floor(a);
      case "exponent":
        return exponent(a);
      case "exp2i":
        return exp2i(a);
      case "lt":
        return truth(a < b);
      case "le":
        return truth(a <= b);
      case "eq":
        return truth(a === b);
      case "and":
        return truth(a === 1 && b === 1);
      case "or":
        return truth(a === 1 || b === 1);
      case "not":
        return truth(a === 0);
      case "select":
        return a === 1 ? b : c;
      case "exp":
      case "expm1":
      case "log":
      case "erf":
      case "tanh":
      case "cosPi":
      case "pow":
      case "delay":
      case "window":
      case "reduce":
      case "newtonSchulz":
      case "choose":
      case "random":
      case "roundoff":
      case "bf16":
      case "bf16Stochastic":
      case "int8":
      case "int8Stochastic":
        throw new TypeError(`compile: an exact operation is needed, got "${node.op}"`);
      default:
        return node satisfies never;
    }
  };
  return (...x) => {
    for (let i = 0; i < order.length; i++) {
      const operand = at[i]!;
      values[i] = apply(
        order[i]!,
        x,
        values[operand[0]!]!,
        values[operand[1]!]!,
        values[operand[2]!]!,
      );
    }
    return values[order.length - 1]!;
  };
}

const BITS = new DataView(new ArrayBuffer(8));

/** ⌊log₂ |x|⌋, −1022 for subnormals. */
function exponentOf(x: number): number {
  BITS.setFloat64(0, x);
  return Math.max(((BITS.getUint32(0) >>> 20) & 0x7ff) - 1023, -1022);
}

function fromBits(hex: string): number {
  BITS.setBigUint64(0, BigInt(`0x${hex}`));
  return BITS.getFloat64(0);
}

/** The distance between neighbours of the dtype at x. */
function ulp(x: number, dtype: DType): number {
  return dtype === "float32"
    ? 2 ** (Math.max(exponentOf(x), -126) - 23)
    : 2 ** Math.max(exponentOf(x) - 52, -1074);
}

const UNARY = { exp, expm1, log, erf, tanh, cosPi } as const;
type Unary = keyof typeof UNARY;
const NAMES = ["exp", "expm1", "log", "erf", "tanh", "cosPi"] as const satisfies readonly Unary[];
const x = input("x", "element");
const y = input("y", "element");

const programs = (dtype: DType): Record<Unary | "pow", (...x: number[]) => number> => ({
  exp: compile(expandMath(exp(x), dtype), ["x"], dtype),
  expm1: compile(expandMath(expm1(x), dtype), ["x"], dtype),
  log: compile(expandMath(log(x), dtype), ["x"], dtype),
  erf: compile(expandMath(erf(x), dtype), ["x"], dtype),
  tanh: compile(expandMath(tanh(x), dtype), ["x"], dtype),
  cosPi: compile(expandMath(cosPi(x), dtype), ["x"], dtype),
  pow: compile(expandMath(pow(x, y), dtype), ["x", "y"], dtype),
});
const single = programs("float32");
const double = programs("float64");

// Largest errors found, rounded up: float64 over 500,000 arguments a function (the worst are in the fixture),
// float32 over every 211th. The last rounding alone makes ½.
const LIMIT: Record<DType, Record<Unary, number>> = {
  float64: { exp: 0.9, expm1: 1.7, log: 0.9, erf: 1.6, tanh: 2.5, cosPi: 1.6 },
  float32: { exp: 1, expm1: 1.7, log: 0.9, erf: 1.5, tanh: 2.5, cosPi: 1.6 },
};
// y multiplies the rounding errors of log m and of y log m, |log m| ≤ ½ ln 2.
const powLimit = (power: number): number => 1.2 * (1 + Math.abs(power));

describe("float64 programs against mpmath", () => {
  const file = new URL("../../../../fixtures/math/float64.json", import.meta.url);
  const fixture = JSON.parse(readFileSync(file, "utf8")) as {
    points: Record<Unary | "pow", string[][]>;
  };
  const errors = (name: Unary | "pow"): { args: number[]; ulps: number }[] =>
    fixture.points[name].map((row) => {
      const numbers = row.map(fromBits);
      const [value, rest] = numbers.slice(-2) as [number, number];
      const args = numbers.slice(0, -2);
      const ulps = (double[name](...args) - value) / ulp(value, "float64");
      return { args, ulps: Math.abs(ulps - rest) };
    });

  it.each(NAMES)("%s stays within its limit", (name) => {
    const all = errors(name);
    expect(all.length).toBeGreaterThanOrEqual(300);
    expect(all.filter(({ ulps }) => !(ulps <= LIMIT.float64[name]))).toEqual([]);
  });

  it("pow stays within 1.2 (1 + |y|) ULP, whatever x", () => {
    const all = errors("pow");
    expect(all.length).toBeGreaterThanOrEqual(300);
    expect(all.filter(({ args, ulps }) => !(ulps <= powLimit(args[1]!)))).toEqual([]);
  });
});

describe("float32 programs against float64", () => {
  // Math.* is within 1 ULP of float64, 2⁻²⁹ of one of float32; erf and cosPi are ours, checked above.
  const reference: Record<Unary, (x: number) => number> = {
    exp: Math.exp,
    expm1: Math.expm1,
    log: Math.log,
    erf: double.erf,
    tanh: Math.tanh,
    cosPi: double.cosPi,
  };
  const close = (got: number, want: number, limit: number): boolean => {
    const rounded = Math.fround(want);
    return Number.isFinite(rounded) && rounded !== 0
      ? Math.abs(got - want) <= limit * ulp(rounded, "float32")
      : Object.is(got, rounded);
  };

  it.each(NAMES)("%s stays within its limit over all of float32, in steps", (name) => {
    const [word, float] = [new Uint32Array(1), new Float32Array(1)];
    const failures: number[] = [];
    // An odd step, so that the low bits vary: 50,000 arguments, NaNs among them.
    for (let bits = 0; bits < 2 ** 32; bits += 85_889) {
      word[0] = bits;
      float.set(new Float32Array(word.buffer));
      const at = float[0]!;
      if (!close(single[name](at), reference[name](at), LIMIT.float32[name])) {
        failures.push(at);
      }
    }
    expect(failures).toEqual([]);
  });

  it.each(NAMES)("%s stays within its limit at arguments that fast-check picks", (name) => {
    fc.assert(
      fc.property(fc.float({ min: -110, max: 110, noNaN: true }), (at) =>
        close(single[name](at), reference[name](at), LIMIT.float32[name]),
      ),
      { numRuns: 2000 },
    );
  });

  it("pow stays within 1.2 (1 + |y|) ULP, whatever x ≥ 0, subnormals and powers that over- or underflow included", () => {
    fc.assert(
      fc.property(
        fc.float({ min: 0, noNaN: true }),
        fc.float({ min: -64, max: 64, noNaN: true }),
        (base, power) => close(single.pow(base, power), base ** power, powLimit(power)),
      ),
      { numRuns: 20_000 },
    );
  });

  it("pow with a power that is not a float32 number takes it as it is, rounded to its lower part", () => {
    // The planner hands scalars over in float64: what depends on y alone is computed there.
    for (const base of [1e-30, 1e-10, 0.3, 7, 1e20]) {
      const third = compile(expandMath(pow(x, 1 / 3), "float32"), ["x"], "float32")(base);
      expect(close(third, Math.fround(base) ** Math.fround(1 / 3), powLimit(1))).toBe(true);
    }
  });
});

describe.each(["float32", "float64"] as const)("edges in %s", (dtype) => {
  const run = dtype === "float32" ? single : double;
  const tiniest = dtype === "float32" ? 2 ** -149 : 2 ** -1074;
  const largest = dtype === "float32" ? (2 - 2 ** -23) * 2 ** 127 : Number.MAX_VALUE;
  const odd = (at1: number): [number, number][] => [
    [NaN, NaN],
    [Infinity, 1],
    [-Infinity, -1],
    [largest, 1],
    [-largest, -1],
    [0, 0],
    [-0, -0],
    [tiniest, at1],
    [-tiniest, -at1],
  ];
  const table: Record<Unary, [number, number][]> = {
    exp: [
      [NaN, NaN],
      [Infinity, Infinity],
      [-Infinity, 0],
      [largest, Infinity],
      [-largest, 0],
      [0, 1],
      [-0, 1],
      [tiniest, 1],
    ],
    expm1: [
      [NaN, NaN],
      [Infinity, Infinity],
      [-Infinity, -1],
      [largest, Infinity],
      [-largest, -1],
      [0, 0],
      [-0, -0],
      [tiniest, tiniest],
      [-tiniest, -tiniest],
    ],
    log: [
      [NaN, NaN],
      [Infinity, Infinity],
      [0, -Infinity],
      [-0, -Infinity],
      [1, 0],
      [-1, NaN],
      [-tiniest, NaN],
      [-Infinity, NaN],
    ],
    erf: odd(tiniest),
    tanh: odd(tiniest),
    cosPi: [
      [NaN, NaN],
      [Infinity, NaN],
      [-Infinity, NaN],
      [0, 1],
      [-0, 1],
      [tiniest, 1],
      [1, -1],
      [-3, -1],
      [0.5, 0],
      [-1.5, 0],
      [2 ** 22 + 0.5, 0],
      [2 ** 24 - 1, -1],
      [largest, 1],
    ],
  };

  it.each(NAMES)("%s is exact", (name) => {
    expect(table[name].map(([at]) => [at, run[name](at)])).toEqual(table[name]);
  });

  it.each([
    [0, [1, 1], [0, Infinity], [0, 0], [Infinity, Infinity]],
    [-0, [1, 1], [0, Infinity], [0, 0], [Infinity, Infinity]],
    [1, [1, 1], [1, 1], [1, 1], [1, 1]],
    [0.5, [1, 1], [0, Infinity], [0, 0], [Infinity, Infinity]],
    [2, [1, 1], [Infinity, 0], [Infinity, Infinity], [0, 0]],
    [Infinity, [1, 1], [Infinity, 0], [Infinity, Infinity], [0, 0]],
    [NaN, [1, 1], [NaN, NaN], [NaN, NaN], [NaN, NaN]],
    [-2, [1, 1], [NaN, NaN], [NaN, NaN], [NaN, NaN]],
  ])("pow of %d at ±0, ±∞, 1e30, −1e30 is exact", (base, zero, infinite, large, small) => {
    expect([run.pow(base, 0), run.pow(base, -0)]).toEqual(zero);
    expect([run.pow(base, Infinity), run.pow(base, -Infinity)]).toEqual(infinite);
    expect([run.pow(base, 1e30), run.pow(base, 1e31)]).toEqual(large);
    expect([run.pow(base, -1e30), run.pow(base, -1e31)]).toEqual(small);
  });

  it("pow is NaN where the power is", () => {
    expect([0, 1, 2, Infinity, NaN].map((base) => run.pow(base, NaN))).toEqual([
      NaN,
      NaN,
      NaN,
      NaN,
      NaN,
    ]);
  });

  it("exp and pow underflow through the subnormals to 0", () => {
    const low = dtype === "float32" ? -149 : -1074;
    expect([0, -0.9, -1.1].map((more) => run.pow(2, low + more))).toEqual([tiniest, tiniest, 0]);
    expect([0, -0.9, -1.1].map((more) => run.exp((low + more) * Math.LN2))).toEqual([
      tiniest,
      tiniest,
      0,
    ]);
  });

  it("the logistic curve of CProp is 0 or 1 where z or z³ overflows, never NaN", () => {
    const z = input("z", "element");
    const z3 = mul(z, mul(z, z));
    const inner = exp(sub(mul(-0.07056, z3), mul(1.5976, z)));
    const f = compile(div(1, add(1, expandMath(inner, dtype))), ["z"], dtype);
    const huge = [1e3, 1e13, 1e38, largest, Infinity];
    expect(huge.map((at) => f(at))).toEqual([1, 1, 1, 1, 1]);
    expect(huge.map((at) => f(-at))).toEqual([0, 0, 0, 0, 0]);
    expect(f(0)).toBe(0.5);
    expect(f(NaN)).toBeNaN();
  });
});

describe("expandMath", () => {
  it("leaves other nodes as they are", () => {
    const e = add(x, y);
    expect(expandMath(e, "float32")).toBe(e);
  });

  // Every operation costs time per parameter: a rise should be seen.
  it.each([
    ["exp", 35, 45],
    ["expm1", 34, 44],
    ["log", 37, 45],
    ["erf", 64, 98],
    ["tanh", 41, 51],
    ["cosPi", 30, 36],
    ["pow", 82, 100],
  ] as const)("%s takes %d operations in float32, %d in float64", (name, inSingle, inDouble) => {
    const e = name === "pow" ? pow(x, y) : UNARY[name](x);
    expect([size(expandMath(e, "float32")), size(expandMath(e, "float64"))]).toEqual([
      inSingle,
      inDouble,
    ]);
  });
});

/** Distinct operations of a program, without constants and inputs. */
function size(e: Expr): number {
  const seen = new Set<Expr>();
  const visit = (node: Expr): void => {
    if (!seen.has(node)) {
      seen.add(node);
      operands(node).forEach(visit);
    }
  };
  visit(e);
  return [...seen].filter((node) => operands(node).length > 0).length;
}
