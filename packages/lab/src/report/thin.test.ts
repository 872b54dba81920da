import fc from "fast-check";
import { expect, test } from "vitest";
import type { CurvePoint } from "../protocol.ts";
import { mergePoints, thinPoints } from "./thin.ts";

const point = (step: number, trainLoss: number, metric?: number): CurvePoint => ({
  step,
  epoch: 0,
  seconds: step,
  trainLoss,
  ...(metric !== undefined && { metric }),
});

test("a merged point carries the mean loss over the steps of both", () => {
  // Ten steps at 1, then thirty at 5: 160 / 40.
  expect(mergePoints(0, point(10, 1), point(40, 5)).trainLoss).toBe(4);
});

test("thinning keeps the total loss, the end and the bound", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          loss: fc.integer({ min: -50, max: 50 }),
          steps: fc.integer({ min: 1, max: 9 }),
        }),
        { minLength: 1, maxLength: 200 },
      ),
      fc.integer({ min: 2, max: 40 }),
      (stretches, limit) => {
        let step = 0;
        const points = stretches.map(({ loss, steps }) => point((step += steps), loss));
        const thin = thinPoints(points, limit);
        const total = (ps: readonly CurvePoint[]): number =>
          ps.reduce((sum, p, i) => sum + p.trainLoss * (p.step - (ps[i - 1]?.step ?? 0)), 0);
        expect(thin.length).toBeLessThanOrEqual(Math.max(limit, 1));
        expect(thin.at(-1)!.step).toBe(step);
        // A few roundings of sums of at most 200 * 9 * 50.
        expect(total(thin)).toBeCloseTo(total(points), 8);
      },
    ),
  );
});

test("an evaluation gives way to a later one only", () => {
  const points = Array.from({ length: 64 }, (_, i) => point(i + 1, 1, i === 20 ? 7 : undefined));
  expect(
    thinPoints(points, 8)
      .filter((p) => p.metric === 7)
      .map((p) => p.step),
  ).toEqual([21]);
});

test("a loss that is not finite stays so", () => {
  expect(mergePoints(0, point(1, Number.NaN), point(2, 1)).trainLoss).toBeNaN();
});
