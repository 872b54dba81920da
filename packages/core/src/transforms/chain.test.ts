import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { cprop } from "../optimizers/cprop.ts";
import { sgd } from "../optimizers/sgd.ts";
import { chain } from "./chain.ts";
import { clipByGlobalNorm } from "./clip.ts";
import { decoupledWeightDecay, l2 } from "./weightDecay.ts";

/** Parameters after `steps` steps over gradients of two numbers. */
function run(optimizer: Optimizer, steps = 5): number[] {
  const params = { x: { shape: [2], data: Float64Array.of(1, -2) } };
  const compiled = compileOptimizer(optimizer, { params, learningRate: 0.1, dtype: "float64" });
  for (let t = 0; t < steps; t++) {
    compiled.step({ x: Float64Array.of(1 - 0.3 * t, 0.5 * t - 2) });
  }
  return Array.from(compiled.params.x?.data ?? []);
}

describe("chain", () => {
  it("means the same nested and flat, with state of its own for each stage", () => {
    const [a, b, c] = [sgd({ momentum: 0.9 }), sgd({ momentum: 0.5 }), sgd({ momentum: 0.7 })];
    const nested = chain(chain(a, b), c);
    expect(Object.keys(nested.state)).toEqual(["trace", "2.trace", "3.trace"]);
    expect(run(nested)).toEqual(run(chain(a, b, c)));
  });

  it("names state by position where two stages use a key", () => {
    expect(Object.keys(chain(adam(), adam()).state)).toEqual(["mu", "nu", "2.mu", "2.nu"]);
  });

  it("holds formulas by hand: clipping before a step, L2 before, decoupled decay after", () => {
    // ‖(1, −2)‖ = √5, so the gradient is scaled by 1/√5 and the step is 0.1 of it.
    const clipped = run(chain(clipByGlobalNorm(1), sgd()), 1);
    expect(clipped[0]).toBeCloseTo(1 - 0.1 / Math.sqrt(5), 14);
    expect(clipped[1]).toBeCloseTo(-2 + 0.2 / Math.sqrt(5), 14);
    // Both are p − 0.1 (g + 0.5 p) for plain SGD.
    for (const optimizer of [chain(l2(0.5), sgd()), chain(sgd(), decoupledWeightDecay(0.5))]) {
      const [x, y] = run(optimizer, 1);
      expect(x).toBeCloseTo(1 - 0.1 * 1.5, 14);
      expect(y).toBeCloseTo(-2 + 0.1 * 3, 14);
    }
  });

  it("keeps the statistics of nested CProp apart", () => {
    const nested = cprop(cprop(sgd(), { beta: 0.5 }), { beta: 0.9 });
    expect(Object.keys(nested.state)).toEqual([
      "meanGradient",
      "meanSquare",
      "2.meanGradient",
      "2.meanSquare",
    ]);
    // By an independent transcription of the formulas for the first coordinate, see the spec of CProp.
    expect(run(nested)[0]).toBeCloseTo(nestedByHand(), 12);
  });

  it("refuses to be empty", () => {
    expect(() => chain()).toThrow(
      "chain: at least one stage is needed, got none; pass an optimizer",
    );
  });
});

/** CProp (β = 0.9) around CProp (β = 0.5) around SGD, for the first coordinate of `run`. */
function nestedByHand(): number {
  const factor = (beta: number) => {
    let [m, v, t] = [0, 0, 0];
    return (g: number): number => {
      t += 1;
      m += (1 - beta) * (g - m);
      v += (1 - beta) * (g * g - v);
      const bc = 1 - beta ** t;
      const variance = t === 1 ? 0 : Math.max(v / bc - (m / bc) ** 2, 0);
      const se = Math.sqrt(variance / (bc / (1 - beta) - 1 + 1e-8)) + 1e-8;
      const z = -m / bc / se;
      return Math.min(2 * Math.abs(1 / (1 + Math.exp(-0.07056 * z ** 3 - 1.5976 * z)) - 0.5), 1);
    };
  };
  const [inner, outer] = [factor(0.5), factor(0.9)];
  let x = 1;
  for (let t = 0; t < 5; t++) {
    const g = 1 - 0.3 * t;
    x -= 0.1 * g * inner(g) * outer(g);
  }
  return x;
}
