import { describe, expect, test } from "vitest";
import type { Problem, Task } from "../problems/problem.ts";
import type { TrialEvent, TrialSpec } from "../protocol.ts";
import { runTrial } from "./trial.ts";

/** ½(x − seed)², 100 steps an epoch; the metric is x. */
function parabola(overrides: Partial<Task> = {}): Problem<null> {
  return {
    info: {
      name: "parabola",
      title: "Parabola",
      metric: { name: "x", better: "lower", unit: "" },
      parameters: 1,
      data: [],
      target: 0,
    },
    batch: 1,
    budget: { trials: 1, seeds: 1, epochs: 1, tuningEpochs: 1 },
    evaluationsPerEpoch: 1,
    engine: "formula",
    setting: {},
    schedule: (learningRate) => () => learningRate,
    load: () => null,
    open: () =>
      Promise.resolve({
        start: ({ seed }) => ({
          params: { x: { shape: [], data: new Float64Array(1) } },
          dtype: "float64",
          stepsPerEpoch: 100,
          gradient: (params, gradients) => {
            const away = (params.x?.data[0] ?? 0) - seed;
            gradients.x?.data.fill(away);
            return Promise.resolve(0.5 * away ** 2);
          },
          evaluate: (params) => Promise.resolve({ metric: params.x?.data[0] as number, loss: 1 }),
          ...overrides,
        }),
      }),
  };
}

const spec: TrialSpec = {
  id: "sgd/seed/1",
  problem: "parabola",
  optimizer: "sgd",
  learningRate: 0.1,
  seed: 4,
  epochs: 2,
  phase: "seed",
};

/** A millisecond a look. */
function ticking() {
  let now = 0;
  return { now: () => now++ };
}

async function run(
  problem: Problem<null>,
  signal?: { aborted: boolean },
  changes: Partial<TrialSpec> = {},
) {
  const events: TrialEvent[] = [];
  const result = await runTrial(
    { ...spec, ...changes },
    {
      problem: problem as Problem,
      open: await problem.open(null),
      clock: ticking(),
      onEvent: (event) => {
        events.push(event);
      },
      ...(signal !== undefined && { signal }),
    },
  );
  return { result, events };
}

describe("a trial", () => {
  test("takes stepsPerEpoch x epochs steps and evaluates after each epoch", async () => {
    const { result, events } = await run(parabola());
    expect(events[0]).toMatchObject({ kind: "started", totalSteps: 200 });
    expect(result.status).toBe("finished");
    // x after t steps of x ← x − 0.1 (x − 4) from 0 is 4 (1 − 0.9ᵗ); two hundred roundings of 1e-16 each.
    expect(result.lastMetric).toBeCloseTo(4 * (1 - 0.9 ** 200), 12);
    expect(
      result.points.filter(({ metric }) => metric !== undefined).map(({ step }) => step),
    ).toEqual([100, 200]);
    expect(result.bestMetric).toBeCloseTo(4 * (1 - 0.9 ** 100), 12);
  });

  test("evaluates where the method says to: at Schedule-Free's average, not where it takes gradients", async () => {
    const { result } = await run(parabola(), undefined, { optimizer: "schedulefree-sgd" });
    let [x, y, z] = [0, 0, 0];
    for (let t = 1; t <= 200; t++) {
      z -= 0.1 * (y - 4);
      x += (z - x) / t;
      y = 0.9 * x + 0.1 * z;
    }
    // Two hundred steps of roundings of 4e-16.
    expect(result.lastMetric).toBeCloseTo(x, 11);
    expect(Math.abs(x - y)).toBeGreaterThan(1e-4);
  });

  test("draws about twenty points an epoch, the mean loss since the one before", async () => {
    const { result } = await run(parabola());
    expect(result.points.length).toBe(40);
    const losses = [0, 1, 2, 3, 4].map((t) => 8 * 0.81 ** t);
    // Five losses near 8 in a mean.
    expect(result.points[0]?.trainLoss).toBeCloseTo(losses.reduce((a, b) => a + b) / 5, 12);
  });

  test("evaluates a run as often as the problem says, a tuning trial at its end only", async () => {
    const problem = { ...parabola(), evaluationsPerEpoch: 3 };
    const evaluated = async (changes: Partial<TrialSpec>) =>
      (await run(problem, undefined, changes)).result.points
        .filter(({ metric }) => metric !== undefined)
        .map(({ step }) => step);
    expect(await evaluated({ epochs: 1.5 })).toEqual([34, 68, 100, 134, 150]);
    expect(await evaluated({ epochs: 0.5, phase: "tune" })).toEqual([50]);
  });

  test("leaves evaluation out of the points' time", async () => {
    const { result } = await run(parabola());
    // The clock ticks once a look: start to stop is 1 ms a stretch, 40 stretches, and 1 ms an evaluation.
    expect(result.trainSeconds).toBeCloseTo(0.04, 12);
    expect(result.evaluateSeconds).toBeCloseTo(0.002, 12);
    expect(result.points.at(-1)?.seconds).toBeCloseTo(0.04, 12);
  });

  test("projects before each gradient", async () => {
    const box = parabola({
      project: ({ x }) => {
        x?.data.fill(Math.min(1, x.data[0] ?? 0));
      },
    });
    const { result } = await run(box);
    // Held at 1, the last step goes 0.1·3 beyond.
    expect(result.lastMetric).toBeCloseTo(1.3, 12);
  });

  test("ends as diverged at a loss that is not finite, with what was there", async () => {
    let calls = 0;
    const { result } = await run(
      parabola({ gradient: () => Promise.resolve(++calls > 30 ? Number.NaN : 1) }),
    );
    expect(result.status).toBe("diverged");
    expect(result.reason).toBe(
      'runTrial: the loss must be finite, got NaN at step 31 of "sgd/seed/1"; lower the learning rate',
    );
    expect(result.lastMetric).toBeNull();
    expect(result.points.length).toBe(6);
  });

  test("ends as diverged at an evaluation that is not finite", async () => {
    const { result } = await run(
      parabola({ evaluate: () => Promise.resolve({ metric: 9, loss: Number.POSITIVE_INFINITY }) }),
    );
    expect(result.status).toBe("diverged");
    expect(result.reason).toMatch(/must be finite, got 9 with loss Infinity after step 100/);
  });

  test("stops before its next step when told to, and keeps its points", async () => {
    const signal = { aborted: false };
    let calls = 0;
    const { result } = await run(
      parabola({
        gradient: () => {
          signal.aborted = ++calls === 50;
          return Promise.resolve(1);
        },
      }),
      signal,
    );
    expect(result.status).toBe("interrupted");
    expect(result.points.at(-1)?.step).toBe(50);
  });
});
