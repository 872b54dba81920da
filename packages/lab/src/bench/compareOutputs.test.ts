import { expect, test } from "vitest";
import { checkOutputs, relativeDifference } from "./compareOutputs.ts";

const check = { name: "Adam", against: "the loop", tolerance: 0.1, reason: "rounding" };

test("a comparison that holds says what was compared and how far it was off", () => {
  expect(checkOutputs("bench", [1, 2.1], [1, 2], check)).toEqual({
    ...check,
    compared: 2,
    difference: expect.closeTo(0.05, 12) as number,
  });
});

test.each([
  [[1, 2.5], [1, 2], "bench: Adam must agree with the loop within 0.1, got 0.25"],
  [[1, NaN], [1, 2], "bench: Adam must agree with the loop within 0.1, got NaN"],
  [[NaN, NaN], [NaN, NaN], "bench: Adam must agree with the loop within 0.1, got NaN"],
  [[1], [1, 2], "bench: Adam must agree with the loop within 0.1, got 1 numbers for 2"],
  [[], [], "bench: Adam must agree with the loop within 0.1, got 0"],
])("%j for %j is refused", (values, expected, message) => {
  expect(() => checkOutputs("bench", values, expected, check)).toThrow(message);
});

test("the difference is relative to the largest number, and 0 of equal zeros", () => {
  expect(relativeDifference([0, 5], [1, 4])).toBe(0.25);
  expect(relativeDifference([0, 0], [0, 0])).toBe(0);
});
