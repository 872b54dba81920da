import { describe, expect, it } from "vitest";
import { mulberry32 } from "../random.ts";
import { adam } from "./adam.ts";
import { nadam } from "./nadam.ts";
import { draws, paramsOf, take } from "./testSteps.ts";

const START = [1, -2];
const GRADIENTS = [
  [0.5, -1],
  [-0.25, 2],
];

/** Adam's averages by the definition, their corrections apart. */
function averages(i: number, b1: number, b2: number): readonly (readonly [number, number])[] {
  const [first, second] = GRADIENTS.map((g) => g[i] as number) as [number, number];
  return [
    [(1 - b1) * first, (1 - b2) * first ** 2],
    [
      b1 * (1 - b1) * first + (1 - b1) * second,
      b2 * (1 - b2) * first ** 2 + (1 - b2) * second ** 2,
    ],
  ];
}

describe("nadam", () => {
  it("torch: two steps by hand", () => {
    const [b1, b2, eps, psi] = [0.75, 0.875, 0.125, 0.5];
    const mu = [1, 2, 3].map((t) => b1 * (1 - 0.5 * 0.96 ** (psi * t)));
    const [mu1, mu2, mu3] = mu as [number, number, number];
    const products = [mu1, mu1 * mu2];
    const steps = take(nadam({ b1, b2, eps, momentumDecay: psi }), START, GRADIENTS, 0.5);
    START.forEach((start, i) => {
      let p = start;
      averages(i, b1, b2).forEach(([m, v], step) => {
        const now = [mu1, mu2][step] as number;
        const ahead = [mu2, mu3][step] as number;
        const product = products[step] as number;
        const g = GRADIENTS[step]?.[i] as number;
        const mHat = (ahead * m) / (1 - product * ahead) + ((1 - now) * g) / (1 - product);
        p -= (0.5 * mHat) / (Math.sqrt(v / (1 - b2 ** (step + 1))) + eps);
        // Numbers of order 1 after some ten roundings.
        expect(steps[step]?.params[i]).toBeCloseTo(p, 14);
        expect(steps[step]?.state.tensor.muProduct).toBeCloseTo(product, 15);
      });
    });
  });

  it("optax: two steps by hand", () => {
    const [b1, b2, eps] = [0.75, 0.875, 0.125];
    const params = paramsOf(nadam({ b1, b2, eps, convention: "optax" }), START, GRADIENTS, 0.5);
    START.forEach((start, i) => {
      let p = start;
      averages(i, b1, b2).forEach(([m, v], step) => {
        const t = step + 1;
        const g = GRADIENTS[step]?.[i] as number;
        const mHat = (b1 * m) / (1 - b1 ** (t + 1)) + ((1 - b1) * g) / (1 - b1 ** t);
        p -= (0.5 * mHat) / (Math.sqrt(v / (1 - b2 ** t)) + eps);
        // Numbers of order 1 after some ten roundings.
        expect(params[step]?.[i]).toBeCloseTo(p, 14);
      });
    });
  });

  it("the conventions agree where ψ is so large that the momentum is β₁ from the start", () => {
    const gradients = draws(mulberry32(1), 40, 5);
    const torch = paramsOf(nadam({ momentumDecay: 1e5 }), [1, 2, 3, 4, 5], gradients, 0.1);
    const optax = paramsOf(nadam({ convention: "optax" }), [1, 2, 3, 4, 5], gradients, 0.1);
    torch.forEach((row, t) => {
      row.forEach((p, i) => {
        // β₁ᵗ as a product and as a power: a rounding a step.
        expect(p).toBeCloseTo(optax[t]?.[i] as number, 12);
      });
    });
  });

  it.each(["torch", "optax"] as const)("%s: without momentum it is Adam", (convention) => {
    const gradients = draws(mulberry32(2), 40, 5);
    const own = paramsOf(nadam({ b1: 0, convention }), [1, 2, 3, 4, 5], gradients, 0.1);
    const adams = paramsOf(adam({ b1: 0 }), [1, 2, 3, 4, 5], gradients, 0.1);
    own.forEach((row, t) => {
      row.forEach((p, i) => {
        // m + (g − m)·1 is g up to a rounding, which NAdam has not.
        expect(p).toBeCloseTo(adams[t]?.[i] as number, 12);
      });
    });
  });
});
