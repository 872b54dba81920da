/** The one schedule with a state: the rate falls when a metric has stopped to improve. */

import { requireNonNegative, requireOneOf, requireThat, show } from "../errors.ts";
import { requireSteps } from "./interpolation.ts";
import type { Schedule } from "./schedules.ts";

export interface ReduceOnPlateauOptions {
  /** Whether lower (`"min"`, default) or higher (`"max"`) is better. */
  readonly mode?: "min" | "max";
  /** What the rate is multiplied by, in (0, 1), default 0.1. */
  readonly factor?: number;
  /** Reports without improvement that are borne; one more reduces. An integer of at least 0, default 10. */
  readonly patience?: number;
  /** θ, what counts as an improvement: at least 0, below 1 where relative; default 1e-4. */
  readonly threshold?: number;
  /** Whether θ is a share of the best metric (`"relative"`, default) or a difference (`"absolute"`). */
  readonly thresholdMode?: "relative" | "absolute";
  /** Reports after a reduction that do not count as bad, an integer of at least 0, default 0. */
  readonly cooldown?: number;
  /** The rate never falls below it: finite and at least 0, default 0. */
  readonly minRate?: number;
  /** A reduction by no more than this is not made: finite and at least 0, default 1e-8. */
  readonly eps?: number;
}

/** Between two reports; JSON-serialisable. */
export interface PlateauState {
  readonly learningRate: number;
  /** The best metric so far, null before the first. */
  readonly best: number | null;
  /** Reports without improvement since the best one, or since the last reduction. */
  readonly badReports: number;
  readonly cooldownLeft: number;
}

/** A schedule that also takes metrics: as a function it gives the current rate, whatever the count. */
export interface PlateauSchedule extends Schedule {
  /**
   * Takes the metric of an evaluation, and reduces the rate when it is time.
   *
   * @returns the rate from now on.
   * @throws TypeError for what is not a number. NaN and infinities are reports without improvement.
   */
  readonly report: (metric: number) => number;
  /** The state, copied: save it with the optimizer's. */
  readonly save: () => PlateauState;
  /** @throws TypeError for what `save` did not return. Nothing has changed then. */
  readonly restore: (state: PlateauState) => void;
}

/**
 * Multiplies the rate by `factor` when `patience` reports in a row have brought no improvement and another
 * one brings none.
 *
 *     improved:  m < best·(1 − θ)   or   m < best − θ       "min", relative or absolute
 *                m > best·(1 + θ)   or   m > best + θ       "max"
 *     bad ← 0 when improved or in cooldown, else bad + 1
 *     bad > patience:  α ← max(α·factor, minRate), cooldown begins, bad ← 0
 *
 * State: rate, best metric and two counts, in `save()`. All other schedules are functions of the step count,
 * and a resumed run needs nothing of them; of this one it needs `restore`.
 *
 * @param learningRate - the rate to begin with, finite and at least 0.
 * @throws RangeError naming the option that is out of range.
 * @remarks As torch, also where the metric is below 0: a relative threshold then takes a little worse for
 * better; use an absolute one. Unlike torch, an infinite metric is never the best.
 * @see torch.optim.lr_scheduler.ReduceLROnPlateau
 * @example
 * const learningRate = reduceOnPlateau(0.1, { patience: 3 });
 * const optimizer = compileOptimizer(adam(), { params, learningRate });
 * learningRate.report(validationLoss); // after each epoch
 */
export function reduceOnPlateau(
  learningRate: number,
  {
    mode = "min",
    factor = 0.1,
    patience = 10,
    threshold = 1e-4,
    thresholdMode = "relative",
    cooldown = 0,
    minRate = 0,
    eps = 1e-8,
  }: ReduceOnPlateauOptions = {},
): PlateauSchedule {
  requireNonNegative("reduceOnPlateau", "learningRate", learningRate);
  requireOneOf("reduceOnPlateau", "mode", mode, ["min", "max"]);
  requireThat(
    typeof factor === "number" && factor > 0 && factor < 1,
    "reduceOnPlateau",
    "`factor` must be in (0, 1)",
    factor,
  );
  requireSteps("reduceOnPlateau", "patience", patience);
  requireOneOf("reduceOnPlateau", "thresholdMode", thresholdMode, ["relative", "absolute"]);
  requireNonNegative("reduceOnPlateau", "threshold", threshold);
  requireThat(
    thresholdMode === "absolute" || threshold < 1,
    "reduceOnPlateau",
    "`threshold` must be in [0, 1) where it is relative",
    threshold,
  );
  requireSteps("reduceOnPlateau", "cooldown", cooldown);
  requireNonNegative("reduceOnPlateau", "minRate", minRate);
  requireNonNegative("reduceOnPlateau", "eps", eps);

  let state: PlateauState = { learningRate, best: null, badReports: 0, cooldownLeft: 0 };

  const improves = (metric: number, best: number | null): boolean => {
    if (!Number.isFinite(metric) || best === null) {
      return Number.isFinite(metric);
    }
    const margin = mode === "min" ? -threshold : threshold;
    const bar = thresholdMode === "relative" ? best * (1 + margin) : best + margin;
    return mode === "min" ? metric < bar : metric > bar;
  };

  const report = (metric: number): number => {
    if (typeof metric !== "number") {
      throw new TypeError(`report: the metric must be a number, got ${show(metric)}`);
    }
    const improved = improves(metric, state.best);
    const cooling = state.cooldownLeft > 0;
    const badReports = improved || cooling ? 0 : state.badReports + 1;
    const reduce = badReports > patience;
    const lower = Math.max(state.learningRate * factor, minRate);
    state = {
      learningRate: reduce && state.learningRate - lower > eps ? lower : state.learningRate,
      best: improved ? metric : state.best,
      badReports: reduce ? 0 : badReports,
      cooldownLeft: reduce ? cooldown : Math.max(state.cooldownLeft - 1, 0),
    };
    return state.learningRate;
  };

  return Object.assign((): number => state.learningRate, {
    report,
    save: (): PlateauState => ({ ...state }),
    restore: (saved: PlateauState): void => {
      state = checkState(saved);
    },
  });
}

function checkState(saved: PlateauState): PlateauState {
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
  const ok =
    typeof saved === "object" &&
    saved !== null &&
    Number.isFinite(saved.learningRate) &&
    saved.learningRate >= 0 &&
    (saved.best === null || Number.isFinite(saved.best)) &&
    isCount(saved.badReports) &&
    isCount(saved.cooldownLeft);
  if (!ok) {
    throw new TypeError(
      `restore: \`state\` must be what save() of a reduceOnPlateau returned, got ${typeof saved === "object" ? JSON.stringify(saved) : show(saved)}`,
    );
  }
  const { learningRate, best, badReports, cooldownLeft } = saved;
  return { learningRate, best, badReports, cooldownLeft };
}
