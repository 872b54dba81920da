/** From finished runs to intervals, times and verdicts. */

import { mulberry32 } from "@adastra/core";
import type { Entry, ProblemInfo, TrialResult, Verdict } from "../protocol.ts";
import { bootstrapMean, holm, mean, median, pairedTTest } from "./statistics.ts";

/** Below it, a Holm-corrected p-value makes a difference. */
const significance = 0.05;

/** What an optimizer's runs say; null when none finished. `seed` fixes the bootstrap's draws. */
export function summarise(
  runs: readonly TrialResult[],
  { metric, target }: ProblemInfo,
  seed: number,
): Entry["summary"] {
  const finished = runs.filter((run) => run.status === "finished");
  const last = finished.map((run) => run.lastMetric).filter((value) => value !== null);
  const best = finished.map((run) => run.bestMetric).filter((value) => value !== null);
  if (last.length === 0) {
    return null;
  }
  const reached = finished.map((run) =>
    run.points.find(
      (point) =>
        point.metric !== undefined &&
        (metric.better === "higher" ? point.metric >= target : point.metric <= target),
    ),
  );
  const seconds = median(reached.map((point) => point?.seconds ?? Number.POSITIVE_INFINITY));
  const steps = median(reached.map((point) => point?.step ?? Number.POSITIVE_INFINITY));
  return {
    lastMetric: bootstrapMean(last, mulberry32(seed).fork("last")),
    bestMetric: bootstrapMean(best, mulberry32(seed).fork("best")),
    timeToTarget: Number.isFinite(seconds) ? { seconds, steps } : null,
    trainSeconds: mean(finished.map((run) => run.trainSeconds)),
  };
}

/**
 * Tests the entry with the best mean metric against each other one, paired by seed.
 *
 * The best was picked by the same numbers it is tested on, which flatters it a little; Holm's correction
 * over all pairs it was picked from keeps that in bounds.
 */
export function judge(
  entries: readonly Entry[],
  better: ProblemInfo["metric"]["better"],
): Verdict[] {
  const sign = better === "higher" ? -1 : 1;
  const [best, ...others] = entries
    .filter((entry) => entry.summary !== null)
    .toSorted((a, b) => sign * (metricOf(a) - metricOf(b)));
  if (best === undefined) {
    return [];
  }
  const differences = others.map((other) => pairedDifferences(best, other));
  const pValues = holm(differences.map(pairedTTest));
  return others.map((other, i): Verdict => {
    const pValue = pValues[i] ?? null;
    const paired = differences[i] as number[];
    return {
      better: best.optimizer.name,
      other: other.optimizer.name,
      meanDifference: paired.length > 0 ? mean(paired) : metricOf(best) - metricOf(other),
      pValue,
      verdict: pValue !== null && pValue < significance ? "better" : "not distinguishable",
    };
  });
}

const metricOf = ({ summary }: Entry): number => summary?.lastMetric.mean ?? Number.NaN;

function pairedDifferences(a: Entry, b: Entry): number[] {
  const other = new Map(b.runs.map((run) => [run.spec.seed, run.lastMetric]));
  return a.runs.flatMap((run) => {
    const pair = other.get(run.spec.seed) ?? null;
    return run.lastMetric === null || pair === null ? [] : [run.lastMetric - pair];
  });
}
