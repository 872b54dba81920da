import { expect, test } from "vitest";
import {
  formatCount,
  formatDifference,
  formatMetric,
  formatNumber,
  formatRate,
  formatSeconds,
  listed,
  plural,
} from "./format.ts";
import { quantile } from "./interval.ts";
import { logTicks } from "./scale.ts";

test("figures are written as a reader expects them", () => {
  expect(formatCount(1234567)).toBe("1,234,567");
  expect([0, 0.012345, 1e-7, -2.5, 1e6, 123456, Number.NaN].map(formatNumber)).toEqual([
    "0",
    "0.01235",
    "1e-7",
    "-2.5",
    "1e6",
    "123500",
    "not finite",
  ]);
  expect([0.00316, 3.16e-5, 0.1].map(formatRate)).toEqual(["0.0032", "3.2e-5", "0.1"]);
  expect(formatMetric(97.8249, "%")).toBe("97.82 %");
  expect(formatMetric(0.5, "")).toBe("0.5");
  expect(formatDifference(0.001, "%")).toBe("less than 0.01 points");
  expect([0.424, 12.34, 99.96, 245, 7800].map(formatSeconds)).toEqual([
    "0.42 s",
    "12.3 s",
    "1 min 40 s",
    "4 min 5 s",
    "2 h 10 min",
  ]);
  expect([plural(1, "run"), plural(2000, "run"), plural(0.25, "epoch")]).toEqual([
    "1 run",
    "2,000 runs",
    "0.25 epochs",
  ]);
  expect([listed(["a"]), listed(["a", "b", "c"])]).toEqual(["a", "a, b and c"]);
});

test("Student's quantiles are those of the tables", () => {
  // Tables give three decimals.
  for (const [degrees, t] of [
    [1, 12.706],
    [2, 4.303],
    [4, 2.776],
    [9, 2.262],
    [30, 2.042],
    [1000, 1.962],
  ] as const) {
    expect(quantile(degrees)).toBeCloseTo(t, 3);
  }
});

test("a logarithmic axis has decades, or 2 and 5 between where they are few", () => {
  expect(logTicks(1e-4, 1.2)).toEqual([1e-4, 1e-3, 1e-2, 0.1, 1]);
  expect(logTicks(0.015, 0.6)).toEqual([0.02, 0.05, 0.1, 0.2, 0.5]);
  expect(logTicks(1e-12, 1e12).length).toBeLessThanOrEqual(8);
});
