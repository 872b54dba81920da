/**
 * Half a cosine, once or with warm restarts (SGDR)
 *
 *     α(c) = α_T + (α₀ − α_T)·½(1 + cos(π·x))    x: the share of the period behind
 */

import {
  requireCount,
  requireNonNegative,
  requirePositive,
  requireShare,
  requireThat,
  show,
} from "../errors.ts";
import { blend, progress, remaining } from "./interpolation.ts";
import type { Schedule } from "./schedules.ts";

/** Where a cosine ends; at most one of the two. */
export interface CosineEnd {
  /** The end as a share of the learning rate: α_T = alpha·α₀, in [0, 1], default 0. */
  readonly alpha?: number;
  /** α_T itself, finite and at least 0. */
  readonly endValue?: number;
}

export interface CosineOptions extends CosineEnd {
  /** q, greater than 0, default 1. */
  readonly exponent?: number;
}

/**
 * Half a cosine from `learningRate` to the end value over `steps` steps, the end value after.
 *
 *     α(c) = α_T + (α₀ − α_T)·(½(1 + cos(π·min(c, T)/T)))^q
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param steps - T, an integer of at least 1.
 * @throws RangeError naming the argument that is out of range, TypeError for options that are no object.
 * @remarks torch's CosineAnnealingLR is this with `endValue` = eta_min, but goes up again after T.
 * @see Loshchilov & Hutter 2017, equation 5 without restarts, https://arxiv.org/abs/1608.03983; optax.cosine_decay_schedule
 */
export function cosine(learningRate: number, steps: number, options: CosineOptions = {}): Schedule {
  requireNonNegative("cosine", "learningRate", learningRate);
  requireCount("cosine", "steps", steps);
  const end = endOf("cosine", learningRate, options);
  const { exponent = 1 } = options;
  requirePositive("cosine", "exponent", exponent);
  return (count) => blend(learningRate, end, remaining.cosine(progress(count, steps)) ** exponent);
}

export interface CosineRestartsOptions extends CosineEnd {
  /** T_mult, the factor from one period to the next: an integer of at least 1, default 1. */
  readonly tMult?: number;
}

/**
 * SGDR: half a cosine that starts again from `learningRate` when it has reached the end, each period `tMult`
 * times as long as the one before.
 *
 *     α(c) = α_T + (α₀ − α_T)·½(1 + cos(π·T_cur/Tᵢ))    Tᵢ = T₀·T_multⁱ,  T_cur = c − (T₀ + … + Tᵢ₋₁)
 *
 * The first step of a period has the rate α₀; the end value itself is never reached, since the step that
 * would have it is the first of the next period.
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param steps - T₀, the steps of the first period: an integer of at least 1.
 * @throws RangeError naming the argument that is out of range, TypeError for options that are no object.
 * @see Loshchilov & Hutter 2017, equation 5, https://arxiv.org/abs/1608.03983; torch's CosineAnnealingWarmRestarts
 */
export function cosineRestarts(
  learningRate: number,
  steps: number,
  options: CosineRestartsOptions = {},
): Schedule {
  requireNonNegative("cosineRestarts", "learningRate", learningRate);
  requireCount("cosineRestarts", "steps", steps);
  const end = endOf("cosineRestarts", learningRate, options);
  const { tMult = 1 } = options;
  requireCount("cosineRestarts", "tMult", tMult);
  return (count) => {
    let since = count;
    let period = steps;
    if (tMult === 1) {
      since %= period;
    } else {
      for (; since >= period; period *= tMult) {
        since -= period;
      }
    }
    return blend(learningRate, end, remaining.cosine(since / period));
  };
}

function endOf(where: string, learningRate: number, options: CosineEnd): number {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${where}: options must be an object, got ${show(options)}; pass { alpha: ${show(options)} } for a share of the rate`,
    );
  }
  const { alpha, endValue } = options;
  requireThat(
    alpha === undefined || endValue === undefined,
    where,
    "at most one of `alpha` and `endValue` must be given",
    [alpha, endValue],
  );
  if (endValue !== undefined) {
    requireNonNegative(where, "endValue", endValue);
    return endValue;
  }
  requireShare(where, "alpha", alpha ?? 0);
  return learningRate * (alpha ?? 0);
}
