import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { fastAdaBelief } from "../optimizers/fastAdaBelief.ts";
import { sgd } from "../optimizers/sgd.ts";
import { draws, paramsOf } from "../optimizers/testSteps.ts";
import { mulberry32 } from "../random.ts";
import { accumulate } from "./accumulate.ts";
import { chain } from "./chain.ts";
import { clipByGlobalNorm } from "./clip.ts";
import { lookahead } from "./lookahead.ts";
import { sam } from "./sam.ts";

const START = [1, -2, 0.5, 3];

function bind(optimizer: Optimizer, paths = ["x"]) {
  return compileOptimizer(optimizer, {
    params: Object.fromEntries(
      paths.map((path) => [path, { shape: [START.length], data: Float64Array.from(START) }]),
    ),
    learningRate: 0.1,
    dtype: "float64",
  });
}

describe("accumulate", () => {
  it.each<[string, Optimizer]>([
    ["sgd", sgd({ momentum: 0.9, weightDecay: 0.1 })],
    ["adam", adam()],
    ["clip and adam", chain(clipByGlobalNorm(0.5), adam())],
    ["adashift", adashift({ n: 2 })],
  ])("takes the step on the mean of k gradients: %s", (_, inner) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(), (k, seed) => {
        const gradients = draws(mulberry32(seed), 6 * k, START.length);
        const means = Array.from({ length: 6 }, (_, step) =>
          START.map((_, i) => {
            const own = gradients.slice(step * k, (step + 1) * k);
            return own.reduce((sum, g) => sum + (g[i] as number), 0) / k;
          }),
        );
        const calls = paramsOf(accumulate(k, inner), START, gradients, 0.1);
        const steps = paramsOf(inner, START, means, 0.1);
        steps.forEach((expected, step) => {
          calls[step * k + k - 1]?.forEach((got, i) => {
            // g/k is rounded before it is summed, and a step divides by roots of gradients as small as 1e-3.
            expect(Math.abs(got - (expected[i] as number))).toBeLessThan(1e-10);
          });
        });
      }),
      { numRuns: 12 },
    );
  });

  it("reports calls, counts steps, and leaves parameters alone in between, -0 included", () => {
    const compiled = compileOptimizer(accumulate(3, sgd()), {
      params: { x: { shape: [1], data: Float32Array.of(-0) } },
      learningRate: 0.5,
    });
    const g = Float32Array.of(3);
    const seen = [1, 2, 3, 4].map(() => [
      compiled.step({ x: g }).status,
      compiled.count,
      compiled.params.x?.data[0],
    ]);
    expect(seen).toEqual([
      ["accumulated", 0, -0],
      ["accumulated", 0, -0],
      ["stepped", 1, -1.5],
      ["accumulated", 1, -1.5],
    ]);
  });

  it("gathers what a leaf has: nothing in a call without, and over to the next step without the last", () => {
    const compiled = bind(accumulate(2, sgd()), ["x", "y"]);
    const g = Float64Array.of(1, 1, 1, 1);
    compiled.step({ x: g, y: g });
    compiled.step({ x: g });
    expect(compiled.params.y?.data[0]).toBe(1);
    compiled.step({ x: g });
    compiled.step({ x: g, y: g });
    // Half of the first gradient and half of the last.
    expect(compiled.params.y?.data[0]).toBe(1 - 0.1);
  });

  it("resumes bit for bit between two calls", () => {
    const optimizer = accumulate(3, lookahead(sam(adam()), { steps: 2 }));
    const gradients = draws(mulberry32(3), 40, START.length).map((g) => Float64Array.from(g));
    const whole = bind(optimizer);
    for (const x of gradients) {
      whole.step({ x });
    }
    for (const cut of [1, 2, 4, 8, 13]) {
      const first = bind(optimizer);
      const second = bind(optimizer);
      gradients.forEach((x, call) => {
        if (call === cut) {
          second.load(first.save());
        }
        (call < cut ? first : second).step({ x });
      });
      expect(second.save()).toEqual(whole.save());
    }
  });

  it("refuses counts below 1 and what is no optimizer", () => {
    expect(() => accumulate(0, sgd())).toThrow(
      new RangeError("accumulate: `k` must be an integer of at least 1, got 0"),
    );
    expect(() => accumulate(2, sgd as unknown as Optimizer)).toThrow(
      new TypeError(
        "accumulate: `inner` must be an optimizer, got function; call its constructor, as in adam()",
      ),
    );
  });
});

describe("sam", () => {
  /** Gradient of ½ Σ cᵢ xᵢ². */
  const gradient = (x: ArrayLike<number>): Float64Array =>
    Float64Array.from(START, (_, i) => (i + 1) * (x[i] as number));

  it("ascends by rho along the gradient, and steps from where it was with the gradient there", () => {
    const compiled = bind(sam(sgd(), { rho: 0.2 }));
    const first = gradient(START);
    const norm = Math.hypot(...first);
    expect(compiled.step({ x: first }).status).toBe("ascended");
    const above = Array.from(compiled.params.x?.data ?? []);
    above.forEach((value, i) => {
      expect(value).toBeCloseTo((START[i] as number) + (0.2 * (first[i] as number)) / norm, 14);
    });
    expect(Array.from(compiled.evaluationParams().x?.data ?? [])).toEqual(START);
    const second = gradient(above);
    expect(compiled.step({ x: second }).status).toBe("stepped");
    compiled.params.x?.data.forEach((value, i) => {
      expect(value).toBe((START[i] as number) + -(0.1 * (second[i] as number)));
    });
  });

  it("adaptively scales the ascent by |w| + eta", () => {
    const compiled = bind(sam(sgd(), { rho: 0.3, adaptive: true, eta: 0.5 }));
    const g = [1, -1, 2, 0];
    const scale = START.map((w) => Math.abs(w) + 0.5);
    const norm = Math.hypot(...g.map((x, i) => x * (scale[i] as number)));
    compiled.step({ x: Float64Array.from(g) });
    compiled.params.x?.data.forEach((value, i) => {
      const up = (0.3 * (scale[i] as number) ** 2 * (g[i] as number)) / norm;
      expect(value).toBeCloseTo((START[i] as number) + up, 14);
    });
  });

  it("with rho 0 is the inner optimizer, and with no gradient stays", () => {
    const gradients = draws(mulberry32(1), 6, START.length);
    const twice = gradients.flatMap((g) => [g, g]);
    const flat = paramsOf(sam(adam(), { rho: 0 }), START, twice, 0.1);
    expect(flat.filter((_, call) => call % 2 === 1)).toEqual(
      paramsOf(adam(), START, gradients, 0.1),
    );
    expect(paramsOf(sam(sgd()), START, [[0, 0, 0, 0]], 0.1)).toEqual([START]);
  });

  it("takes the norm over all leaves, and goes back from where a leaf without a gradient was left", () => {
    const compiled = bind(sam(sgd(), { rho: 1 }), ["x", "y"]);
    const unit = Float64Array.of(1, 0, 0, 0);
    compiled.step({ x: unit, y: unit });
    // ‖(1, 1)‖ = √2
    expect(compiled.params.x?.data[0]).toBeCloseTo(1 + Math.SQRT1_2, 14);
    compiled.step({ x: unit });
    expect(compiled.params.y?.data[0]).toBeCloseTo(1 + Math.SQRT1_2, 14);
    expect(compiled.evaluationParams().y?.data[0]).toBe(1);
    compiled.step({ x: unit });
    compiled.step({ y: unit });
    expect(compiled.params.y?.data[0]).toBe(1 - 0.1);
  });

  it("takes parameters that were written between steps", () => {
    const compiled = bind(sam(sgd()));
    const g = Float64Array.of(1, 1, 1, 1);
    compiled.step({ x: g });
    compiled.step({ x: g });
    compiled.params.x?.data.fill(7);
    compiled.step({ x: g });
    compiled.step({ x: g });
    expect(compiled.params.x?.data[0]).toBe(7 - 0.1);
  });

  it("refuses what does not hold", () => {
    expect(() => sam(sgd(), { rho: -1 })).toThrow(
      new RangeError("sam: `rho` must be finite and at least 0, got -1"),
    );
    expect(() => sam(sgd(), { adaptive: true, eta: -1 })).toThrow(
      new RangeError("sam: `eta` must be finite and at least 0, got -1"),
    );
    expect(() => sam(sgd(), { adaptive: 1 as unknown as boolean })).toThrow(
      new RangeError("sam: `adaptive` must be true or false, got 1"),
    );
    expect(() => sam(accumulate(2, sgd()))).toThrow(
      new RangeError(
        'sam: `inner` must take no calls before its step, got "accumulate(2, sgd)"; put the other around sam, as in accumulate(4, sam(sgd()))',
      ),
    );
    expect(() => chain(sam(sgd()), accumulate(2, sgd()))).toThrow(
      new RangeError(
        "chain: one stage at most may have calls before its step, got sam(sgd) and accumulate(2, sgd); put one around the other",
      ),
    );
  });
});

describe("lookahead", () => {
  it("goes back a share of the way every k-th step, by hand", () => {
    // Steps of −0.1 on a gradient of ones; slow weights follow by a quarter.
    const ones = Array.from({ length: 4 }, () => [1]);
    const path = paramsOf(lookahead(sgd(), { steps: 2, alpha: 0.25 }), [1], ones, 0.1).flat();
    // One rounding a step of numbers near 1.
    [0.9, 0.95, 0.85, 0.9].forEach((expected, step) => {
      expect(path[step]).toBeCloseTo(expected, 14);
    });
  });

  it("with alpha 1 is the inner optimizer, and with alpha 0 returns to the start", () => {
    const gradients = draws(mulberry32(2), 6, START.length);
    const still = paramsOf(lookahead(adam(), { steps: 3, alpha: 0 }), START, gradients, 0.1);
    expect([still[2], still[5]]).toEqual([START, START]);
    const free = paramsOf(lookahead(adam(), { steps: 3, alpha: 1 }), START, gradients, 0.1);
    paramsOf(adam(), START, gradients, 0.1).forEach((expected, step) => {
      expected.forEach((value, i) => {
        // φ + (θ − φ) is θ within a rounding.
        expect(free[step]?.[i]).toBeCloseTo(value, 13);
      });
    });
  });

  it("keeps a projection", () => {
    const boxed = lookahead(fastAdaBelief({ box: 1, schedule: "constant" }), { steps: 3 });
    for (const params of paramsOf(boxed, [1, -1], draws(mulberry32(4), 12, 2), 5)) {
      expect(Math.max(...params.map(Math.abs))).toBeLessThanOrEqual(1);
    }
  });

  it("refuses what does not hold", () => {
    expect(() => lookahead(sgd(), { steps: 0 })).toThrow(
      new RangeError("lookahead: `steps` must be an integer of at least 1, got 0"),
    );
    expect(() => lookahead(sgd(), { alpha: 1.5 })).toThrow(
      new RangeError("lookahead: `alpha` must be in [0, 1], got 1.5"),
    );
  });
});
