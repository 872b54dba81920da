/** Early stopping: training ends when a metric of the validation set has stopped to improve. */

import type { OptimizerState } from "@adastra/core";
import { requireCount, requireThat } from "./checks.ts";

export interface EarlyStoppingOptions {
  /** Name of the metric; default `"loss"`. */
  readonly metric?: string;
  /** Whether lower (`"min"`, default) or higher (`"max"`) is better. */
  readonly mode?: "min" | "max";
  /** Training ends at this many epochs in a row without improvement; an integer of at least 1. */
  readonly patience: number;
  /** What a metric must be better by to count; finite and at least 0, default 0. */
  readonly minDelta?: number;
  /** End with the parameters, the optimizer and the model's state of the best epoch; default true. */
  readonly restoreBest?: boolean;
}

/** The best epoch so far. */
export interface Best {
  readonly epoch: number;
  readonly metric: number;
  /** What to go back to; absent unless it is to be restored. */
  readonly kept?: {
    readonly optimizer: OptimizerState;
    readonly state: Readonly<Record<string, Float32Array>>;
  };
}

export function checkEarlyStopping({
  mode = "min",
  patience,
  minDelta = 0,
}: EarlyStoppingOptions): void {
  requireThat(
    mode === "min" || mode === "max",
    "fit",
    '`earlyStopping.mode` must be one of "min", "max"',
    `"${String(mode)}"`,
  );
  requireCount("fit", "earlyStopping.patience", patience);
  requireThat(
    Number.isFinite(minDelta) && minDelta >= 0,
    "fit",
    "`earlyStopping.minDelta` must be finite and at least 0",
    minDelta,
  );
}

/** Whether a metric is better than the best before; NaN and infinities never are. */
export function improves(
  metric: number,
  best: number | undefined,
  { mode = "min", minDelta = 0 }: EarlyStoppingOptions,
): boolean {
  if (!Number.isFinite(metric) || best === undefined) {
    return Number.isFinite(metric);
  }
  return mode === "min" ? metric < best - minDelta : metric > best + minDelta;
}
