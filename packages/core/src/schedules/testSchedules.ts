/** The schedules that every test of all of them runs over. */

import { cosine, cosineRestarts } from "./cosine.ts";
import { exponential, inverseSqrt, linear, polynomial, stepDecay } from "./decay.ts";
import { oneCycle } from "./oneCycle.ts";
import { piecewise, piecewiseConstant } from "./piecewise.ts";
import { reduceOnPlateau } from "./reduceOnPlateau.ts";
import { constant, join, type Schedule } from "./schedules.ts";
import { exponentialWarmup, warmup } from "./warmup.ts";
import { wsd } from "./wsd.ts";

/** One row a schedule, made anew for each run; every kind of it changes within 20 steps. */
export const SCHEDULES: readonly (readonly [string, () => Schedule])[] = [
  ["constant", () => constant(0.05)],
  ["join", () => join([linear(0.01, 5, { endValue: 0.1 }), 0.1, cosine(0.1, 8)], [5, 9])],
  ["cosine", () => cosine(0.1, 18, { endValue: 1e-3, exponent: 1.5 })],
  ["cosineRestarts", () => cosineRestarts(0.1, 4, { tMult: 2, alpha: 0.1 })],
  ["stepDecay", () => stepDecay(0.1, 5, 0.3)],
  ["exponential", () => exponential(0.1, 3, 0.7, { transitionBegin: 2, endValue: 0.01 })],
  ["exponential staircase", () => exponential(0.1, 3, 0.7, { staircase: true })],
  ["polynomial", () => polynomial(0.1, 15, { power: 2.5, endValue: 0.01, transitionBegin: 3 })],
  ["linear", () => linear(0.02, 17, { endValue: 0.1 })],
  ["inverseSqrt", () => inverseSqrt(0.1, 6)],
  ["oneCycle", () => oneCycle(0.1, 19)],
  [
    "oneCycle three phases",
    () => oneCycle(0.1, 19, { threePhase: true, anneal: "linear", divFactor: 5 }),
  ],
  ["piecewiseConstant", () => piecewiseConstant(0.1, { 4: 0.5, 11: 0.2 })],
  ["piecewise", () => piecewise(0.1, { 4: 0.5, 11: 0.2 }, "cosine")],
  ["warmup", () => warmup(6, cosine(0.1, 12))],
  ["exponentialWarmup", () => exponentialWarmup(5, 0.1)],
  ...(["linear", "cosine", "sqrt", "exponential"] as const).map(
    (decay) =>
      [
        `wsd ${decay}`,
        () => wsd(0.1, { warmupSteps: 4, stableSteps: 6, decaySteps: 8, decay, endValue: 0.01 }),
      ] as const,
  ),
  ["reduceOnPlateau", () => reduceOnPlateau(0.1, { patience: 1, factor: 0.5, cooldown: 2 })],
  [
    "reduceOnPlateau absolute max",
    () =>
      reduceOnPlateau(0.1, { mode: "max", thresholdMode: "absolute", patience: 2, factor: 0.7 }),
  ],
];
