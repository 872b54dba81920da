import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { TensorStatistics } from "../inspect.ts";
import { mulberry32 } from "../random.ts";
import { CATALOGUE } from "../testCatalogue.ts";
import { sampleOf } from "./sample.ts";

/** Two blocks in each group of a vector and a matrix, whose blocks begin and end within rows. */
const SHAPES = { vector: [1030], matrix: [11, 100], small: [5] } as const;
/** The step of the row that takes most calls. */
const CALLS = 4;

function draw(random: ReturnType<typeof mulberry32>) {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => {
      const size = shape.reduce<number>((a, b) => a * b, 1);
      return [path, { shape, data: Float32Array.from({ length: size }, () => random.normal()) }];
    }),
  );
}

const dataOf = (leaves: ReturnType<typeof draw>) =>
  Object.fromEntries(Object.entries(leaves).map(([path, { data }]) => [path, data]));

describe("the sample of a step", () => {
  it("is all of a small tensor, and in k steps every element of a larger one once", () => {
    expect(sampleOf(0, 1)).toEqual([]);
    expect(sampleOf(1023, 5)).toEqual([[0, 1023]]);
    for (const [n, k] of [
      [5000, 9],
      [100_003, 195],
      [1_000_000, 1021],
    ] as const) {
      const seen = new Uint8Array(n);
      for (let t = 1; t <= k; t++) {
        for (const [start, end] of sampleOf(n, t)) {
          expect(start % 8).toBe(0);
          for (let i = start; i < end; i++) {
            seen[i]! += 1;
          }
        }
      }
      expect(seen.every((times) => times === 1)).toBe(true);
    }
  });
});

describe.each(CATALOGUE)("%s", (_, optimizer, learningRate) => {
  it.each(["wasm", "js", "evaluate"] as const)(
    "steps to the same bits on %s when sampled",
    (backend) => {
      const [never, sampled] = [false, true].map((inspect) => {
        const random = mulberry32(17);
        const params = draw(random);
        const compiled = compileOptimizer(optimizer, { params, learningRate, backend, inspect });
        const results = Array.from({ length: CALLS }, () =>
          compiled.step(dataOf(draw(random)), { inspect }),
        );
        return { state: compiled.save(), last: results.at(-1)?.statistics };
      });
      expect(sampled?.state).toEqual(never?.state);
      const { matrix, small } = sampled?.last?.tensors ?? {};
      const { elements, sampled: seen, gradient } = matrix as TensorStatistics;
      expect(elements).toBe(1100);
      expect(seen).toBeLessThan(elements);
      // A square root of the mean in float64 against one of the sum.
      expect(Math.abs(gradient.norm / gradient.rms / Math.sqrt(elements) - 1)).toBeLessThan(1e-14);
      expect(small?.sampled).toBe(5);
    },
  );
});
