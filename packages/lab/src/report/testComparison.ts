/** A made-up comparison for tests: curves from a formula and seeded noise, no training behind them. */
import { mulberry32, type Random } from "@adastra/core";
import { judge, summarise } from "../compare/summary.ts";
import type {
  Comparison,
  CurvePoint,
  Entry,
  ProblemInfo,
  TrialResult,
  TrialSpec,
} from "../protocol.ts";

export interface TestComparisonOptions {
  /** Default 7. */
  readonly optimizers?: number;
  /** Default 4; the last run of the last optimizer diverges. */
  readonly seeds?: number;
  /** Default 5. */
  readonly epochs?: number;
  /** Default 8. */
  readonly pointsPerEpoch?: number;
}

const names = [
  ["sgd", "SGD, momentum 0.9", "Polyak 1964", 4, 0.01, 1],
  ["adam", "Adam", "Kingma & Ba 2015", 8, 1e-4, 1e-2],
  ["adashift", "AdaShift", "Zhou et al. 2019", 44, 1e-4, 1e-2],
  ["adai", "Adai", "Xie et al. 2022", 12, 0.01, 1],
  ["fastadabelief", "FastAdaBelief", "Zhou et al. 2021", 8, 1e-3, 1e-1],
  ["cprop", "CProp (SGD)", "Preechakul & Kijsirikul 2019", 8, 0.01, 1],
  ["amsgrad", "AMSGrad", "Reddi et al. 2018", 12, 1e-4, 1e-2],
  ["adamw", "AdamW", "Loshchilov & Hutter 2019", 8, 1e-4, 1e-2],
  ["sadam", "SAdam", "Wang et al. 2020", 8, 1e-3, 1e-1],
] as const;

const problem: ProblemInfo = {
  name: "synthetic",
  title: "Synthetic curves for tests (not a result)",
  metric: { name: "test accuracy", better: "higher", unit: "%" },
  parameters: 269_322,
  data: [
    { name: "made-up images", sha256: "0".repeat(64) },
    { name: "made-up labels", sha256: "1".repeat(64) },
  ],
  target: 97,
};

export function testComparison({
  optimizers = 7,
  seeds = 4,
  epochs = 5,
  pointsPerEpoch = 8,
}: TestComparisonOptions = {}): Comparison {
  const random = mulberry32(7);
  const trials = 5;
  const tuningEpochs = 1;
  const entries = names.slice(0, optimizers).map((row, index): Entry => {
    const [name, title, paper, stateBytes, low, high] = row;
    const skill = random.next();
    const rates = Array.from({ length: trials }, (_, i) => {
      const share = (i + random.next()) / trials;
      return Number((low * (high / low) ** share).toPrecision(3));
    });
    const run = (spec: TrialSpec, badness: number): TrialResult =>
      testTrial(spec, { random, skill, badness, pointsPerEpoch, stepTime: 1 + index / 9 });
    const spec = { problem: problem.name, optimizer: name };
    const tuning = rates.map((learningRate, i) => {
      const id = `${name}/tune/${i + 1}`;
      // The best place is two thirds up the range; the largest rate of every third method diverges.
      const badness = i === trials - 1 && index % 3 === 0 ? 2 : Math.abs(i / (trials - 1) - 0.66);
      return run(
        { ...spec, id, learningRate, seed: 0, epochs: tuningEpochs, phase: "tune" },
        badness,
      );
    });
    const chosenLearningRate = rates[3] ?? null;
    const runs = Array.from({ length: seeds }, (_, i) => {
      const id = `${name}/seed/${i + 1}`;
      const badness = index === optimizers - 1 && i === seeds - 1 ? 2 : 0;
      const learningRate = rates[3] ?? low;
      return run({ ...spec, id, learningRate, seed: i + 1, epochs, phase: "seed" }, badness);
    });
    const optimizer = { name, title, paper, stateBytes, learningRates: [low, high] as const };
    const summary = summarise(runs, problem, 1);
    return { optimizer, tuning, chosenLearningRate, runs, summary };
  });
  const trialsDone = optimizers * (trials + seeds);
  return {
    schema: "adastra-comparison/1",
    problem,
    protocol: { trials, seeds, epochs, tuningEpochs, batch: 128, searchSeed: 1 },
    environment: {
      adastra: "0.1.0",
      node: "v20.20.2",
      platform: "linux x64",
      cpu: "a made-up processor",
      cores: 2,
      optimizerBackend: "wasm",
      engineBackend: "cpu",
    },
    entries,
    verdicts: judge(entries, problem.metric.better),
    wallSeconds: 83.4,
    trialsDone,
    trialsPlanned: trialsDone,
    interrupted: false,
  };
}

interface Shape {
  readonly random: Random;
  readonly skill: number;
  /** 0 is the best rate; above 1 the run diverges halfway. */
  readonly badness: number;
  readonly pointsPerEpoch: number;
  readonly stepTime: number;
}

function testTrial(
  spec: TrialSpec,
  { random, skill, badness, pointsPerEpoch, stepTime }: Shape,
): TrialResult {
  const stepsPerPoint = 60;
  const total = spec.epochs * pointsPerEpoch;
  const diverges = badness > 1;
  const luck = 0.25 * random.normal();
  const points: CurvePoint[] = [];
  for (let i = 1; i <= (diverges ? Math.ceil(total / 2) : total); i++) {
    const time = i / pointsPerEpoch;
    const speed = (5 + 4 * skill) * Math.exp(-3 * badness);
    const growth = diverges ? Math.exp(0.4 * i) : 1;
    const loss = (2.3 / (1 + speed * time ** 1.3)) * growth;
    const metric = diverges
      ? 10
      : 98 + skill + 0.15 * luck - 40 * badness ** 2 - 5 / (1 + 3 * time);
    points.push({
      step: i * stepsPerPoint,
      epoch: time,
      seconds: (i * stepTime * (1 + 0.02 * random.next())) / 9,
      trainLoss: loss * Math.exp(0.12 * random.normal() + 0.3 * luck),
      ...(i % pointsPerEpoch === 0 && { testLoss: loss, metric: metric + 0.1 * random.normal() }),
    });
  }
  const metrics = points.flatMap((p) => (p.metric === undefined ? [] : [p.metric]));
  return {
    spec,
    status: diverges ? "diverged" : "finished",
    points,
    lastMetric: diverges ? null : (metrics.at(-1) ?? null),
    bestMetric: diverges || metrics.length === 0 ? null : Math.max(...metrics),
    trainSeconds: points.at(-1)?.seconds ?? 0,
    evaluateSeconds: 0.1,
    ...(diverges && { reason: `loss was not finite at step ${points.length * stepsPerPoint + 1}` }),
  };
}
