import { expect, test } from "vitest";
import type { Comparison, Entry, TrialResult } from "../protocol.ts";
import { renderTable } from "./resultTable.ts";

const trial = (optimizer: string, status: TrialResult["status"], reason?: string): TrialResult => ({
  spec: {
    id: `${optimizer}/tune/1`,
    problem: "p",
    optimizer,
    learningRate: 0.5,
    seed: 0,
    epochs: 1,
    phase: "tune",
  },
  status,
  points: [],
  lastMetric: null,
  bestMetric: null,
  trainSeconds: 0,
  evaluateSeconds: 0,
  ...(reason !== undefined && { reason }),
});

const entry = (name: string, metric: number | null, tuning: readonly TrialResult[]): Entry => ({
  optimizer: { name, title: name, paper: "", stateBytes: 0, learningRates: [0.01, 1] },
  tuning,
  chosenLearningRate: metric === null ? null : 0.1,
  runs: [],
  summary:
    metric === null
      ? null
      : {
          lastMetric: { mean: metric, low: metric - 0.1, high: metric + 0.1 },
          bestMetric: { mean: metric, low: metric, high: metric },
          timeToTarget: metric > 97 ? { seconds: 1.5, steps: 900 } : null,
          trainSeconds: 2,
        },
});

const comparison: Comparison = {
  schema: "adastra-comparison/1",
  problem: {
    name: "p",
    title: "A problem",
    metric: { name: "accuracy", better: "higher", unit: "%" },
    parameters: 1,
    data: [{ name: "d", sha256: "0" }],
    target: 97,
  },
  protocol: { trials: 1, seeds: 3, epochs: 2, tuningEpochs: 0.5, batch: 64, searchSeed: 1 },
  environment: {
    adastra: "0",
    node: "20",
    platform: "",
    cpu: "",
    cores: 2,
    optimizerBackend: "wasm",
    engineBackend: "",
  },
  entries: [
    entry("slow", 96.5, [trial("slow", "finished")]),
    entry("wild", null, [trial("wild", "diverged", "the loss became NaN")]),
    entry("good", 97.5, [trial("good", "finished")]),
    entry("near", 97.4, [trial("near", "finished")]),
    entry("lost", null, [trial("lost", "failed", "no engine")]),
  ],
  verdicts: [
    { better: "good", other: "slow", meanDifference: 1, pValue: 0.004, verdict: "better" },
    {
      better: "good",
      other: "near",
      meanDifference: 0.1,
      pValue: null,
      verdict: "not distinguishable",
    },
  ],
  wallSeconds: 12.34,
  trialsDone: 14,
  trialsPlanned: 20,
  interrupted: false,
};

test("the table stands best first, with intervals, verdicts and what went wrong", () => {
  expect(`\n${renderTable(comparison)}`).toBe(`
A problem: accuracy after 2 epochs, mean of 3 seeds [95 % interval]

optimizer  learning rate  accuracy %                   to 97 %           train s  against the best
good       0.1            97.50 [97.40, 97.60]         1.50 s, step 900  2.00     best
near       0.1            97.40 [97.30, 97.50]         1.50 s, step 900  2.00     not distinguishable (too few pairs)
slow       0.1            96.50 [96.40, 96.60]         not reached       2.00     worse (p = 0.0040)
wild       none           every tuning trial diverged
lost       none           failed

Each optimizer: 1 tuning trial of 0.5 epochs on held-out data, then the best rate from the same seeds.
14 of 20 trials in 12.3 s.
diverged: the loss became NaN (rate 0.5)
failed: no engine (rate 0.5)
`);
});

test("lower is better where the problem says so", () => {
  const { problem } = comparison;
  const table = renderTable({
    ...comparison,
    problem: { ...problem, metric: { ...problem.metric, better: "lower" } },
  });
  expect(table.indexOf("slow")).toBeLessThan(table.indexOf("near"));
});
