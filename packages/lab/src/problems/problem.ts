/** What a problem is: data, model, loss, metric and a default budget. */

import type { Leaves } from "@adastra/core";
import type { OptimizerSetting } from "../optimizers.ts";
import type { ProblemInfo, TrialSpec } from "../protocol.ts";

/** A problem that every optimizer can be run on. */
export interface Problem<Data = unknown> {
  readonly info: ProblemInfo;
  /** Examples in a gradient. */
  readonly batch: number;
  /** What a comparison does where its caller says nothing. */
  readonly budget: {
    readonly trials: number;
    readonly seeds: number;
    readonly epochs: number;
    readonly tuningEpochs: number;
  };
  /** How often a run is evaluated in an epoch; time-to-target is no finer. */
  readonly evaluationsPerEpoch: number;
  /** What computes gradients, for the result file. */
  readonly engine: string;
  /** Constants the problem's source fixes; empty: each optimizer's own defaults. */
  readonly setting: OptimizerSetting;
  /** Range of learning rates for every optimizer, where the catalogue's do not apply. */
  readonly learningRates?: readonly [low: number, high: number];
  /** The rate of each step, the same function for every optimizer. */
  schedule(learningRate: number, totalSteps: number): (count: number) => number;
  /** Reads the data, once a comparison; what it returns is sent to every worker. */
  load(): Data;
  /** Compiles model and loss for that data, once a worker. */
  open(data: Data): Promise<OpenProblem>;
}

/** A problem made ready on one thread. */
export interface OpenProblem {
  /** The same initial parameters and the same order of the data for the same seed, whatever the optimizer. */
  readonly start: (trial: Pick<TrialSpec, "seed" | "phase">) => Task;
}

/** One trial's view of a problem. */
export interface Task {
  /** Where training starts. */
  readonly params: Leaves;
  readonly dtype: "float32" | "float64";
  readonly stepsPerEpoch: number;
  /** Moves parameters back into the feasible set, before each gradient. */
  project?(params: Leaves): void;
  /** Writes the gradient of the next batch into `gradients`; resolves to the batch's loss. */
  gradient(params: Leaves, gradients: Leaves): Promise<number>;
  /** While tuning: on data held out from the training set; otherwise on the test set. */
  evaluate(params: Leaves): Promise<{ readonly metric: number; readonly loss?: number }>;
}
