import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { bootstrapMean, holm, mean, median, pairedTTest, studentTails } from "./statistics.ts";

describe("Student's t", () => {
  // Values of @stdlib/stats-base-dists-t-cdf 0.2.3, which uses the incomplete beta function.
  test.each([
    [0, 1, 1],
    [1, 1, 0.5],
    [12.706, 1, 0.05000080235813319],
    [2.5, 2, 0.12961172022151082],
    [4.3, 2, 0.05005715411709159],
    [2.5, 3, 0.08770664700806557],
    [2.776, 4, 0.05002277831997643],
    [1.5, 9, 0.167850656057075],
    [8, 9, 0.00002213481680940014],
    [3, 30, 0.005389964065651947],
    [0.1, 7, 0.9231480596047924],
  ])("tails beyond %d at %d degrees hold %d", (t, degrees, expected) => {
    // A probability near 1 is subtracted from 1: a few units of 1e-16 remain, whatever the result's size.
    expect(Math.abs(studentTails(t, degrees) - expected)).toBeLessThan(2e-15);
  });

  test("the paired test agrees with @stdlib/stats-ttest on five pairs", () => {
    const a = [97.9, 98.1, 98.0, 97.7, 98.2];
    const b = [97.5, 97.9, 98.1, 97.2, 97.9];
    // The differences of decimals near 98 carry 1e-14 each.
    expect(pairedTTest(a.map((x, i) => x - (b[i] as number)))).toBeCloseTo(0.0649859103421205, 12);
  });

  test("no difference gives 1, the same difference everywhere counts by signs, one pair gives nothing", () => {
    expect(pairedTTest([0, 0, 0])).toBe(1);
    expect(pairedTTest([0.5, 0.5, 0.5])).toBe(0.25);
    expect(pairedTTest([97.04 - 97, 98.04 - 98])).toBe(0.5);
    expect(pairedTTest([0.5])).toBeNull();
  });
});

describe("Holm's correction", () => {
  test("multiplies in rising order and never falls", () => {
    // 0.01·4, 0.02·3, max(0.03·2, 0.06), max(0.5·1, 0.06): the example worked by hand.
    expect(holm([0.03, 0.01, 0.5, 0.02])).toEqual([0.06, 0.04, 0.5, 0.06]);
  });

  test("stops at 1 and passes over what has no value", () => {
    expect(holm([0.8, null, 0.7])).toEqual([1, null, 1]);
  });
});

describe("bootstrap of the mean", () => {
  const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

  test("agrees with the normal interval where the mean is nearly normal", () => {
    const { mean: centre, low, high } = bootstrapMean(values, mulberry32(1));
    expect(centre).toBe(5.5);
    // Standard error √(8.25/10) = 0.908, so 5.5 ± 1.78; 10,000 resamples leave 0.03 of noise, the steps of 0.1 the rest.
    expect(Math.abs(low - 3.72)).toBeLessThan(0.15);
    expect(Math.abs(high - 7.28)).toBeLessThan(0.15);
  });

  test("is the same for the same seed", () => {
    expect(bootstrapMean(values, mulberry32(7))).toEqual(bootstrapMean(values, mulberry32(7)));
  });

  test("one value is its own interval", () => {
    expect(bootstrapMean([3], mulberry32(1))).toEqual({ mean: 3, low: 3, high: 3 });
  });
});

test("mean and median", () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])).toBe(
    Number.POSITIVE_INFINITY,
  );
});
