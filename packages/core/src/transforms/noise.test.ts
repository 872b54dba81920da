import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { sgd } from "../optimizers/sgd.ts";
import { chain } from "./chain.ts";
import { noise } from "./noise.ts";

const N = 50_000;

/** The noise of each of the first steps: gradients are zero, the rate is −1. */
function drawn(steps: number, seed = 0, eta = 0.01, gamma = 0.55): Float64Array[] {
  const compiled = compileOptimizer(chain(noise({ eta, gamma }), sgd()), {
    params: { w: { shape: [N], data: new Float64Array(N) } },
    learningRate: 1,
    dtype: "float64",
    seed,
  });
  return Array.from({ length: steps }, () => {
    const before = compiled.params["w"]?.data.slice() as Float64Array;
    compiled.step();
    return (compiled.params["w"]?.data as Float64Array).map((x, i) => (before[i] as number) - x);
  });
}

const mean = (x: Float64Array): number => x.reduce((sum, each) => sum + each, 0) / x.length;

describe("noise", () => {
  it("has mean 0, variance η / (1 + t)^γ, and the third and fourth moments of a normal", () => {
    drawn(5).forEach((x, index) => {
      const variance = 0.01 / (2 + index) ** 0.55;
      const z = x.map((each) => each / Math.sqrt(variance));
      // Over N draws the mean of zᵏ has deviation √(Var zᵏ / N), Var z, z², z³, z⁴ = 1, 2, 15, 96; five of them.
      const bound = (of: number) => 5 * Math.sqrt(of / N);
      expect(Math.abs(mean(z))).toBeLessThan(bound(1));
      expect(Math.abs(mean(z.map((each) => each ** 2)) - 1)).toBeLessThan(bound(2));
      expect(Math.abs(mean(z.map((each) => each ** 3)))).toBeLessThan(bound(15));
      expect(Math.abs(mean(z.map((each) => each ** 4)) - 3)).toBeLessThan(bound(96));
      // By the tails of the normal: 4.55 % lie beyond 2, as a binomial of deviation √(p(1 − p)/N).
      const beyond = z.filter((each) => Math.abs(each) > 2).length / N;
      expect(Math.abs(beyond - 0.0455)).toBeLessThan(5 * Math.sqrt(0.0455 / N));
      expect(Math.max(...z.map(Math.abs))).toBeLessThan(Math.sqrt(48 * Math.LN2));
    });
  });

  it("is independent from element to element, step to step and seed to seed", () => {
    const [first, second] = drawn(2, 0, 1, 0) as [Float64Array, Float64Array];
    const [other] = drawn(1, 1, 1, 0) as [Float64Array];
    const correlation = (a: Float64Array, b: Float64Array) =>
      mean(a.map((x, i) => x * (b[i] ?? 0)));
    // The mean of N products of independent normals has deviation 1/√N.
    for (const b of [first.subarray(1), second, other]) {
      expect(Math.abs(correlation(first, b))).toBeLessThan(5 / Math.sqrt(N));
    }
  });

  it("is the same for a seed, whichever leaves take part, and goes on where a saved run ended", () => {
    const bind = (seed: number) =>
      compileOptimizer(chain(noise(), sgd()), {
        params: { a: leaf(5), b: leaf(9) },
        learningRate: 0.1,
        seed,
      });
    const zero = { a: new Float32Array(5), b: new Float32Array(9) };
    const [together, alone, later] = [bind(7), bind(7), bind(8)];
    together.step(zero);
    alone.step({ b: zero.b });
    expect(alone.params["b"]).toEqual(together.params["b"]);
    alone.step({ a: zero.a });
    expect(alone.params["a"]).toEqual(together.params["a"]);
    later.step(zero);
    expect(later.params["b"]).not.toEqual(together.params["b"]);
    later.load(together.save());
    later.step(zero);
    together.step(zero);
    expect(later.save()).toEqual(together.save());
    expect(together.save().seed).toBe(7);
  });

  it("refuses options out of range, seeds that are none, and states without their seed", () => {
    expect(() => noise({ eta: -1 })).toThrow(
      new RangeError("noise: `eta` must be finite and at least 0, got -1"),
    );
    expect(() => noise({ gamma: Number.NaN })).toThrow(
      new RangeError("noise: `gamma` must be finite and at least 0, got NaN"),
    );
    const bind = (seed: number) =>
      compileOptimizer(chain(noise(), sgd()), { params: { a: leaf(1) }, learningRate: 1, seed });
    for (const seed of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => bind(seed)).toThrow(
        new RangeError(
          `compileOptimizer: \`seed\` must be an integer in [0, 4294967296), got ${seed}`,
        ),
      );
    }
    const { seed: _, ...unseeded } = bind(1).save();
    expect(() => bind(1).load(unseeded)).toThrow(
      new TypeError(
        "load: the seed must be an integer of 32 bits, got undefined; pass the state of the optimizer it was saved with",
      ),
    );
    const plain = compileOptimizer(sgd(), { params: { a: leaf(1) }, learningRate: 1 });
    expect(plain.save()).not.toHaveProperty("seed");
    expect(() => plain.load({ ...plain.save(), seed: 1 })).toThrow(
      new TypeError(
        "load: state must hold no seed, got 1; pass the state of the optimizer it was saved with",
      ),
    );
  });
});

function leaf(size: number) {
  return { shape: [size], data: new Float32Array(size) };
}
