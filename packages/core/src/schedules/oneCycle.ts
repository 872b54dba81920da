/**
 * One cycle: up to a rate that would be too high for long, and down to nearly nothing
 *
 *     α₀/d  →  α₀  →  α₀/(d·f)            at counts 0, p·T − 1, T − 1
 *     α₀/d  →  α₀  →  α₀/d  →  α₀/(d·f)    with three phases, at 0, p·T − 1, 2p·T − 2, T − 1
 */

import {
  requireCount,
  requireFlag,
  requireNonNegative,
  requireOneOf,
  requirePositive,
  requireThat,
} from "../errors.ts";
import { blend, type Interpolation, remaining } from "./interpolation.ts";
import type { Schedule } from "./schedules.ts";

export interface OneCycleOptions {
  /** p, the share of the steps that goes up: in [0, 1], in [0, 0.5] with three phases, default 0.3. */
  readonly pctStart?: number;
  /** d, greater than 0, default 25. */
  readonly divFactor?: number;
  /** f, greater than 0, default 1e4. */
  readonly finalDivFactor?: number;
  /** Between the rates: along a cosine (default) or a line. */
  readonly anneal?: Interpolation;
  /** Down as far as up first, and then to the end, default false. */
  readonly threePhase?: boolean;
}

/**
 * One cycle of `steps` steps with the highest rate `learningRate`; the final rate after.
 *
 *     α(c) = b + (a − b)·½(1 + cos(πx))    cosine, from a to b, x the share of the phase behind
 *     α(c) = a + (b − a)·x                 linear
 *
 * @param learningRate - α₀, the highest rate: finite and at least 0.
 * @param steps - T, an integer of at least 1; step number T has the final rate α₀/(d·f).
 * @throws RangeError naming the argument that is out of range.
 * @remarks As torch's OneCycleLR, whose momentum cycle is not part of a schedule, and which refuses steps after T.
 * optax ends its phases at the whole counts ⌊p·T⌋ and T instead: its cosine_onecycle_schedule is
 * `piecewise(α₀/d, { [⌊p·T⌋]: d, [T]: 1/(d·f) }, "cosine")`, its linear one has a third phase from ⌊0.85·T⌋ on.
 * @see Smith & Topin 2018, https://arxiv.org/abs/1708.07120; torch.optim.lr_scheduler.OneCycleLR
 */
export function oneCycle(
  learningRate: number,
  steps: number,
  {
    pctStart = 0.3,
    divFactor = 25,
    finalDivFactor = 1e4,
    anneal = "cosine",
    threePhase = false,
  }: OneCycleOptions = {},
): Schedule {
  requireNonNegative("oneCycle", "learningRate", learningRate);
  requireCount("oneCycle", "steps", steps);
  requireFlag("oneCycle", "threePhase", threePhase);
  const most = threePhase ? 0.5 : 1;
  requireThat(
    typeof pctStart === "number" && pctStart >= 0 && pctStart <= most,
    "oneCycle",
    `\`pctStart\` must be in [0, ${most}]${threePhase ? " with three phases" : ""}`,
    pctStart,
  );
  requirePositive("oneCycle", "divFactor", divFactor);
  requirePositive("oneCycle", "finalDivFactor", finalDivFactor);
  requireOneOf("oneCycle", "anneal", anneal, ["linear", "cosine"]);

  const initial = learningRate / divFactor;
  const final = initial / finalDivFactor;
  const peak = pctStart * steps - 1;
  const last = steps - 1;
  const phases: readonly Phase[] = threePhase
    ? [
        { begin: 0, end: peak, from: initial, to: learningRate },
        { begin: peak, end: 2 * pctStart * steps - 2, from: learningRate, to: initial },
        { begin: 2 * pctStart * steps - 2, end: last, from: initial, to: final },
      ]
    : [
        { begin: 0, end: peak, from: initial, to: learningRate },
        { begin: peak, end: last, from: learningRate, to: final },
      ];
  const left = remaining[anneal];
  return (count) => {
    const at = Math.min(count, last);
    const phase = phases.find(({ end }) => at <= end);
    if (phase === undefined) {
      return final;
    }
    const { begin, end, from, to } = phase;
    return at === end ? to : blend(from, to, left((at - begin) / (end - begin)));
  };
}

/** From one rate to another between two counts, which need not be whole. */
interface Phase {
  readonly begin: number;
  readonly end: number;
  readonly from: number;
  readonly to: number;
}
