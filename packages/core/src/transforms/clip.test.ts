import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { sgd } from "../optimizers/sgd.ts";
import { centralise } from "./centralise.ts";
import { chain } from "./chain.ts";
import { adaptiveClip, clipByGlobalNorm, clipByTensorNorm, clipByValue } from "./clip.ts";

interface Given {
  readonly shape: readonly number[];
  readonly p: readonly number[];
  readonly g: readonly number[];
}

/** What a transform makes of gradients, by leaf: the step of plain SGD with rate 1, reversed, from parameters `p`. */
function transformed(
  transform: Optimizer,
  leaves: Readonly<Record<string, Given>>,
): Record<string, number[]> {
  const params = Object.fromEntries(
    Object.entries(leaves).map(([path, { shape, p }]) => [
      path,
      { shape, data: Float64Array.from(p) },
    ]),
  );
  const optimizer = chain(transform, sgd());
  const compiled = compileOptimizer(optimizer, { params, learningRate: 1, dtype: "float64" });
  compiled.step(
    Object.fromEntries(Object.entries(leaves).map(([path, { g }]) => [path, Float64Array.from(g)])),
  );
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { p }]) => [
      path,
      p.map((before, i) => before - (compiled.params[path]?.data[i] as number)),
    ]),
  );
}

const vector = (g: readonly number[], p = g.map(() => 0)): Given => ({ shape: [g.length], p, g });
const norm = (x: readonly number[]): number => Math.hypot(...x);
const numbers = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), {
  minLength: 1,
  maxLength: 8,
});

describe("clipping", () => {
  it("by value limits each element on both sides", () => {
    const { x } = transformed(clipByValue(0.5), { x: vector([2, -3, 0.25, -0.5]) });
    expect(x).toEqual([0.5, -0.5, 0.25, -0.5]);
  });

  it("by tensor norm scales each tensor alone, by global norm all alike", () => {
    const leaves = { x: vector([3, 4]), y: vector([0, 12]) };
    const own = transformed(clipByTensorNorm(6), leaves);
    expect(own.x).toEqual([3, 4]);
    expect(own.y?.[1]).toBeCloseTo(6, 14);
    // ‖(3, 4, 0, 12)‖ = 13
    const all = transformed(clipByGlobalNorm(6), leaves);
    expect(all.x?.[0]).toBeCloseTo((3 * 6) / 13, 14);
    expect(all.y?.[1]).toBeCloseTo((12 * 6) / 13, 14);
  });

  it("never leaves a norm above the limit, and leaves a gradient below it alone", () => {
    fc.assert(
      fc.property(numbers, numbers, (x, y) => {
        const leaves = { x: vector(x), y: vector(y) };
        const own = transformed(clipByTensorNorm(5), leaves);
        const all = transformed(clipByGlobalNorm(5), leaves);
        // Rounding of a norm and a product.
        const most = 5 * (1 + 1e-14);
        expect(Math.max(norm(own.x ?? []), norm(own.y ?? []))).toBeLessThanOrEqual(most);
        expect(norm([...(all.x ?? []), ...(all.y ?? [])])).toBeLessThanOrEqual(most);
        if (norm([...x, ...y]) < 4.999) {
          expect(all).toEqual(own);
          expect(own.x).toEqual(x.map((value) => value + 0));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("adaptively limits each column's gradient to a share of its weights, of at least eps", () => {
    // Columns of weights (3, 4) and (0, 0); λ = 0.1: limits 0.5 and 0.1 · 0.01.
    const x = { shape: [2, 2], p: [3, 0, 4, 0], g: [6, 1, 8, 0] };
    const out = transformed(adaptiveClip({ clipping: 0.1, eps: 0.01 }), { x }).x ?? [];
    expect(out[0]).toBeCloseTo(0.3, 14);
    expect(out[2]).toBeCloseTo(0.4, 14);
    expect(out[1]).toBeCloseTo(0.001, 14);
    expect(out[3]).toBe(0);
  });

  it("adaptively takes rows as units where asked, and vectors whole, with an axis of 1 too", () => {
    const p = [3, 4, 5, 12];
    const g = [6, 8, 0.5, 0];
    const rows = transformed(adaptiveClip({ clipping: 0.1, units: "rows" }), {
      x: { shape: [2, 2], p, g },
    });
    expect(rows.x?.[0]).toBeCloseTo(0.3, 14);
    expect(rows.x?.[2]).toBeCloseTo(0.5, 14);
    const whole = transformed(adaptiveClip({ clipping: 0.1 }), {
      x: vector(g, p),
      y: { shape: [1, 4], p, g },
    });
    const scale = (0.1 * norm(p)) / norm(g);
    for (const path of ["x", "y"]) {
      whole[path]?.forEach((value, i) => {
        expect(value).toBeCloseTo((g[i] as number) * scale, 13);
      });
    }
  });

  it("can be changed while training", () => {
    const compiled = compileOptimizer(chain(clipByValue(1), sgd()), {
      params: { x: { shape: [1], data: Float64Array.of(0) } },
      learningRate: 1,
      dtype: "float64",
    });
    compiled.step({ x: Float64Array.of(5) });
    compiled.set({ limit: 2 });
    compiled.step({ x: Float64Array.of(5) });
    expect(compiled.params.x?.data[0]).toBe(-3);
  });

  it.each([
    [() => clipByValue(0), "clipByValue: `limit` must be finite and greater than 0, got 0"],
    [
      () => clipByTensorNorm(-1),
      "clipByTensorNorm: `maxNorm` must be finite and greater than 0, got -1",
    ],
    [
      () => clipByGlobalNorm(Number.NaN),
      "clipByGlobalNorm: `maxNorm` must be finite and greater than 0, got NaN",
    ],
    [
      () => adaptiveClip({ clipping: 0 }),
      "adaptiveClip: `clipping` must be finite and greater than 0, got 0",
    ],
    [
      () => adaptiveClip({ eps: -1 }),
      "adaptiveClip: `eps` must be finite and greater than 0, got -1",
    ],
    [
      () => adaptiveClip({ units: "in" as "rows" }),
      'adaptiveClip: `units` must be one of "columns", "rows", got "in"',
    ],
    [
      () => centralise({ units: "in" as "rows" }),
      'centralise: `units` must be one of "columns", "rows", got "in"',
    ],
    [
      () =>
        transformed(adaptiveClip({ units: "rows" }), {
          w: { shape: [2, 1, 2], p: [1, 1, 1, 1], g: [1, 1, 1, 1] },
        }),
      'adaptiveClip: `units` "rows" needs leaves of at most two axes, got leaf "w" of shape [2, 1, 2]; put the output axis last and pass "columns"',
    ],
  ])("refuses what does not hold (%#)", (build, message) => {
    expect(build).toThrow(new RangeError(message));
  });
});

describe("centralise", () => {
  it("takes the mean from each unit of a matrix and leaves vectors alone", () => {
    const g = [1, 2, 3, 6];
    const p = [0, 0, 0, 0];
    const leaves = { x: { shape: [2, 2], p, g }, y: vector(g) };
    expect(transformed(centralise(), leaves)).toEqual({ x: [-1, -2, 1, 2], y: g });
    const rows = transformed(centralise({ units: "rows" }), leaves);
    expect(rows.x).toEqual([-0.5, 0.5, -1.5, 1.5]);
  });

  it("keeps the sum of each unit's weights", () => {
    const gradient = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), {
      minLength: 24,
      maxLength: 24,
    });
    fc.assert(
      fc.property(gradient, (g) => {
        const x = { shape: [2, 3, 4], p: g.map(() => 0), g };
        const out = transformed(centralise(), { x }).x ?? [];
        for (let column = 0; column < 4; column++) {
          const sum = out.filter((_, i) => i % 4 === column).reduce((a, b) => a + b, 0);
          // Six roundings of numbers up to 20.
          expect(Math.abs(sum)).toBeLessThan(1e-13);
        }
      }),
      { numRuns: 50 },
    );
  });
});
