import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { bf16Operations } from "../expr/bf16.ts";
import type { Optimizer, StateFormat } from "../optimizer.ts";
import { adam, amsgrad } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { mulberry32 } from "../random.ts";
import { chain } from "./chain.ts";
import { compress } from "./compress.ts";

const { widen, nearest } = bf16Operations();

const bind = (optimizer: Optimizer, data: Float32Array, seed = 0) =>
  compileOptimizer(optimizer, {
    params: { w: { shape: [data.length], data } },
    learningRate: 0.01,
    seed,
  });
type Bound = ReturnType<typeof bind>;

/** A state array as numbers. */
const kept = (compiled: Bound, key: string): number[] =>
  Array.from(compiled.save().leaves["w"]?.arrays[key]?.[0] ?? [], widen);
const float = (compiled: Bound, key: string): number[] =>
  Array.from(compiled.save().leaves["w"]?.arrays[key]?.[0] ?? []);
const meanOf = (x: readonly number[]): number => x.reduce((sum, each) => sum + each, 0) / x.length;

describe("compress", () => {
  it("keeps the state that Adam computes, rounded; the step itself sees it unrounded", () => {
    const g = Float32Array.of(1.23456, -0.5, 3e-20, 0, -7.7, 1e5, 2, 3, 0.1);
    const [small, full] = [
      bind(compress(adam(), { mu: "bf16", nu: "bf16" }), new Float32Array(9)),
      bind(adam(), new Float32Array(9)),
    ];
    small.step({ w: g });
    full.step({ w: g });
    expect(small.params).toEqual(full.params);
    for (const key of ["mu", "nu"]) {
      expect(kept(small, key)).toEqual(float(full, key).map(nearest));
    }
    expect(small.save().leaves["w"]?.arrays["mu"]?.[0]).toBeInstanceOf(Uint16Array);
    expect([small.stateBytes, full.stateBytes]).toEqual([4, 8]);
  });

  /** E[v] after steps with gradient 0 from v = 1. */
  const decayed = (format: StateFormat, steps: number): number => {
    const n = 4096;
    const compiled = bind(compress(adam(), { nu: format }), new Float32Array(n));
    // v₁ = 1, up to its rounding.
    compiled.step({ w: new Float32Array(n).fill(Math.sqrt(1000)) });
    for (let t = 0; t < steps; t++) {
      compiled.step({ w: new Float32Array(n) });
    }
    return meanOf(kept(compiled, "nu"));
  };

  it("rounded to the nearest, v of Adam never decays; rounded stochastically it does, at its rate", () => {
    // Each step takes a thousandth; the bfloat16 below 1 is 1/256 away.
    expect(decayed("bf16", 700)).toBe(1);
    const exact = 0.999 ** 700;
    // A step's rounding has deviation at most half a gap, 2⁻⁸ of v, and 700 of them √700 times that: 10 % of v for an
    // element, 0.16 % for the mean of 4096; five of those.
    expect(Math.abs(decayed("bf16-stochastic", 700) / exact - 1)).toBeLessThan(0.008);
  });

  it("rounds stochastically to neighbours alone, with the mean of what is rounded", () => {
    const n = 1 << 16;
    const compiled = bind(compress(adam(), { mu: "bf16-stochastic" }), new Float32Array(n));
    compiled.step({ w: new Float32Array(n).fill(-3.3333) });
    const [value] = float(step(adam(), -3.3333), "mu") as [number];
    const values = kept(compiled, "mu");
    const [low, high] = [Math.min(...values), Math.max(...values)];
    // Between 1/4 and 1/2 neighbours are 2⁻⁹ apart.
    expect(high - low).toBe(2 ** -9);
    expect(value).toBeGreaterThan(low);
    expect(value).toBeLessThan(high);
    // The mean of n such has deviation of at most half the gap over √n; five of those.
    expect(Math.abs(meanOf(values) - value)).toBeLessThan((5 * 2 ** -10) / Math.sqrt(n));
  });

  it("keeps infinities and NaN", () => {
    const compiled = bind(
      compress(adam(), { mu: "bf16", nu: "bf16-stochastic" }),
      new Float32Array(4),
    );
    compiled.step({ w: Float32Array.of(Infinity, -Infinity, NaN, 1) });
    expect(kept(compiled, "mu").slice(0, 3)).toEqual([Infinity, -Infinity, NaN]);
    expect(kept(compiled, "nu").slice(0, 3)).toEqual([Infinity, Infinity, NaN]);
  });

  it("rounds the states of two leaves and two keys by draws of their own", () => {
    const optimizer = compress(chain(adam(), adam()), {
      nu: "bf16-stochastic",
      "2.nu": "bf16-stochastic",
    });
    const n = 256;
    const leaf = () => ({ shape: [n], data: new Float32Array(n) });
    const compiled = compileOptimizer(optimizer, {
      params: { a: leaf(), b: leaf() },
      learningRate: 1,
    });
    const g = new Float32Array(n).fill(1.1);
    compiled.step({ a: g, b: g });
    const { a, b } = compiled.save().leaves;
    expect(a?.arrays["nu"]).not.toEqual(b?.arrays["nu"]);
    const ups = (x: ArrayLike<number> = []) => {
      const all = Array.from(x);
      return all.map((each) => each - Math.min(...all));
    };
    expect(ups(a?.arrays["nu"]?.[0])).not.toEqual(ups(a?.arrays["2.nu"]?.[0]));
  });

  it("trains least squares to the loss of float32", () => {
    const n = 64;
    const loss = (optimizer: Optimizer, seed: number): number => {
      const random = mulberry32(3);
      const target = Float64Array.from({ length: n }, () => random.normal());
      const compiled = bind(optimizer, new Float32Array(n), seed);
      const x = (): Float32Array => compiled.params["w"]?.data as Float32Array;
      for (let t = 0; t < 1500; t++) {
        const noise = mulberry32(t);
        compiled.step({ w: x().map((each, i) => each - (target[i] ?? 0) + 0.5 * noise.normal()) });
      }
      return meanOf(Array.from(x(), (each, i) => (each - (target[i] ?? 0)) ** 2));
    };
    const full = loss(adam(), 0);
    const formats = { mu: "bf16", nu: "bf16-stochastic" } as const;
    const small = [0, 1, 2].map((seed) => loss(compress(adam(), formats), seed));
    // What is left is the noise of the last ten gradients, 64 elements of it: the state's rounding, below half a percent
    // of a step, may turn it by a few percent of itself.
    for (const each of small) {
      expect(Math.abs(each / full - 1)).toBeLessThan(0.1);
    }
  });

  it("refuses keys that are no element state, formats that do not exist, and states of another format", () => {
    expect(() => compress(adam(), { m: "bf16" } as never)).toThrow(
      new RangeError('compress: `keys` must be one of "mu", "nu", got "m"'),
    );
    expect(() => compress(adashift(), { nu: "bf16" })).toThrow(RangeError);
    expect(() => compress(adam(), { mu: "fp4" as "bf16" })).toThrow(
      new RangeError(
        'compress: `mu` must be one of "bf16", "bf16-stochastic", "int8", "int8-stochastic", got "fp4"',
      ),
    );
    expect(() => compress(adam as never, {})).toThrow(
      new TypeError(
        "compress: `optimizer` must be an optimizer, got function; call its constructor, as in adam()",
      ),
    );
    const compiled = bind(compress(amsgrad(), { mu: "bf16" }), new Float32Array(3));
    expect(() => compiled.load(bind(amsgrad(), new Float32Array(3)).save())).toThrow(
      new TypeError(
        "load: state.leaves.w.arrays.mu.0 must be 3 bf16, got Float32Array of 3; pass the state of the optimizer it was saved with",
      ),
    );
  });
});

function step(optimizer: Optimizer, g: number): Bound {
  const compiled = bind(optimizer, new Float32Array(1));
  compiled.step({ w: Float32Array.of(g) });
  return compiled;
}

describe("adashift with a bfloat16 history", () => {
  it("is AdaShift of rounded gradients, bit for bit, in half the bytes a gradient", () => {
    const n = 33;
    const random = mulberry32(4);
    const [small, full] = [
      bind(adashift({ n: 5, history: "bf16" }), new Float32Array(n)),
      bind(adashift({ n: 5 }), new Float32Array(n)),
    ];
    for (let t = 0; t < 200; t++) {
      const g = Float32Array.from({ length: n }, () => random.normal());
      small.step({ w: g });
      full.step({ w: g.map(nearest) });
      expect(small.params).toEqual(full.params);
    }
    expect([small.stateBytes, full.stateBytes]).toEqual([14, 24]);
  });

  it("has a window sum without drift over 1e5 steps", () => {
    const n = 16;
    const random = mulberry32(5);
    const [length, b1] = [4, 0.9];
    const compiled = bind(adashift({ n: length, b1, history: "bf16" }), new Float32Array(n));
    const recent: Float32Array[] = [];
    for (let t = 0; t < 100_000; t++) {
      const g = Float32Array.from({ length: n }, () => random.normal());
      recent.unshift(g.map(nearest));
      recent.length = Math.min(recent.length, length);
      compiled.step({ w: g });
    }
    const sums = float(compiled, "window0");
    sums.forEach((sum, i) => {
      const exact = recent.reduce((total, g, age) => total + b1 ** age * (g[i] as number), 0);
      // At most 64 steps of three roundings each since the sum was formed anew, of numbers up to 16: 2⁻²¹ each, damped
      // by β₁, which leaves a tenth of them: at most ten steps' worth.
      expect(Math.abs(sum - exact)).toBeLessThan(30 * 2 ** -21);
    });
  });
});
