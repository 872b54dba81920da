/** Learning rates as plain functions of the steps taken, so that a resumed run continues exactly. */

import { requireCount, requireNonNegative, requireShare } from "../errors.ts";

/** The learning rate of the step after `count` steps; `count` is 0 for the first. */
export type Schedule = (count: number) => number;

/** The same rate for ever. */
export function constant(learningRate: number): Schedule {
  requireNonNegative("constant", "learningRate", learningRate);
  return () => learningRate;
}

/**
 * Half a cosine from `learningRate` to `learningRate·finalFraction` over `steps` steps, the end value after.
 *
 *     α(c) = α₀·(f + (1 − f)·½(1 + cos(π·min(c, T)/T)))
 *
 * @see Loshchilov & Hutter 2017, equation 5 without restarts, https://arxiv.org/abs/1608.03983
 */
export function cosine(learningRate: number, steps: number, finalFraction = 0): Schedule {
  requireNonNegative("cosine", "learningRate", learningRate);
  requireCount("cosine", "steps", steps);
  requireShare("cosine", "finalFraction", finalFraction);
  return (count) => {
    const share = Math.min(count, steps) / steps;
    return (
      learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * share)))
    );
  };
}

/**
 * Linear warm-up to another schedule: step number c < `steps` gets (c + 1)/(steps + 1) of the rate that
 * `then` starts with, later steps get `then(c − steps)`; a number
 * stands for a constant schedule.
 */
export function warmup(steps: number, then: number | Schedule): Schedule {
  requireCount("warmup", "steps", steps);
  const after = typeof then === "number" ? constant(then) : then;
  return (count) => (count < steps ? (after(0) * (count + 1)) / (steps + 1) : after(count - steps));
}
