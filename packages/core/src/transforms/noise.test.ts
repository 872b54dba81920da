import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add, bf16, bf16Stochastic, delay, input, mean, mul, sub, uniform } from "../expr/build.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, toProgram } from "../optimizer.ts";
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
  const x = compiled.params["w"]?.data ?? new Float64Array();
  return Array.from({ length: steps }, () => {
    const before = x.slice();
    compiled.step();
    return x.map((each, i) => (before[i] as number) - each);
  });
}

const average = (x: Float64Array): number => x.reduce((sum, each) => sum + each, 0) / x.length;

describe("noise", () => {
  it("has mean 0, variance η / (1 + t)^γ, and the third and fourth moments of a normal", () => {
    drawn(5).forEach((x, index) => {
      const variance = 0.01 / (2 + index) ** 0.55;
      const z = x.map((each) => each / Math.sqrt(variance));
      // Over N draws the mean of zᵏ has deviation √(Var zᵏ / N), Var z, z², z³, z⁴ = 1, 2, 15, 96; five of them.
      const bound = (of: number) => 5 * Math.sqrt(of / N);
      expect(Math.abs(average(z))).toBeLessThan(bound(1));
      expect(Math.abs(average(z.map((each) => each ** 2)) - 1)).toBeLessThan(bound(2));
      expect(Math.abs(average(z.map((each) => each ** 3)))).toBeLessThan(bound(15));
      expect(Math.abs(average(z.map((each) => each ** 4)) - 3)).toBeLessThan(bound(96));
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
      average(a.map((x, i) => x * (b[i] ?? 0)));
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
        "load: state.seed must be a natural number up to 4294967295, got undefined; pass the state of the optimizer it was saved with",
      ),
    );
    const plain = compileOptimizer(sgd(), { params: { a: leaf(1) }, learningRate: 1 });
    expect(plain.save()).not.toHaveProperty("seed");
    expect(() => plain.load({ ...plain.save(), seed: 1 })).toThrow(
      new TypeError(
        "load: state.seed must be absent, got 1; pass the state of the optimizer it was saved with",
      ),
    );
  });
});

describe("programs that draw", () => {
  const bind = (update: Expr, evaluation?: Expr) =>
    compileOptimizer(
      {
        ...defineOptimizer("drawing", {}, () => ({ update, next: {} })),
        ...(evaluation !== undefined && { evaluation: () => evaluation }),
      },
      { params: { a: leaf(3) }, learningRate: 1 },
    );

  it("follow their definition, reductions and delays included", () => {
    const u = uniform("u");
    const update = add(sub(u, mean(u)), mul(delay(u, 2), bf16Stochastic(u, uniform("v"))));
    const optimizer = defineOptimizer("drawing", {}, () => ({ update, next: {} }));
    const shapes = { a: [37], b: [2, 5] };
    const params = Object.fromEntries(
      Object.entries(shapes).map(([path, shape]) => [
        path,
        { shape, data: new Float32Array(shape.reduce((product, n) => product * n, 1)) },
      ]),
    );
    const compiled = compileOptimizer(optimizer, { params, learningRate: 1, seed: 3 });
    const program = toProgram(optimizer);
    const tensors = Object.entries(params).map(([path, { shape, data }]) =>
      startTensor(program, data, { path, shape }),
    );
    for (let t = 0; t < 5; t++) {
      compiled.step();
      const gradients = tensors.map((tensor) => tensor.params);
      evaluateStep(program, tensors, gradients, 1, program, 3);
    }
    for (const {
      leaf: { path },
      params: expected,
    } of tensors) {
      compiled.params[path]?.data.forEach((x, i) => {
        // Five sums of numbers below 4, rounded to float32 three times each.
        expect(Math.abs(x - (expected[i] as number))).toBeLessThan(15 * 2 ** -23);
      });
    }
  });

  it("are refused where a draw makes no sense", () => {
    expect(() => bind(uniform(1 as never))).toThrow(
      new TypeError('verifyProgram: in "drawing", the stream of `uniform` must be a name, got 1'),
    );
    expect(() => bind(bf16(input("lr", "step")))).toThrow(
      new TypeError('verifyProgram: in "drawing", `bf16` must run over elements, got step scope'),
    );
    const p = input("p", "element");
    expect(() => bind(p, add(p, uniform("u")))).toThrow(
      new TypeError(
        'verifyProgram: in "drawing", the parameter to evaluate with must not be random, got a draw in it',
      ),
    );
  });
});

function leaf(size: number) {
  return { shape: [size], data: new Float32Array(size) };
}
