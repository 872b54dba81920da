import { describe, expect, it } from "vitest";
import { mulberry32 } from "../random.ts";
import { adam } from "./adam.ts";
import { radam } from "./radam.ts";
import { draws, paramsOf } from "./testSteps.ts";

const rhoAt = (b2: number, t: number): number =>
  2 / (1 - b2) - 1 - (2 * t * b2 ** t) / (1 - b2 ** t);

const rectification = (b2: number, t: number): number => {
  const [rho, rhoInf] = [rhoAt(b2, t), 2 / (1 - b2) - 1];
  return Math.sqrt(((rho - 4) * (rho - 2) * rhoInf) / ((rhoInf - 4) * (rhoInf - 2) * rho));
};

/** The step that momentum alone takes: α m̂. */
function momentumSteps(
  gradients: readonly (readonly number[])[],
  b1: number,
  learningRate: number,
): readonly (readonly number[])[] {
  let m = gradients[0]?.map(() => 0) ?? [];
  return gradients.map((g, step) => {
    m = m.map((value, i) => b1 * value + (1 - b1) * (g[i] as number));
    return m.map((value) => (learningRate * value) / (1 - b1 ** (step + 1)));
  });
}

/** How far each step goes, from parameters that start at zero. */
const moves = (params: readonly (readonly number[])[]): readonly (readonly number[])[] =>
  params.map((row, t) => row.map((p, i) => (t === 0 ? 0 : (params[t - 1]?.[i] as number)) - p));

describe.each(["torch", "optax"] as const)("radam, %s", (convention) => {
  it("takes the first five steps as un-adapted momentum with β₂ = 0.999, and not the sixth", () => {
    expect(rhoAt(0.999, 5)).toBeLessThan(5);
    expect(rhoAt(0.999, 6)).toBeGreaterThan(5);
    const gradients = draws(mulberry32(1), 6, 4);
    const own = moves(paramsOf(radam({ convention }), [0, 0, 0, 0], gradients, 0.1));
    momentumSteps(gradients, 0.9, 0.1).forEach((row, t) => {
      row.forEach((step, i) => {
        if (t < 5) {
          // Numbers of order 1 after some roundings.
          expect(own[t]?.[i]).toBeCloseTo(step, 14);
        } else {
          // The first adaptive step is rectified to 2 % of Adam's length.
          expect(Math.abs((own[t]?.[i] as number) / step)).toBeLessThan(0.1);
        }
      });
    });
  });

  it("never adapts with β₂ up to 2/3, where ρ∞ is at most 5", () => {
    const gradients = draws(mulberry32(2), 60, 3);
    const own = moves(paramsOf(radam({ convention, b2: 0.66 }), [0, 0, 0], gradients, 0.1));
    momentumSteps(gradients, 0.9, 0.1).forEach((row, t) => {
      row.forEach((step, i) => {
        // Differences of numbers of order 1.
        expect(own[t]?.[i]).toBeCloseTo(step, 14);
      });
    });
  });

  it("without ε steps r times as far as Adam once it adapts, and r rises to 1", () => {
    const gradients = draws(mulberry32(3), 2000, 2);
    const b2 = 0.99;
    const own = moves(paramsOf(radam({ convention, b2, eps: 0 }), [0, 0], gradients, 1e-3));
    const adams = moves(paramsOf(adam({ b2, eps: 0 }), [0, 0], gradients, 1e-3));
    for (const t of [6, 7, 50, 2000]) {
      const r = rectification(b2, t);
      own[t - 1]?.forEach((step, i) => {
        const reference = (adams[t - 1]?.[i] as number) * r;
        // Steps of 1e-3 read off parameters of order 0.1: 1e-17 of rounding.
        expect(Math.abs(step - reference)).toBeLessThan(1e-16);
      });
    }
    expect(rectification(b2, 50)).toBeLessThan(rectification(b2, 2000));
    // What is left of β₂ᵗ at t = 2000: 1 − r is below 1e-7.
    expect(rectification(b2, 2000)).toBeCloseTo(1, 6);
  });
});

it("radam: two steps by hand, un-adapted and adaptive", () => {
  // ρ∞ = 255; the second step has ρ = 1.99, so the rectified form is checked at t = 6 of one value. ρ is what is left of
  // numbers near 250, so β₂⁶ must be exact, not as an engine's power rounds it: 1 − 2⁻⁷ has powers of 7 bits each.
  const [b1, b2, eps, g] = [0.5, 1 - 2 ** -7, 0.25, 2];
  const gradients = Array.from({ length: 6 }, () => [g, -g]);
  const torch = moves(paramsOf(radam({ b1, b2, eps }), [0, 0], gradients, 1));
  const optax = moves(paramsOf(radam({ b1, b2, eps, convention: "optax" }), [0, 0], gradients, 1));
  // m̂ = g whatever t
  for (const [first, second] of [torch, optax]) {
    expect(first).toEqual([2, -2]);
    expect(second).toEqual([2, -2]);
  }
  const c2 = 1 - b2 ** 6;
  const r = rectification(b2, 6);
  // v̂ = g², v = c₂ g²; five un-adapted steps have brought the parameter to 10, whose rounding is 1e-15.
  expect(torch[5]?.[0]).toBeCloseTo((r * g * Math.sqrt(c2)) / (Math.sqrt(c2) * g + eps), 14);
  expect(optax[5]?.[0]).toBeCloseTo((r * g) / (g + eps), 14);
});
