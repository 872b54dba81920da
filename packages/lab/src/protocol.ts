/** What runner, command line, report and studio tell each other: plain JSON, versioned. */

/** One training run that a worker can do on its own. */
export interface TrialSpec {
  /** Unique in a comparison, readable: `"adam/tune/2"`, `"adam/seed/1"`. */
  readonly id: string;
  readonly problem: string;
  readonly optimizer: string;
  readonly learningRate: number;
  /** Seeds initialisation and order of the data; paired runs share it. */
  readonly seed: number;
  readonly epochs: number;
  readonly phase: "tune" | "seed";
}

/** One point of a curve; taken several times an epoch. */
export interface CurvePoint {
  /** Optimizer steps taken. */
  readonly step: number;
  readonly epoch: number;
  /** Training time so far, evaluation excluded. */
  readonly seconds: number;
  /** Mean training loss since the point before. */
  readonly trainLoss: number;
  /** Present where the problem was evaluated: at the end of each epoch, at least. */
  readonly testLoss?: number;
  /** The problem's metric, in its own unit. */
  readonly metric?: number;
}

export interface TrialResult {
  readonly spec: TrialSpec;
  /** `diverged`: loss or gradient was not finite; the points up to then are kept. */
  readonly status: "finished" | "diverged" | "failed" | "interrupted";
  readonly points: readonly CurvePoint[];
  /** The metric after the last epoch; null when it did not get there. */
  readonly lastMetric: number | null;
  readonly bestMetric: number | null;
  /** Seconds of training and of evaluation. */
  readonly trainSeconds: number;
  readonly evaluateSeconds: number;
  /** One sentence when `failed` or `diverged`. */
  readonly reason?: string;
}

/** What a trial reports while it runs. */
export type TrialEvent =
  | {
      readonly kind: "started";
      readonly spec: TrialSpec;
      readonly totalSteps: number;
      /** What runs the optimizer's step on this machine: `"wasm"`, `"js"` or `"evaluate"`. */
      readonly optimizerBackend: string;
    }
  | { readonly kind: "point"; readonly id: string; readonly point: CurvePoint }
  | { readonly kind: "finished"; readonly result: TrialResult };

export interface ProblemInfo {
  readonly name: string;
  readonly title: string;
  readonly metric: {
    readonly name: string;
    readonly better: "higher" | "lower";
    readonly unit: "%" | "";
  };
  /** Parameters of the model. */
  readonly parameters: number;
  /** The norm of the whole gradient that it is clipped to, before any optimizer sees it; absent where it is not. */
  readonly clip?: number;
  /** Data sets used, with the hash of their decompressed bytes. */
  readonly data: readonly { readonly name: string; readonly sha256: string }[];
  /** The metric that time-to-target is measured to. */
  readonly target: number;
}

export interface OptimizerInfo {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** Bytes of float32 state a parameter. */
  readonly stateBytes: number;
  /** The range that learning rates are drawn from, log-uniform. */
  readonly learningRates: readonly [low: number, high: number];
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** One optimizer's part of a comparison. */
export interface Entry {
  readonly optimizer: OptimizerInfo;
  readonly tuning: readonly TrialResult[];
  /** The learning rate with the best tuning metric; null when every trial diverged. */
  readonly chosenLearningRate: number | null;
  readonly runs: readonly TrialResult[];
  /** Over the runs that finished; null until at least one did. */
  readonly summary: {
    readonly lastMetric: Interval;
    readonly bestMetric: Interval;
    /** Median seconds and steps until the target metric was first measured, a run that never got there being the slowest; null where the median is such a run. */
    readonly timeToTarget: { readonly seconds: number; readonly steps: number } | null;
    /** Mean seconds of training in a run, evaluation excluded. */
    readonly trainSeconds: number;
  } | null;
}

/** A paired comparison, over the seeds that both finished, of the entry with the best mean metric with another. */
export interface Verdict {
  readonly better: string;
  readonly other: string;
  /** Metric of `better` minus metric of `other`. */
  readonly meanDifference: number;
  /** Of the paired t-test, Holm-corrected over the verdicts of the comparison; null with fewer than two pairs. */
  readonly pValue: number | null;
  readonly verdict: "better" | "not distinguishable";
}

export interface Comparison {
  readonly schema: "adastra-comparison/1";
  readonly problem: ProblemInfo;
  readonly protocol: {
    readonly trials: number;
    readonly seeds: number;
    readonly epochs: number;
    readonly tuningEpochs: number;
    readonly batch: number;
    readonly searchSeed: number;
  };
  readonly environment: {
    readonly adastra: string;
    readonly node: string;
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
    readonly optimizerBackend: string;
    readonly engineBackend: string;
  };
  readonly entries: readonly Entry[];
  readonly verdicts: readonly Verdict[];
  /** Wall-clock seconds of the whole comparison, and how many trials of how many were finished. */
  readonly wallSeconds: number;
  readonly trialsDone: number;
  readonly trialsPlanned: number;
  readonly interrupted: boolean;
}
