/**
 * WSD: warm-up, stable, decay
 *
 *     α(c) = α₀·(c + 1)/(W + 1)              c < W
 *     α(c) = α₀                              W ≤ c < W + S
 *     α(c) = α_T + (α₀ − α_T)·f(x)           x = (c − W − S)/D up to 1
 */

import {
  requireCount,
  requireNonNegative,
  requireOneOf,
  requirePositive,
  requireThat,
} from "../errors.ts";
import { blend, progress, remaining, requireSteps } from "./interpolation.ts";
import { join, type Schedule } from "./schedules.ts";
import { warmup } from "./warmup.ts";

export type WsdDecay = "linear" | "cosine" | "sqrt" | "exponential";

export interface WsdOptions {
  /** W, an integer of at least 0, default 0. */
  readonly warmupSteps?: number;
  /** S, an integer of at least 0. */
  readonly stableSteps: number;
  /** D, an integer of at least 1. */
  readonly decaySteps: number;
  /** f: `"linear"` (default) 1 − x, `"cosine"` ½(1 + cos(πx)), `"sqrt"` 1 − √x; `"exponential"` is α₀·(α_T/α₀)ˣ. */
  readonly decay?: WsdDecay;
  /** α_T in [0, α₀], default 0; for exponential decay in (0, α₀], default α₀/10. */
  readonly endValue?: number;
}

/**
 * Warm-up, a constant rate for most of the run, and a short decay at its end; the end value after. A run can
 * be made longer without starting again: from a checkpoint of the stable phase, with more stable steps.
 *
 *     α(c) = α₀·(c + 1)/(W + 1)              c < W
 *     α(c) = α₀                              W ≤ c < W + S
 *     α(c) = α_T + (α₀ − α_T)·f(x)           x = (c − W − S)/D, from there on
 *
 * @param learningRate - α₀, finite and at least 0, above 0 for exponential decay.
 * @throws RangeError naming the argument that is out of range.
 * @remarks The paper leaves the form of f open and decays exponentially with a half-life, which is the same
 * curve named by its end. Its warm-up s/W reaches α₀ one step earlier than `warmup`, which this one is.
 * @see Hu et al. 2024, section 4.2, https://arxiv.org/abs/2404.06395; 1 − √x: Hägele et al. 2024,
 * https://arxiv.org/abs/2405.18392
 * @example wsd(1e-3, { warmupSteps: 100, stableSteps: 800, decaySteps: 100, decay: "sqrt" })
 */
export function wsd(
  learningRate: number,
  { warmupSteps = 0, stableSteps, decaySteps, decay = "linear", endValue }: WsdOptions,
): Schedule {
  requireNonNegative("wsd", "learningRate", learningRate);
  requireSteps("wsd", "warmupSteps", warmupSteps);
  requireSteps("wsd", "stableSteps", stableSteps);
  requireCount("wsd", "decaySteps", decaySteps);
  requireOneOf("wsd", "decay", decay, ["linear", "cosine", "sqrt", "exponential"]);
  if (decay === "exponential") {
    requirePositive("wsd", "learningRate", learningRate);
  }
  const end = endValue ?? (decay === "exponential" ? learningRate / 10 : 0);
  requireThat(
    typeof end === "number" &&
      (decay === "exponential" ? end > 0 : end >= 0) &&
      end <= learningRate,
    "wsd",
    `\`endValue\` must be in ${decay === "exponential" ? "(" : "["}0, ${learningRate}]`,
    end,
  );

  const rate = DECAYS[decay];
  const falling: Schedule = (count) => rate(learningRate, end, progress(count, decaySteps));
  const stable = stableSteps === 0 ? falling : join([learningRate, falling], [stableSteps]);
  return warmupSteps === 0 ? stable : warmup(warmupSteps, stable);
}

const DECAYS: Readonly<Record<WsdDecay, (start: number, end: number, x: number) => number>> = {
  linear: (start, end, x) => blend(start, end, remaining.linear(x)),
  cosine: (start, end, x) => blend(start, end, remaining.cosine(x)),
  sqrt: (start, end, x) => blend(start, end, 1 - Math.sqrt(x)),
  exponential: (start, end, x) => (x === 1 ? end : Math.max(end, start * (end / start) ** x)),
};
