import { expect, test } from "vitest";
import type { CurvePoint } from "../protocol.ts";
import { type CurveChoice, curvePlan, ratePlan, type Trial, type View } from "./curves.ts";
import { rangeOf } from "./scale.ts";

const choice: CurveChoice = {
  quantity: "metric",
  against: "step",
  phase: "seed",
  hidden: new Set(),
};

function trial(overrides: Partial<Omit<Trial, "spec">> & { spec?: Partial<Trial["spec"]> }): Trial {
  const { spec, ...rest } = overrides;
  return {
    spec: {
      id: "a/seed/1",
      problem: "p",
      optimizer: "a",
      learningRate: 0.1,
      seed: 1,
      epochs: 1,
      phase: "seed",
      ...spec,
    },
    status: "finished",
    points: [],
    lastMetric: null,
    ...rest,
  };
}

/** Points at the steps given, with the same number as loss, metric and ten times the seconds. */
function points(...pairs: readonly (readonly [step: number, value: number])[]): CurvePoint[] {
  return pairs.map(([step, value]) => ({
    step,
    epoch: 0,
    seconds: step / 10,
    trainLoss: value,
    metric: value,
  }));
}

function view(...trials: readonly Trial[]): View {
  return {
    metric: { name: "accuracy", better: "higher", unit: "%" },
    methods: [
      { name: "a", title: "A", chosen: 0.1 },
      { name: "b", title: "B", chosen: null },
    ],
    trials,
  };
}

test("finished runs become their mean and its Student interval", () => {
  const runs = [1, 2, 3].map((v) => trial({ points: points([10, v], [20, 10 * v]) }));
  const { xs, lines } = curvePlan(view(...runs), choice);
  expect(xs).toEqual([10, 20]);
  expect(lines).toHaveLength(1);
  expect(lines[0]!.values).toEqual([2, 20]);
  // t(0.975, 2) = 4.30265, s = 1, n = 3; the quantile is found to 1e-11.
  expect(lines[0]!.high![0]).toBeCloseTo(2 + 4.302653 / Math.sqrt(3), 5);
  expect(lines[0]!.low![1]).toBeCloseTo(20 - (10 * 4.302653) / Math.sqrt(3), 4);
});

test("a single run has no band", () => {
  const { lines } = curvePlan(view(trial({ points: points([1, 5]) })), choice);
  expect(lines[0]).toMatchObject({ values: [5], emphasis: "mean" });
  expect(lines[0]!.low).toBeUndefined();
});

test("runs with other abscissas are read off between their points, and the mean stops with the shortest", () => {
  const runs = [
    trial({ points: points([0, 0], [20, 20]) }),
    trial({ points: points([0, 10], [10, 30], [30, 30]) }),
  ];
  const { xs, lines } = curvePlan(view(...runs), choice);
  expect(xs).toEqual([0, 10, 20, 30]);
  expect(lines[0]!.values).toEqual([5, 20, 25, null]);
});

test("on a logarithmic axis the mean is geometric and the band stays positive", () => {
  const runs = [0.001, 0.1].map((v) => trial({ points: points([1, v], [2, v]) }));
  const { yScale, lines } = curvePlan(view(...runs), { ...choice, quantity: "trainLoss" });
  expect(yScale).toBe("log");
  // exp and log round in the last bits.
  expect(lines[0]!.values[0]).toBeCloseTo(0.01, 14);
  expect(lines[0]!.low![0]).toBeGreaterThan(0);
});

test("negative losses keep the axis linear", () => {
  const { yScale } = curvePlan(view(trial({ points: points([1, -5], [2, 100]) })), {
    ...choice,
    quantity: "trainLoss",
  });
  expect(yScale).toBe("linear");
});

test("runs that did not finish stay out of the mean and are drawn alone with their end", () => {
  const { lines } = curvePlan(
    view(
      trial({ points: points([1, 1], [2, 1]) }),
      trial({ points: points([1, 900]), status: "diverged", spec: { seed: 2 } }),
      trial({ points: points([1, 3]), status: "running", spec: { seed: 3 } }),
    ),
    choice,
  );
  expect(lines.map(({ label, ending, values }) => [label, ending, values])).toEqual([
    ["A", null, [1, 1]],
    ["A, seed 2", "diverged", [900, null]],
    ["A, seed 3", "running", [3, null]],
  ]);
});

test("a run that diverged lengthens the axis by a quarter at most", () => {
  const steady = trial({ points: points([1, 10], [2, 20]) });
  const astray = trial({ points: points([1, 1e9], [2, 1e12]), status: "diverged" });
  const { yRange, yScale } = curvePlan(view(steady, astray), { ...choice, quantity: "trainLoss" });
  expect(yScale).toBe("linear");
  expect(yRange[1]).toBeLessThan(25);
});

test("points that are not finite, or that JSON made null, are left out", () => {
  const broken = JSON.parse(
    JSON.stringify(points([1, 1], [2, Number.NaN], [3, 3])),
  ) as CurvePoint[];
  const { xs } = curvePlan(view(trial({ points: broken })), { ...choice, quantity: "trainLoss" });
  expect(xs).toEqual([1, 3]);
});

test("tuning trials are lines of their own, named by their rate", () => {
  const tuning = [0.1, 0.01].map((learningRate) =>
    trial({ spec: { phase: "tune", learningRate }, points: points([1, 1]) }),
  );
  const { lines } = curvePlan(view(...tuning), { ...choice, phase: "tune" });
  expect(lines.map(({ label }) => label)).toEqual(["A, 0.1", "A, 0.01"]);
});

test("hidden methods are not shown", () => {
  const plan = curvePlan(view(trial({ points: points([1, 1]) })), {
    ...choice,
    hidden: new Set(["a"]),
  });
  expect(plan.lines).toEqual([]);
});

test("against seconds the abscissas are seconds", () => {
  const plan = curvePlan(view(trial({ points: points([10, 1], [20, 2]) })), {
    ...choice,
    against: "seconds",
  });
  expect(plan.xs).toEqual([1, 2]);
  expect(plan.xLabel).toBe("seconds of training");
});

test("a hundred thousand points are drawn on 1,200 abscissas, ends included", () => {
  const many = trial({
    points: points(...Array.from({ length: 100_000 }, (_, i) => [i, i] as const)),
  });
  const { xs, lines } = curvePlan(view(many), choice);
  expect(xs).toHaveLength(1200);
  expect(lines[0]!.values[0]).toBe(0);
  // Linear interpolation of the identity rounds once or twice.
  expect(lines[0]!.values.at(-1)).toBeCloseTo(99_999, 6);
});

test("a single evaluation is not lost between the abscissas of longer runs", () => {
  const many = trial({
    points: points(...Array.from({ length: 5000 }, (_, i) => [i, i] as const)),
    spec: { phase: "tune" },
  });
  const one = trial({ points: points([17.3, 42]), spec: { phase: "tune", learningRate: 1 } });
  const { lines } = curvePlan(view(many, one), { ...choice, phase: "tune" });
  expect(lines[1]!.values.filter((v) => v !== null)).toEqual([42]);
});

test("rates are drawn in order; the chosen one is marked and divergence stands at the edge", () => {
  const tune = (learningRate: number, lastMetric: number | null): Trial =>
    trial({
      spec: { phase: "tune", learningRate },
      lastMetric,
      status: lastMetric === null ? "diverged" : "finished",
    });
  const plan = ratePlan(view(tune(0.1, 90), tune(0.01, 80), tune(1, null)), new Set());
  expect(plan.xs).toEqual([0.01, 0.1, 1]);
  expect(plan.lines.map(({ values }) => values)).toEqual([[80, 90, null]]);
  expect(plan.marks).toEqual([
    { method: 0, x: 0.1, y: 90, kind: "chosen" },
    { method: 0, x: 1, y: null, kind: "diverged" },
  ]);
});

test("a range holds its values with a margin, also where there is one or none", () => {
  expect(rangeOf([0, 100], "linear")).toEqual([-6, 106]);
  const [low, high] = rangeOf([5, 5], "linear");
  expect(low).toBeLessThan(5);
  expect(high).toBeGreaterThan(5);
  expect(rangeOf([], "log")).toEqual([0.1, 1]);
});
