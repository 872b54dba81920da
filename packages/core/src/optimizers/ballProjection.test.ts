import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { sub } from "../expr/build.ts";
import { defineOptimizer, type Optimizer } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";
import { Executor } from "../runtime/executor.ts";
import { group } from "../transforms/group.ts";
import { projectOntoBall } from "./ballProjection.ts";
import { fastAdaBelief } from "./fastAdaBelief.ts";

/** p ← the projection of p, weighted by g. */
const onto = (radius: number, over: "all" | "tensor" = "all"): Optimizer =>
  defineOptimizer("onto", {}, ({ p, g }) => {
    const params = projectOntoBall(p, g, radius, over);
    return { update: sub(params, p), params, next: {} };
  });

const run = vi.spyOn(Executor.prototype, "run");
beforeEach(() => {
  run.mockClear();
});
afterAll(() => {
  run.mockRestore();
});

/** Steps of Newton in float64 until ‖y‖ ≤ R (1 + tolerance). */
function newtonSteps({ x, weights }: Problem, radius: number, tolerance: number): number {
  for (let [mu, steps] = [0, 0]; ; steps++) {
    let [squares, slope] = [0, 0];
    x.forEach((xi, i) => {
      const raised = (weights[i] as number) + mu;
      const square = (xi * ((weights[i] as number) / raised)) ** 2;
      squares += square;
      slope += square / raised;
    });
    const excess = Math.sqrt(squares) / radius - 1;
    if (!(excess > tolerance)) {
      return steps;
    }
    mu += (excess * squares) / slope;
  }
}

interface Problem {
  readonly x: readonly number[];
  readonly weights: readonly number[];
}

type Compiled = ReturnType<typeof compileOptimizer>;
const compiledFor = new Map<string, Compiled>();

/** The projected point, and the passes that it took. */
function project(
  radius: number,
  { x, weights }: Problem,
  dtype: "float32" | "float64" = "float64",
): { readonly y: number[]; readonly passes: number } {
  const key = [radius, x.length, dtype].join();
  const params = { x: { shape: [x.length], data: new Float64Array(x.length) } };
  const compiled =
    compiledFor.get(key) ??
    compileOptimizer(onto(radius), { params, learningRate: 1, dtype, backend: "evaluate" });
  compiledFor.set(key, compiled);
  compiled.params.x?.data.set(x);
  run.mockClear();
  compiled.step({ x: Float64Array.from(weights) });
  return { y: Array.from(compiled.params.x?.data ?? []), passes: run.mock.calls.length };
}

const norm = (x: readonly number[]): number => Math.hypot(...x);

/** yᵢ = xᵢ Sᵢ/(Sᵢ + μ) with μ by bisection until neighbours are left. */
function reference({ x, weights }: Problem, radius: number): number[] {
  const at = (mu: number): number[] =>
    x.map((xi, i) => xi * ((weights[i] as number) / ((weights[i] as number) + mu)));
  let [low, high] = [0, 1];
  while (norm(at(high)) > radius) {
    high *= 2;
  }
  for (;;) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) {
      return at(high);
    }
    [low, high] = norm(at(middle)) > radius ? [middle, high] : [low, middle];
  }
}

/** Points up to 10⁴ outside the ball of radius 1, weights over 10^`orders`. */
const problems = (orders: number): fc.Arbitrary<Problem> => {
  const element = fc.record({
    x: fc.double({ min: -10, max: 10, noNaN: true }).map((x) => (Math.abs(x) < 1e-6 ? 1 : x)),
    exponent: fc.double({ min: -orders / 2, max: orders / 2, noNaN: true }),
  });
  const elements = fc.oneof(
    ...[1, 2, 7, 40].map((size) => fc.array(element, { minLength: size, maxLength: size })),
  );
  const distance = fc.double({ min: 1e-6, max: 4, noNaN: true });
  return fc.record({ elements, distance }).map(({ elements, distance }) => {
    const scale = 10 ** distance / norm(elements.map(({ x }) => x));
    return {
      x: elements.map(({ x }) => x * scale),
      weights: elements.map(({ exponent }) => 10 ** exponent),
    };
  });
};

/** Where the iteration may end, in float64: ‖y‖ ≤ R (1 + ρ). */
const RHO = 2 ** -40 + 2 ** -50;

describe("the projection onto a ball", () => {
  it("is that of bisection, with weights over 12 orders of magnitude", () => {
    fc.assert(
      fc.property(problems(12), (problem) => {
        const { y } = project(1, problem);
        // Newton comes from outside, where every |yᵢ| is larger than at the root, so that
        // Σ (yᵢ − yᵢ*)² ≤ Σ yᵢ² − yᵢ*² = (1 + ρ)² − 1; scaling moves by ρ more, and roundings are far below.
        const most = (Math.sqrt(2 * RHO + RHO ** 2) + RHO) * 1.001;
        const wanted = reference(problem, 1);
        expect(norm(y.map((yi, i) => yi - (wanted[i] as number)))).toBeLessThan(most);
        // One rounding in the scale, one in each product, and those of the sum: 8 partial sums of at most 5.
        expect(Math.abs(norm(y) - 1)).toBeLessThan(8 * 2 ** -53);
      }),
    );
  });

  it("meets the conditions of Karush, Kuhn and Tucker: one multiplier for all elements", () => {
    fc.assert(
      fc.property(problems(3), (problem) => {
        const { y } = project(1, problem);
        const multipliers = y.map((yi, i) => {
          const [x, weight] = [problem.x[i] as number, problem.weights[i] as number];
          // Sᵢ (xᵢ − yᵢ) = μ yᵢ; y is right to the scale, within ρ, and to a few roundings of x Sᵢ/(Sᵢ + μ).
          const mu = (weight * (x - yi)) / yi;
          return { mu, error: (RHO + 8 * 2 ** -53) * (weight + mu) };
        });
        const lowest = Math.max(...multipliers.map(({ mu, error }) => mu - error));
        const highest = Math.min(...multipliers.map(({ mu, error }) => mu + error));
        expect(lowest).toBeLessThanOrEqual(highest);
        expect(highest).toBeGreaterThan(0);
      }),
    );
  });

  it("stays in the ball in float32, to a few roundings", () => {
    fc.assert(
      fc.property(problems(12), (problem) => {
        const { y } = project(1, problem, "float32");
        // The scale, and it as float32; the last product; squares in the sum. Each half a unit of at most 2⁻²³.
        expect(Math.abs(norm(y) - 1)).toBeLessThanOrEqual(4 * 2 ** -24);
      }),
    );
  });

  it("stays in the ball where the steps run out", () => {
    // Found by a search for what takes longest: 36 steps, with weights over 30 orders of magnitude.
    const weights = [0, 4, 9, 13, 17, 21, 26, 30].map((exponent) => 10 ** exponent);
    const point = [-2, -28, -4, -2, -26, -23, -28, 0].map((exponent) => 10 ** (exponent / 4));
    const x = point.map((xi) => (xi * 1.1) / norm(point));
    expect(newtonSteps({ x, weights }, 1, RHO)).toBe(36);
    const { y, passes } = project(1, { x, weights });
    expect(passes).toBe(2 + 20);
    // As above.
    expect(Math.abs(norm(y) - 1)).toBeLessThan(8 * 2 ** -53);
  });

  it("leaves a point of the ball alone, bit for bit, in two passes", () => {
    const random = mulberry32(5);
    for (const dtype of ["float32", "float64"] as const) {
      const x = Array.from({ length: 100 }, () => Math.fround(random.normal()));
      const weights = x.map(() => Math.exp(5 * random.normal()));
      const inside = project(
        norm(x) * 1.001,
        { x: [...x, -0, 0], weights: [...weights, 1, 1] },
        dtype,
      );
      expect(inside).toEqual({ y: [...x, -0, 0], passes: 2 });
      // Numbers whose norm is exact: on the sphere is in the ball.
      expect(project(5, { x: [3, -4], weights: [1, 2] }, dtype)).toEqual({
        y: [3, -4],
        passes: 2,
      });
    }
  });

  it("takes a pass more for each step of Newton, and stops by itself", () => {
    const weights = Array.from({ length: 100 }, (_, i) => 10 ** (i / 99));
    const x = weights.map((_, i) => Math.cos(i));
    // Equal weights: the first step is exact, and the norm after it is a pass.
    const equal = { x, weights: weights.map(() => 3) };
    expect(project(norm(x) / 7, equal).passes).toBe(3);
    const tolerances = { float32: 2 ** -21, float64: RHO } as const;
    for (const dtype of ["float32", "float64"] as const) {
      const counts = [1 - 1e-8, 0.999, 0.9, 0.1, 0.01].map((share) => {
        const { passes } = project(share * norm(x), { x, weights }, dtype);
        expect(passes).toBe(2 + newtonSteps({ x, weights }, share * norm(x), tolerances[dtype]));
        return passes - 2;
      });
      expect(counts).toEqual(dtype === "float32" ? [0, 2, 3, 3, 3] : [1, 2, 4, 4, 3]);
    }
  });

  it("keeps what is not finite in sight", () => {
    const weights = [1, 2, 3];
    expect(project(1, { x: [1, NaN, 2], weights }).y).toEqual([1, NaN, 2]);
    expect(project(1, { x: [1, Infinity, 2], weights }).y).toEqual([NaN, NaN, NaN]);
    expect(project(1, { x: [1, 2e19, 2], weights }, "float32").y).toEqual([NaN, NaN, NaN]);
  });

  it("is of all leaves together, of each leaf, or of a group's", () => {
    const params = {
      a: { shape: [2], data: Float64Array.of(3, 4) },
      b: { shape: [1], data: Float64Array.of(12) },
    };
    const norms = (optimizer: Optimizer): number[] => {
      const compiled = compileOptimizer(optimizer, { params, learningRate: 1, dtype: "float64" });
      compiled.step({ a: Float64Array.of(1, 4), b: Float64Array.of(2) });
      return Object.values(compiled.params).map(({ data }) => norm(Array.from(data)));
    };
    const close = (got: readonly number[], wanted: readonly number[]): void => {
      // Two products and a scale, rounded once each.
      got.forEach((x, i) => expect(Math.abs(x - (wanted[i] as number))).toBeLessThan(1e-14));
    };
    close([norm(norms(onto(6.5)))], [6.5]);
    close(norms(onto(6.5, "tensor")), [5, 6.5]);
    close(norms(group({ a: onto(2), b: onto(13) })), [2, 12]);
  });
});

/** Problem 3.6 of the specification in a ball: regret against its best point at steps 100, 1000 and 10,000. */
function regrets(optimizer: Optimizer, learningRate: number, radius: number): number[] {
  const random = mulberry32(123);
  const size = 10;
  const centre = Array.from({ length: size }, () => 4 * (random.next() - 0.5));
  const params = { x: { shape: [size], data: new Float64Array(size) } };
  const compiled = compileOptimizer(optimizer, { params, learningRate, dtype: "float64" });
  const total = new Float64Array(size);
  const found: number[] = [];
  let [loss, squares, farthest] = [0, 0, 0];
  for (let t = 1; t <= 10_000; t++) {
    const x = Array.from(compiled.params.x?.data ?? []);
    farthest = Math.max(farthest, norm(x));
    const z = centre.map((c) => c + 2 * (random.next() - 0.5));
    const g = x.map((xi, i) => xi - (z[i] as number));
    loss += 0.5 * norm(g) ** 2;
    squares += norm(z) ** 2;
    z.forEach((zi, i) => {
      total[i] = (total[i] as number) + zi;
    });
    compiled.step({ x: Float64Array.from(g) });
    if (t === 100 || t === 1000 || t === 10_000) {
      // ½ Σ ‖y − z‖² is least in the ball at the mean of z, brought to the sphere.
      const sum = norm(Array.from(total));
      const best = Math.min(sum / t, radius);
      found.push(loss - 0.5 * (squares - 2 * best * sum + t * best ** 2));
    }
  }
  // Rounding of a projection, as above.
  expect(farthest).toBeLessThanOrEqual(radius * (1 + 8 * 2 ** -53));
  return found;
}

describe("fastAdaBelief in a ball", () => {
  it("has the specification's regret where the ball is never left", () => {
    const found = regrets(fastAdaBelief({ ball: 5 }), 3, 5);
    // The table prints two decimals.
    found.forEach((regret, i) => {
      expect(Math.abs(regret - ([39.91, 48.95, 56.41][i] as number))).toBeLessThan(5.1e-3);
    });
  });

  it.each([
    [2, 1],
    [2, 3],
    [1, 3],
  ])(
    "of radius %d at rate %d stays feasible, and its regret grows by a constant a decade",
    (radius, rate) => {
      const [first, second, third] = regrets(fastAdaBelief({ ball: radius }), rate, radius) as [
        number,
        number,
        number,
      ];
      const [one, two] = [second - first, third - second];
      // Logarithmic growth gains as much in each decade; √t would gain √10 = 3.2 times as much in the second, t 10 times.
      expect(one).toBeGreaterThan(0);
      expect(two).toBeGreaterThan(0);
      expect(two).toBeLessThan(1.5 * one);
    },
  );

  it("projects in the norm of h + δ/t", () => {
    const options = { gamma: 0.8, delta: 0.05, b1: 0.7 };
    const start = [1, -2, 0.5];
    const g = [3, 1, -0.2];
    const params = { x: { shape: [3], data: Float64Array.from(start) } };
    const compiled = compileOptimizer(fastAdaBelief({ ...options, ball: 1.5 }), {
      params,
      learningRate: 0.01,
      dtype: "float64",
    });
    compiled.step({ x: Float64Array.from(g) });
    // t = 1: m = (1 − β₁) g, s = γ (g − m)², S = s + δ, x = p − α m/S.
    const m = g.map((gi) => 0.3 * gi);
    const weights = g.map((gi, i) => 0.8 * (gi - (m[i] as number)) ** 2 + 0.05);
    const x = start.map((p, i) => p - (0.01 * (m[i] as number)) / (weights[i] as number));
    const wanted = reference({ x, weights }, 1.5);
    Array.from(compiled.params.x?.data ?? []).forEach((y, i) => {
      // The bound of the first test.
      expect(Math.abs(y - (wanted[i] as number))).toBeLessThan(Math.sqrt(2 * RHO) * 1.5);
    });
  });

  it("is the box's sibling: the box clamps, alone or with the ball's option left out", () => {
    const params = { x: { shape: [3], data: Float64Array.of(1, -2, 0.5) } };
    const compiled = compileOptimizer(fastAdaBelief({ box: 0.75 }), { params, learningRate: 0 });
    compiled.step({ x: Float64Array.of(1, 1, 1) });
    expect(Array.from(compiled.params.x?.data ?? [])).toEqual([0.75, -0.75, 0.5]);
    expect(run.mock.calls.length).toBe(1);
  });

  it.each([0, -1, NaN, Infinity, "2"])("refuses a radius that is none: %o", (ball) => {
    const shown = typeof ball === "string" ? `"${ball}"` : String(ball);
    expect(() => fastAdaBelief({ ball: ball as number })).toThrow(
      new RangeError(`fastAdaBelief: \`ball\` must be finite and greater than 0, got ${shown}`),
    );
  });

  it("refuses a ball in a box, and a set that is none", () => {
    expect(() => fastAdaBelief({ ball: 1, box: 1 })).toThrow(
      new RangeError(
        "fastAdaBelief: `box` must be left out where there is a `ball`, got 1; pass one of them",
      ),
    );
    expect(() => fastAdaBelief({ ball: 1, ballOver: "leaf" as "all" })).toThrow(
      new RangeError('fastAdaBelief: `ballOver` must be one of "all", "tensor", got "leaf"'),
    );
  });
});
