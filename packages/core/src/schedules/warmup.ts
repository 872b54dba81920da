/**
 * Small rates at the beginning
 *
 *     linear         α(c) = α_I + (α₀ − α_I)·c/S        then the schedule after it, from its start
 *     exponential    α(c) = (1 − e^(−(c + 1)/τ))·α'(c)   beside the schedule, for ever
 */

import { requireCount, requireNonNegative, requirePositive } from "../errors.ts";
import { blend, progress, remaining } from "./interpolation.ts";
import { type Schedule, toSchedule } from "./schedules.ts";

export interface WarmupOptions {
  /** α_I, the rate of the first step: finite and at least 0, default α₀/(S + 1), the first of S + 1 even steps up. */
  readonly initValue?: number;
}

/**
 * Linear warm-up to another schedule, which then begins.
 *
 *     α(c) = α_I + (α₀ − α_I)·c/S    for c < S, α₀ the rate that `then` starts with
 *     α(c) = then(c − S)             after
 *
 * Without `initValue` that is α₀·(c + 1)/(S + 1): no step is lost to a rate of 0.
 *
 * @param steps - S, an integer of at least 1.
 * @param then - a number stands for a constant schedule.
 * @throws RangeError naming the argument that is out of range, TypeError for what is not a schedule.
 * @remarks optax.warmup_cosine_decay_schedule is `warmup(S, cosine(peak, T − S), { initValue })`.
 * @see Goyal et al. 2017, section 2.2, https://arxiv.org/abs/1706.02677
 */
export function warmup(
  steps: number,
  then: number | Schedule,
  { initValue }: WarmupOptions = {},
): Schedule {
  requireCount("warmup", "steps", steps);
  const after = toSchedule("warmup", "then", then);
  if (initValue !== undefined) {
    requireNonNegative("warmup", "initValue", initValue);
  }
  return (count) => {
    if (count >= steps) {
      return after(count - steps);
    }
    return initValue === undefined
      ? (after(0) * (count + 1)) / (steps + 1)
      : blend(initValue, after(0), remaining.linear(progress(count, steps)));
  };
}

/**
 * Exponential warm-up: the whole schedule, times a factor that rises from 1/τ or so to 1.
 *
 *     α(c) = (1 − e^(−t/τ))·then(c)    t = c + 1
 *
 * After 3τ steps the factor is 0.95, after 38τ it is 1 to the last bit. `then` is not shifted: it counts
 * from the first step.
 *
 * @param tau - τ in steps, finite and greater than 0; 1/(1 − β₂) needs no tuning beside Adam.
 * @param then - a number stands for a constant schedule.
 * @throws RangeError naming the argument that is out of range, TypeError for what is not a schedule.
 * @remarks For a geometric rise from a to b over S steps, join `exponential(a, S, b / a)` to the schedule after it.
 * @see Ma & Yarats 2021, exponential warm-up, https://arxiv.org/abs/1910.04209; pytorch_warmup's ExponentialWarmup
 */
export function exponentialWarmup(tau: number, then: number | Schedule): Schedule {
  requirePositive("exponentialWarmup", "tau", tau);
  const during = toSchedule("exponentialWarmup", "then", then);
  return (count) => -Math.expm1(-(count + 1) / tau) * during(count);
}
