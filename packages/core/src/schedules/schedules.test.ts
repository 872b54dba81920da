import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { sgd } from "../optimizers/sgd.ts";
import * as cosines from "./cosine.ts";
import { cosine, cosineRestarts } from "./cosine.ts";
import * as decays from "./decay.ts";
import { exponential, inverseSqrt, linear, polynomial, stepDecay } from "./decay.ts";
import * as cycles from "./oneCycle.ts";
import { oneCycle } from "./oneCycle.ts";
import * as pieces from "./piecewise.ts";
import { piecewise, piecewiseConstant } from "./piecewise.ts";
import type { PlateauSchedule } from "./reduceOnPlateau.ts";
import * as plateaus from "./reduceOnPlateau.ts";
import * as schedules from "./schedules.ts";
import { constant, join, type Schedule } from "./schedules.ts";
import { SCHEDULES } from "./testSchedules.ts";
import * as warmups from "./warmup.ts";
import { exponentialWarmup, warmup } from "./warmup.ts";
import * as wsds from "./wsd.ts";
import { wsd } from "./wsd.ts";

/** Every schedule there is; `toSchedule` makes none of its own. */
const { toSchedule: _, ...plain } = schedules;
const ALL = {
  ...cosines,
  ...decays,
  ...cycles,
  ...pieces,
  ...plateaus,
  ...plain,
  ...warmups,
  ...wsds,
};

describe("the rows of schedules", () => {
  it("have one for each, and each changes within 20 steps unless it is constant", () => {
    const named = new Set(SCHEDULES.map(([name]) => name.split(" ")[0]));
    expect(named).toEqual(new Set(Object.keys(ALL)));
    for (const [name, make] of SCHEDULES) {
      const rate = make();
      const rates = Array.from({ length: 20 }, (_, count) => {
        // A metric that is the same at every report improves once.
        (rate as Partial<PlateauSchedule>).report?.(1);
        return rate(count);
      });
      expect(new Set(rates).size === 1).toBe(name === "constant");
    }
  });
});

const never = (value: unknown): never => value as never;

describe("schedules by hand", () => {
  it("constant stays", () => {
    expect([0, 1, 1e9].map(constant(0.3))).toEqual([0.3, 0.3, 0.3]);
  });

  it("cosine falls from the rate over half a period to the share asked for, and stays there", () => {
    const rate = cosine(2, 10, { alpha: 0.1 });
    expect(rate(0)).toBe(2);
    // Half way: the mean of both ends.
    expect(rate(5)).toBeCloseTo(1.1, 14);
    expect(rate(10)).toBe(0.2);
    expect(rate(1000)).toBe(0.2);
    expect(cosine(2, 10, { endValue: 0.7 })(10)).toBe(0.7);
  });

  it("cosineRestarts begins again at the full rate, after periods that grow", () => {
    const rate = cosineRestarts(1, 2, { tMult: 3 });
    expect([0, 2, 8, 26].map(rate)).toEqual([1, 1, 1, 1]);
    // Half way through periods of 2, 6 and 18 steps.
    expect(rate(1)).toBeCloseTo(0.5, 15);
    expect(rate(5)).toBeCloseTo(0.5, 15);
    expect(rate(17)).toBeCloseTo(0.5, 15);
  });

  it("stepDecay and a staircase of the same size agree", () => {
    const steps = stepDecay(0.8, 10, 0.5);
    expect([0, 9, 10, 19, 20].map(steps)).toEqual([0.8, 0.8, 0.4, 0.4, 0.2]);
    const staircase = exponential(0.8, 10, 0.5, { staircase: true });
    expect([0, 9, 10, 19, 20].map(staircase)).toEqual([0.8, 0.8, 0.4, 0.4, 0.2]);
  });

  it("linear ignores a power, polynomial takes it", () => {
    expect(linear(1, 4, never({ power: 2 }))(2)).toBe(0.5);
    expect(polynomial(1, 4, { power: 2 })(2)).toBe(0.25);
  });

  it("piecewiseConstant multiplies factors, piecewise reaches the same rates in between", () => {
    const scales = { 10: 0.5, 4: 0.5 };
    expect([0, 3, 4, 9, 10, 99].map(piecewiseConstant(8, scales))).toEqual([8, 8, 4, 4, 2, 2]);
    expect([0, 2, 4, 7, 10, 99].map(piecewise(8, scales))).toEqual([8, 6, 4, 3, 2, 2]);
    expect(piecewise(8, scales, "cosine")(2)).toBeCloseTo(6, 14);
    expect(piecewiseConstant(8, {})(5)).toBe(8);
  });

  it("warm-up rises in even steps to where the schedule after it starts, and hands over", () => {
    const rate = warmup(3, cosine(1, 10));
    expect([0, 1, 2, 3].map(rate)).toEqual([0.25, 0.5, 0.75, 1]);
    expect(rate(8)).toBe(cosine(1, 10)(5));
    expect([0, 1, 5].map(warmup(1, 0.4))).toEqual([0.2, 0.4, 0.4]);
    expect([0, 1, 2, 3].map(warmup(2, 1, { initValue: 0 }))).toEqual([0, 0.5, 1, 1]);
  });

  it("exponentialWarmup multiplies a schedule that goes on underneath, and vanishes after 38 τ", () => {
    const rate = exponentialWarmup(100, cosine(1, 10_000));
    expect(rate(99)).toBeCloseTo((1 - 1 / Math.E) * cosine(1, 10_000)(99), 15);
    expect(rate(3799)).toBe(cosine(1, 10_000)(3799));
  });

  it("oneCycle has its highest rate at the share asked for and its final one at the last step", () => {
    const rate = oneCycle(1, 10, { divFactor: 4, finalDivFactor: 8, anneal: "linear" });
    expect([0, 1, 2, 9, 10, 1000].map(rate)).toEqual([0.25, 0.625, 1, 1 / 32, 1 / 32, 1 / 32]);
    const three = oneCycle(1, 10, { divFactor: 4, anneal: "linear", threePhase: true });
    expect([0, 2, 4].map(three)).toEqual([0.25, 1, 0.25]);
  });

  it("oneCycle is defined where a phase has no length", () => {
    // p·T = 1: the phase up ends where it begins, where torch divides by zero.
    expect(oneCycle(1, 10, { pctStart: 0.1 })(0)).toBe(1);
    expect(oneCycle(1, 10, { pctStart: 1 })(9)).toBe(1);
    expect(oneCycle(1, 1)(0)).toBe(1 / 25 / 1e4);
    expect(oneCycle(1, 10, { pctStart: 0 })(9)).toBe(1 / 25 / 1e4);
    // 2p·T − 2 = T − 2: the last phase is one step.
    expect(oneCycle(1, 10, { pctStart: 0.5, threePhase: true })(9)).toBe(1 / 25 / 1e4);
  });

  it("inverseSqrt has its highest rate at step number W, and without warm-up at the first", () => {
    expect([0, 1, 3, 15].map(inverseSqrt(1, 4))).toEqual([0.25, 0.5, 1, 0.5]);
    expect([0, 3].map(inverseSqrt(1))).toEqual([1, 0.5]);
  });

  it("wsd warms up, stays, and decays in the form asked for", () => {
    const plan = { warmupSteps: 1, stableSteps: 2, decaySteps: 4 };
    expect([0, 1, 2, 3, 4, 5, 7, 99].map(wsd(1, plan))).toEqual([0.5, 1, 1, 1, 0.75, 0.5, 0, 0]);
    expect(wsd(1, { ...plan, decay: "cosine" })(5)).toBeCloseTo(0.5, 15);
    expect(wsd(1, { ...plan, decay: "sqrt" })(4)).toBe(0.5);
    expect(wsd(1, { ...plan, decay: "exponential", endValue: 1 / 16 })(5)).toBe(0.25);
    expect(wsd(1, { ...plan, decay: "exponential" })(7)).toBe(0.1);
    expect(wsd(1, { stableSteps: 0, decaySteps: 4 })(0)).toBe(1);
  });

  it("join starts each schedule anew at its boundary", () => {
    const rate = join([3, linear(2, 4), 1], [2, 6]);
    expect([0, 1, 2, 3, 5, 6, 99].map(rate)).toEqual([3, 3, 2, 1.5, 0.5, 1, 1]);
  });

  it("a rate that is not a number is refused at the step that would take it, and nothing has moved", () => {
    const params = { x: { shape: [1], data: Float32Array.of(1) } };
    // 0·∞: a growing rate of zero, once its factor has left the numbers.
    const learningRate: Schedule = exponential(0, 1, 1e300);
    const optimizer = compileOptimizer(sgd(), { params, learningRate });
    optimizer.step({ x: Float32Array.of(1) });
    optimizer.step({ x: Float32Array.of(1) });
    expect(() => optimizer.step({ x: Float32Array.of(1) })).toThrow(
      "step: the learning rate of step 3 must be finite and at least 0, got NaN",
    );
    expect(optimizer.count).toBe(2);
    expect(optimizer.params.x?.data[0]).toBe(1);
  });
});

describe("schedules refuse, in one sentence", () => {
  it.each<readonly [() => unknown, string]>([
    [() => constant(-1), "constant: `learningRate` must be finite and at least 0, got -1"],
    [() => constant(never("1")), 'constant: `learningRate` must be finite and at least 0, got "1"'],

    [() => stepDecay(NaN, 1), "stepDecay: `learningRate` must be finite and at least 0, got NaN"],
    [() => stepDecay(1, 0), "stepDecay: `stepSize` must be an integer of at least 1, got 0"],
    [() => stepDecay(1, 1, 0), "stepDecay: `gamma` must be finite and greater than 0, got 0"],

    [
      () => exponential(-1, 1, 1),
      "exponential: `learningRate` must be finite and at least 0, got -1",
    ],
    [
      () => exponential(1, 0.5, 1),
      "exponential: `steps` must be an integer of at least 1, got 0.5",
    ],
    [
      () => exponential(1, 1, -2),
      "exponential: `decayRate` must be finite and greater than 0, got -2",
    ],
    [
      () => exponential(1, 1, 1, { transitionBegin: -1 }),
      "exponential: `transitionBegin` must be an integer of at least 0, got -1",
    ],
    [
      () => exponential(1, 1, 1, { staircase: never(1) }),
      "exponential: `staircase` must be true or false, got 1",
    ],
    [
      () => exponential(1, 1, 1, { endValue: Infinity }),
      "exponential: `endValue` must be finite and at least 0, got Infinity",
    ],

    [
      () => polynomial(Infinity, 1),
      "polynomial: `learningRate` must be finite and at least 0, got Infinity",
    ],
    [() => polynomial(1, 0), "polynomial: `steps` must be an integer of at least 1, got 0"],
    [
      () => polynomial(1, 1, { power: 0 }),
      "polynomial: `power` must be finite and greater than 0, got 0",
    ],
    [
      () => polynomial(1, 1, { endValue: -1 }),
      "polynomial: `endValue` must be finite and at least 0, got -1",
    ],
    [
      () => polynomial(1, 1, { transitionBegin: 0.5 }),
      "polynomial: `transitionBegin` must be an integer of at least 0, got 0.5",
    ],
    [() => linear(-1, 1), "linear: `learningRate` must be finite and at least 0, got -1"],
    [() => linear(1, 0), "linear: `steps` must be an integer of at least 1, got 0"],
    [
      () => linear(1, 1, { endValue: NaN }),
      "linear: `endValue` must be finite and at least 0, got NaN",
    ],
    [
      () => linear(1, 1, { transitionBegin: -3 }),
      "linear: `transitionBegin` must be an integer of at least 0, got -3",
    ],

    [() => inverseSqrt(-1), "inverseSqrt: `learningRate` must be finite and at least 0, got -1"],
    [() => inverseSqrt(1, 0), "inverseSqrt: `warmupSteps` must be an integer of at least 1, got 0"],

    [() => cosine(-1, 1), "cosine: `learningRate` must be finite and at least 0, got -1"],
    [() => cosine(1, 0), "cosine: `steps` must be an integer of at least 1, got 0"],
    [() => cosine(1, 5, { alpha: 2 }), "cosine: `alpha` must be in [0, 1], got 2"],
    [
      () => cosine(1, 5, { endValue: -1 }),
      "cosine: `endValue` must be finite and at least 0, got -1",
    ],
    [
      () => cosine(1, 5, { alpha: 0.1, endValue: 0.2 }),
      "cosine: at most one of `alpha` and `endValue` must be given, got 0.1,0.2",
    ],
    [
      () => cosine(1, 5, { exponent: 0 }),
      "cosine: `exponent` must be finite and greater than 0, got 0",
    ],
    [
      () => cosine(1, 5, never(0.1)),
      "cosine: options must be an object, got 0.1; pass { alpha: 0.1 } for a share of the rate",
    ],

    [
      () => cosineRestarts(-1, 1),
      "cosineRestarts: `learningRate` must be finite and at least 0, got -1",
    ],
    [() => cosineRestarts(1, 0), "cosineRestarts: `steps` must be an integer of at least 1, got 0"],
    [
      () => cosineRestarts(1, 5, { tMult: 1.5 }),
      "cosineRestarts: `tMult` must be an integer of at least 1, got 1.5",
    ],
    [
      () => cosineRestarts(1, 5, { alpha: -1 }),
      "cosineRestarts: `alpha` must be in [0, 1], got -1",
    ],

    [
      () => piecewiseConstant(-1, {}),
      "piecewiseConstant: `learningRate` must be finite and at least 0, got -1",
    ],
    [
      () => piecewiseConstant(1, { 0: 0.1 }),
      'piecewiseConstant: boundaries must be integers of at least 1, got "0"',
    ],
    [
      () => piecewiseConstant(1, never({ soon: 0.1 })),
      'piecewiseConstant: boundaries must be integers of at least 1, got "soon"',
    ],
    [
      () => piecewiseConstant(1, { 5: -0.1 }),
      "piecewiseConstant: `boundariesAndScales[5]` must be finite and at least 0, got -0.1",
    ],
    [
      () => piecewiseConstant(1, never(7)),
      "piecewiseConstant: `boundariesAndScales` must be factors by count, got 7; pass an object such as { 1000: 0.1 }",
    ],
    [
      () => piecewise(1, never([0.1])),
      "piecewise: `boundariesAndScales` must be factors by count, got a list; pass an object such as { 1000: 0.1 }",
    ],
    [
      () => piecewise(1, { 5: 1 }, never("cubic")),
      'piecewise: `interpolation` must be one of "linear", "cosine", got "cubic"',
    ],

    [() => warmup(1.5, 1), "warmup: `steps` must be an integer of at least 1, got 1.5"],
    [() => warmup(1, -1), "warmup: `then` must be finite and at least 0, got -1"],
    [
      () => warmup(1, never("cosine")),
      'warmup: `then` must be a number or a schedule, got "cosine"',
    ],
    [
      () => warmup(1, 1, { initValue: -1 }),
      "warmup: `initValue` must be finite and at least 0, got -1",
    ],
    [
      () => exponentialWarmup(0, 1),
      "exponentialWarmup: `tau` must be finite and greater than 0, got 0",
    ],
    [
      () => exponentialWarmup(1, never(undefined)),
      "exponentialWarmup: `then` must be a number or a schedule, got undefined",
    ],

    [() => oneCycle(-1, 1), "oneCycle: `learningRate` must be finite and at least 0, got -1"],
    [() => oneCycle(1, 0), "oneCycle: `steps` must be an integer of at least 1, got 0"],
    [() => oneCycle(1, 9, { pctStart: 1.1 }), "oneCycle: `pctStart` must be in [0, 1], got 1.1"],
    [
      () => oneCycle(1, 9, { pctStart: 0.6, threePhase: true }),
      "oneCycle: `pctStart` must be in [0, 0.5] with three phases, got 0.6",
    ],
    [
      () => oneCycle(1, 9, { divFactor: 0 }),
      "oneCycle: `divFactor` must be finite and greater than 0, got 0",
    ],
    [
      () => oneCycle(1, 9, { finalDivFactor: NaN }),
      "oneCycle: `finalDivFactor` must be finite and greater than 0, got NaN",
    ],
    [
      () => oneCycle(1, 9, { anneal: never("cos") }),
      'oneCycle: `anneal` must be one of "linear", "cosine", got "cos"',
    ],
    [
      () => oneCycle(1, 9, { threePhase: never("yes") }),
      'oneCycle: `threePhase` must be true or false, got "yes"',
    ],

    [
      () => wsd(-1, { stableSteps: 1, decaySteps: 1 }),
      "wsd: `learningRate` must be finite and at least 0, got -1",
    ],
    [
      () => wsd(0, { stableSteps: 1, decaySteps: 1, decay: "exponential" }),
      "wsd: `learningRate` must be finite and greater than 0, got 0",
    ],
    [
      () => wsd(1, { warmupSteps: -1, stableSteps: 1, decaySteps: 1 }),
      "wsd: `warmupSteps` must be an integer of at least 0, got -1",
    ],
    [
      () => wsd(1, never({ decaySteps: 1 })),
      "wsd: `stableSteps` must be an integer of at least 0, got undefined",
    ],
    [
      () => wsd(1, { stableSteps: 1, decaySteps: 0 }),
      "wsd: `decaySteps` must be an integer of at least 1, got 0",
    ],
    [
      () => wsd(1, { stableSteps: 1, decaySteps: 1, decay: never("step") }),
      'wsd: `decay` must be one of "linear", "cosine", "sqrt", "exponential", got "step"',
    ],
    [
      () => wsd(1, { stableSteps: 1, decaySteps: 1, endValue: 2 }),
      "wsd: `endValue` must be in [0, 1], got 2",
    ],
    [
      () => wsd(1, { stableSteps: 1, decaySteps: 1, decay: "exponential", endValue: 0 }),
      "wsd: `endValue` must be in (0, 1], got 0",
    ],

    [() => join([], []), "join: `schedules` must be a list of at least one schedule, got none"],
    [
      () => join(never(0.1), []),
      "join: `schedules` must be a list of at least one schedule, got 0.1",
    ],
    [
      () => join([1, never("x")], [1]),
      'join: `schedules[1]` must be a number or a schedule, got "x"',
    ],
    [() => join([1, -1], [1]), "join: `schedules[1]` must be finite and at least 0, got -1"],
    [() => join([1, 2], []), "join: `boundaries` must be one fewer than the 2 schedules, got 0"],
    [
      () => join([1, 2], never(5)),
      "join: `boundaries` must be one fewer than the 2 schedules, got 5",
    ],
    [
      () => join([1, 2, 3], [4, 4]),
      "join: `boundaries` must be increasing integers of at least 1, got 4,4",
    ],
    [
      () => join([1, 2], [0]),
      "join: `boundaries` must be increasing integers of at least 1, got 0",
    ],
  ])("%#", (act, message) => {
    let thrown: unknown;
    try {
      act();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Error);
    expect((thrown as Error).message).toBe(message);
  });
});
