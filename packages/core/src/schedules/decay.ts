/**
 * Rates that fall by a closed formula
 *
 *     steps          α₀·γ^⌊c/S⌋
 *     exponential    α₀·r^(k/T)                      k = max(c − B, 0)
 *     polynomial     α_T + (α₀ − α_T)(1 − k/T)ᵖ      k ≤ T
 *     inverse root   α₀·min(t/W, √(W/t))             t = c + 1
 */

import { requireCount, requireFlag, requireNonNegative, requirePositive } from "../errors.ts";
import { blend, progress, remaining, requireSteps } from "./interpolation.ts";
import type { Schedule } from "./schedules.ts";

/**
 * A factor every so many steps.
 *
 *     α(c) = α₀·γ^⌊c/S⌋
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param stepSize - S, the steps between two factors: an integer of at least 1.
 * @param gamma - γ, finite and greater than 0, default 0.1.
 * @throws RangeError naming the argument that is out of range.
 * @remarks torch multiplies the last rate by γ, which rounds once more every time; the power is taken at once here.
 * @see torch.optim.lr_scheduler.StepLR; factors at chosen steps are `piecewiseConstant`
 */
export function stepDecay(learningRate: number, stepSize: number, gamma = 0.1): Schedule {
  requireNonNegative("stepDecay", "learningRate", learningRate);
  requireCount("stepDecay", "stepSize", stepSize);
  requirePositive("stepDecay", "gamma", gamma);
  return (count) => learningRate * gamma ** Math.floor(count / stepSize);
}

export interface ExponentialOptions {
  /** B, the steps before the rate starts to change: an integer of at least 0, default 0. */
  readonly transitionBegin?: number;
  /** Change only every T steps, default false. */
  readonly staircase?: boolean;
  /** Where the rate stops: a lower bound for r < 1, else an upper one; finite and at least 0, default none. */
  readonly endValue?: number;
}

/**
 * Exponential decay, or growth.
 *
 *     α(c) = α₀·r^(k/T)    k = max(c − B, 0); with `staircase` r^⌊k/T⌋
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param steps - T, the steps in which the rate changes by the factor r: an integer of at least 1.
 * @param decayRate - r, finite and greater than 0.
 * @throws RangeError naming the argument that is out of range.
 * @see optax.exponential_decay
 * @example exponential(0.1, 1000, 0.5, { staircase: true }) // halved every 1000 steps
 */
export function exponential(
  learningRate: number,
  steps: number,
  decayRate: number,
  { transitionBegin = 0, staircase = false, endValue }: ExponentialOptions = {},
): Schedule {
  requireNonNegative("exponential", "learningRate", learningRate);
  requireCount("exponential", "steps", steps);
  requirePositive("exponential", "decayRate", decayRate);
  requireSteps("exponential", "transitionBegin", transitionBegin);
  requireFlag("exponential", "staircase", staircase);
  if (endValue !== undefined) {
    requireNonNegative("exponential", "endValue", endValue);
  }
  const bound = decayRate < 1 ? Math.max : Math.min;
  return (count) => {
    const times = Math.max(count - transitionBegin, 0) / steps;
    const rate = learningRate * decayRate ** (staircase ? Math.floor(times) : times);
    return endValue === undefined ? rate : bound(rate, endValue);
  };
}

export interface LinearOptions {
  /** α_T, the rate after the transition, finite and at least 0, default 0; may be above α₀. */
  readonly endValue?: number;
  /** B, the steps before the rate starts to change: an integer of at least 0, default 0. */
  readonly transitionBegin?: number;
}

export interface PolynomialOptions extends LinearOptions {
  /** p, finite and greater than 0, default 1. */
  readonly power?: number;
}

/**
 * A polynomial from one rate to another, the end value after.
 *
 *     α(c) = α_T + (α₀ − α_T)(1 − k/T)ᵖ    k = c − B between 0 and T
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param steps - T, the steps of the transition: an integer of at least 1.
 * @throws RangeError naming the argument that is out of range.
 * @see optax.polynomial_schedule; torch.optim.lr_scheduler.PolynomialLR with α_T = 0
 */
export function polynomial(
  learningRate: number,
  steps: number,
  options: PolynomialOptions = {},
): Schedule {
  return transition("polynomial", learningRate, steps, options);
}

/**
 * A straight line from one rate to another, the end value after: `polynomial` with power 1.
 *
 *     α(c) = α₀ + (α_T − α₀)·k/T    k = c − B between 0 and T
 *
 * @param learningRate - α₀, finite and at least 0.
 * @param steps - T, the steps of the transition: an integer of at least 1.
 * @throws RangeError naming the argument that is out of range.
 * @see optax.linear_schedule
 * @example linear(0, 100, { endValue: 0.1 }) // rises
 */
export function linear(learningRate: number, steps: number, options: LinearOptions = {}): Schedule {
  return transition("linear", learningRate, steps, { ...options, power: 1 });
}

function transition(
  where: string,
  learningRate: number,
  steps: number,
  { endValue = 0, transitionBegin = 0, power = 1 }: PolynomialOptions,
): Schedule {
  requireNonNegative(where, "learningRate", learningRate);
  requireCount(where, "steps", steps);
  requireNonNegative(where, "endValue", endValue);
  requireSteps(where, "transitionBegin", transitionBegin);
  requirePositive(where, "power", power);
  return (count) => {
    const left = remaining.linear(progress(count, steps, transitionBegin));
    return blend(learningRate, endValue, left ** power);
  };
}

/**
 * Linear warm-up, then the inverse square root of the step's number.
 *
 *     α(c) = α₀·min(t/W, √(W/t))    t = c + 1
 *
 * The paper's rate, d^(−½)·min(t^(−½), t·W^(−3/2)), is this one with α₀ = (d·W)^(−½).
 *
 * @param learningRate - α₀, the rate of step number W, the highest: finite and at least 0.
 * @param warmupSteps - W, an integer of at least 1, default 1: no warm-up, α₀/√t.
 * @throws RangeError naming the argument that is out of range.
 * @see Vaswani et al. 2017, equation 3, https://arxiv.org/abs/1706.03762
 */
export function inverseSqrt(learningRate: number, warmupSteps = 1): Schedule {
  requireNonNegative("inverseSqrt", "learningRate", learningRate);
  requireCount("inverseSqrt", "warmupSteps", warmupSteps);
  return (count) => {
    const t = count + 1;
    return learningRate * Math.min(t / warmupSteps, Math.sqrt(warmupSteps / t));
  };
}
