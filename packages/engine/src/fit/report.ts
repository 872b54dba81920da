/** What training tells while it runs, and in the end: plain data, fit for a message to another thread. */

import type { Leaves } from "@adastra/core";
import type { Metrics } from "./metrics.ts";

export interface StepReport {
  /** Steps the optimizer has taken, this one included. */
  readonly step: number;
  /** What `step` will be when all epochs are over. */
  readonly totalSteps: number;
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Mean over the step's rows, at the parameters before it. */
  readonly loss: number;
  /** Means of what the loss function returned beside the loss. */
  readonly aux: Metrics;
  /** Of the next step. */
  readonly learningRate: number;
  /** Since this call of `fit` began to train, and estimated to the end of the last epoch; absent without a clock. */
  readonly elapsedMs?: number;
  readonly remainingMs?: number;
}

export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** Means over the epoch's steps: `loss`, and aux values by name. */
  readonly train: Metrics;
  /** Means over the validation set; absent without one. */
  readonly validation?: Metrics;
  /** Whether the metric of `earlyStopping` is the best so far; absent without it. */
  readonly improved?: boolean;
}

/** What a callback may do beside looking. */
export interface Control {
  /** Ends training once the callback has returned, with a checkpoint where there is a directory. */
  readonly stop: () => void;
}

export interface FitResult {
  /**
   * `"finished"`: all epochs; `"stoppedEarly"`: by `earlyStopping`; `"stopped"`: by a callback; `"aborted"`: by the
   * signal.
   */
  readonly status: "finished" | "stoppedEarly" | "stopped" | "aborted";
  /** Steps the optimizer has taken, those before and those after the best epoch included. */
  readonly step: number;
  /** Epochs that are complete. */
  readonly epochs: number;
  /** One report a complete epoch, those before a checkpoint included. */
  readonly history: readonly EpochReport[];
  /** The best epoch by the metric of `earlyStopping`. */
  readonly best?: { readonly epoch: number; readonly metric: number };
  /** The parameters to evaluate the model with, copied: `optimizer.evaluationParams()`. */
  readonly params: Leaves;
}
