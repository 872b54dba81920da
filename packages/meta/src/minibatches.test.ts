import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { minibatches } from "./minibatches.ts";
import { sinusoids } from "./sources/sinusoid.ts";

const sizes = {
  examples: fc.integer({ min: 1, max: 30 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  count: fc.integer({ min: 1, max: 9 }),
  seed: fc.nat(),
};

describe("minibatches", () => {
  it("by epochs: every epoch has every example once, the last batch what is left", () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ examples, batchSize, count, seed }) => {
        const plan = { batchSize, epochs: count };
        const batches = [...minibatches(examples, plan, mulberry32(seed))];
        const perEpoch = Math.ceil(examples / batchSize);
        expect(batches.length).toBe(count * perEpoch);
        for (let epoch = 0; epoch < count; epoch++) {
          const own = batches.slice(epoch * perEpoch, (epoch + 1) * perEpoch);
          expect(own.flat().sort((a, b) => a - b)).toEqual(
            Array.from({ length: examples }, (_, i) => i),
          );
          expect(own.slice(0, -1).every(({ length }) => length === batchSize)).toBe(true);
        }
      }),
    );
  });

  it("by steps: every batch is full, and examples are used as evenly as can be", () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ examples, batchSize, count, seed }) => {
        const plan = { batchSize, steps: count };
        const batches = [...minibatches(examples, plan, mulberry32(seed))];
        expect(batches.map(({ length }) => length)).toEqual(
          Array.from({ length: count }, () => Math.min(batchSize, examples)),
        );
        const used = Array.from(
          { length: examples },
          (_, i) => batches.flat().filter((j) => j === i).length,
        );
        expect(Math.max(...used) - Math.min(...used)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

it("sinusoids: points of a wave of amplitude in [0.1, 5], the same by the same seed", () => {
  const [task] = sinusoids({ shots: 4, queries: 100 }).sample(1, mulberry32(9));
  const [twin] = sinusoids({ shots: 4, queries: 100 }).sample(1, mulberry32(9));
  const batch = task?.batch([2, 0]);
  expect(batch?.x.shape).toEqual([2, 1]);
  expect(batch).toEqual(twin?.batch([2, 0]));
  const { x, y } = task?.query() ?? {};
  const largest = Math.max(...(y?.data ?? []).map(Math.abs));
  const amplitude = Number(/^[\d.]+/.exec(task?.name ?? "")?.[0]);
  expect(x?.data.every((at) => at >= -5 && at <= 5)).toBe(true);
  // The name has three decimals.
  expect(largest).toBeLessThanOrEqual(amplitude + 0.001);
});
