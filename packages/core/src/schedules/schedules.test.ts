import { describe, expect, it } from "vitest";
import { constant, cosine, warmup } from "./schedules.ts";

describe("schedules", () => {
  it("constant stays", () => {
    expect([0, 1, 1e9].map(constant(0.3))).toEqual([0.3, 0.3, 0.3]);
  });

  it("cosine falls from the rate over half a period to the fraction asked for, and stays there", () => {
    const rate = cosine(2, 10, 0.1);
    expect(rate(0)).toBe(2);
    // Half way: the mean of both ends.
    expect(rate(5)).toBeCloseTo(1.1, 14);
    expect(rate(10)).toBeCloseTo(0.2, 14);
    expect(rate(1000)).toBe(rate(10));
  });

  it("warm-up rises in even steps to where the schedule after it starts, and hands over", () => {
    const rate = warmup(3, cosine(1, 10));
    expect([0, 1, 2, 3].map(rate)).toEqual([0.25, 0.5, 0.75, 1]);
    expect(rate(8)).toBe(cosine(1, 10)(5));
    expect([0, 1, 5].map(warmup(1, 0.4))).toEqual([0.2, 0.4, 0.4]);
  });

  it.each([
    [() => constant(-1), "constant: `learningRate` must be finite and at least 0, got -1"],
    [() => cosine(1, 0), "cosine: `steps` must be an integer of at least 1, got 0"],
    [() => cosine(1, 5, 2), "cosine: `finalFraction` must be in [0, 1], got 2"],
    [() => warmup(1.5, 1), "warmup: `steps` must be an integer of at least 1, got 1.5"],
  ])("refuse what is out of range: %#", (act, message) => {
    expect(act).toThrow(message);
  });
});
