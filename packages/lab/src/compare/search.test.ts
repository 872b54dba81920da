import { mulberry32 } from "@adastra/core";
import { expect, test } from "vitest";
import type { TrialResult } from "../protocol.ts";
import { chooseLearningRate, logUniform, stratifiedDraws } from "./search.ts";

test("every equal part of [0, 1) gets one draw, the same for the same seed", () => {
  const draws = stratifiedDraws(8, mulberry32(3));
  expect(draws.map((draw) => Math.floor(draw * 8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(stratifiedDraws(8, mulberry32(3))).toEqual(draws);
  expect(stratifiedDraws(8, mulberry32(4))).not.toEqual(draws);
});

test("rates are uniform on a logarithmic scale", () => {
  expect(logUniform([1e-4, 1e-2], 0)).toBe(1e-4);
  expect(logUniform([1e-4, 1e-2], 0.5)).toBe(1e-3);
  expect(logUniform([1, 1], 0.7)).toBe(1);
});

const trial = (
  learningRate: number,
  lastMetric: number | null,
  testLoss = 1,
  status: TrialResult["status"] = "finished",
): TrialResult => ({
  spec: { id: "", problem: "", optimizer: "", learningRate, seed: 0, epochs: 1, phase: "tune" },
  status,
  points: [{ step: 1, epoch: 1, seconds: 1, trainLoss: 1, testLoss }],
  lastMetric,
  bestMetric: lastMetric,
  trainSeconds: 1,
  evaluateSeconds: 1,
});

test("the best finished trial gives the rate, in either direction of better", () => {
  const trials = [trial(1, 90), trial(2, 95), trial(3, null, 0, "diverged"), trial(4, 92)];
  expect(chooseLearningRate(trials, "higher")).toBe(2);
  expect(chooseLearningRate(trials, "lower")).toBe(1);
});

test("equal metrics are told apart by the loss", () => {
  expect(chooseLearningRate([trial(1, 90, 0.4), trial(2, 90, 0.3)], "higher")).toBe(2);
});

test("there is no rate where every trial diverged", () => {
  expect(chooseLearningRate([trial(1, null, 0, "diverged")], "higher")).toBeNull();
});
