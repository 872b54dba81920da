/** What a comparison did and found, in sentences. */
import type { Comparison, Entry, ProblemInfo, TrialResult, Verdict } from "../protocol.ts";
import {
  formatCount,
  formatDifference,
  formatMetric,
  formatNumber,
  formatRate,
  formatSeconds,
  listed,
  plural,
} from "./format.ts";

/** `test accuracy` on held-out data is not a test accuracy. */
export function metricTitle(name: string, phase: "tune" | "seed"): string {
  const own = phase === "tune" ? name.replace(/^test /, "held-out ") : name;
  return own.charAt(0).toUpperCase() + own.slice(1);
}

/** One line under the title. */
export function factsOf({ entries, protocol, wallSeconds, trialsDone }: Comparison): string {
  return [
    plural(entries.length, "optimizer"),
    plural(protocol.seeds, "seed"),
    plural(protocol.epochs, "epoch"),
    `${plural(trialsDone, "trial")} in ${formatSeconds(wallSeconds)}`,
  ].join(" · ");
}

/** How it was measured, one sentence an item. */
export function protocolSentences({ problem, protocol, entries }: Comparison): string[] {
  const { trials, tuningEpochs, seeds, epochs, batch, searchSeed } = protocol;
  const tuningSeconds = entries.reduce((sum, e) => sum + secondsOf(e.tuning), 0);
  const runSeconds = entries.reduce((sum, e) => sum + secondsOf(e.runs), 0);
  const heldOut = problem.data.length > 0 ? " and judged on data held out from training" : "";
  return [
    `Equal tuning budget: every optimizer got ${plural(trials, "trial")} of ${plural(tuningEpochs, "epoch")}, at learning rates spread over its own range (log-uniform, one in each of ${formatCount(trials)} equal parts, at the same places for every optimizer; search seed ${searchSeed})${heldOut}; everything else stayed at its defaults.`,
    `Paired seeds: the best rate was then run from ${plural(seeds, "seed")} for ${plural(epochs, "epoch")}, batch ${formatCount(batch)}. Runs with the same seed start from the same parameters and see the same data in the same order.`,
    `Intervals in the table are 95 % percentile bootstrap intervals of the mean over seeds; with few seeds they are narrower than they deserve, and the paired test decides.`,
    `Seconds count training alone; evaluation is left out. Time to target is the median over seeds until ${problem.metric.name} first measured ${formatMetric(problem.target, problem.metric.unit)} or ${problem.metric.better === "higher" ? "more" : "less"}.`,
    `Training took ${formatSeconds(tuningSeconds)} for tuning and ${formatSeconds(runSeconds)} for the seed runs, summed over trials.`,
  ];
}

/** A sentence for each verdict; for none, why there is none. */
export function verdictSentences({ verdicts, problem, entries, protocol }: Comparison): string[] {
  const titles = new Map(entries.map(({ optimizer }) => [optimizer.name, optimizer.title]));
  const titleOf = (name: string): string => titles.get(name) ?? name;
  if (verdicts.length > 0) {
    return verdicts.map((verdict) => sentenceOf(verdict, problem, titleOf));
  }
  const finished = entries.filter((entry) => entry.summary !== null);
  if (finished.length < 2) {
    return ["There is nothing to compare: fewer than two optimizers have a finished run."];
  }
  return [
    protocol.seeds < 2
      ? "No paired test was made: it needs at least two seeds."
      : "No paired test was made.",
  ];
}

function sentenceOf(
  { better, other, meanDifference, pValue, verdict }: Verdict,
  { metric }: ProblemInfo,
  titleOf: (name: string) => string,
): string {
  const gap = formatDifference(Math.abs(meanDifference), metric.unit);
  if (verdict === "better") {
    return `${titleOf(better)} is better than ${titleOf(other)}: ${metric.name} ${gap} ${metric.better} on average over paired seeds (Holm-corrected ${pText(pValue)}).`;
  }
  const why =
    pValue === null
      ? "with fewer than two pairs there is no test"
      : `Holm-corrected ${pText(pValue)}`;
  return `${titleOf(better)} and ${titleOf(other)} are not distinguishable: they differ by ${gap} on average (${why}).`;
}

/** With spaces that do not break. */
function pText(p: number | null): string {
  const text =
    p !== null && p < 0.001 ? "< 0.001" : `= ${formatNumber(Number((p ?? 1).toPrecision(2)))}`;
  return `p ${text}`.replaceAll(" ", "\u00a0");
}

/** What the reader should know before trusting the table: interrupted, diverged, failed, at the edge. */
export function cautions({
  entries,
  interrupted,
  trialsDone,
  trialsPlanned,
}: Comparison): string[] {
  const notes: string[] = [];
  if (interrupted) {
    notes.push(
      `This comparison was interrupted: ${formatCount(trialsDone)} of ${plural(trialsPlanned, "trial")} are done. Figures come from finished trials only, and optimizers may have had unequal budgets.`,
    );
  }
  for (const status of ["diverged", "failed"] as const) {
    const counts = entries.flatMap(({ optimizer, runs }) => {
      const count = countOf(runs, status);
      return count > 0 ? [`${optimizer.title} (${formatCount(count)} of ${runs.length})`] : [];
    });
    if (counts.length > 0) {
      notes.push(`Seed runs that ${status}: ${listed(counts)}. Means are over the others.`);
    }
  }
  const untuned = entries.filter((e) => e.chosenLearningRate === null && e.tuning.length > 0);
  if (untuned.length > 0) {
    notes.push(
      `No tuning trial finished for ${listed(untuned.map((e) => e.optimizer.title))}: there was no rate to run with.`,
    );
  }
  return notes;
}

/** Optimizers whose chosen rate is the smallest or largest that was tried: the range may be too narrow. */
export function edgeSentence(entries: readonly Entry[]): string {
  const edge = entries.flatMap(({ optimizer, chosenLearningRate, tuning }) => {
    const rates = tuning.map((trial) => trial.spec.learningRate);
    const atEdge =
      rates.length > 2 &&
      (chosenLearningRate === Math.min(...rates) || chosenLearningRate === Math.max(...rates));
    return atEdge && chosenLearningRate !== null
      ? [`${optimizer.title} (${formatRate(chosenLearningRate)})`]
      : [];
  });
  return edge.length === 0
    ? ""
    : `The chosen rate is the smallest or largest tried for ${listed(edge)}: more trials or a wider range may do better.`;
}

/** How many of the trials ended like this. */
export function countOf(trials: readonly TrialResult[], status: TrialResult["status"]): number {
  return trials.filter((trial) => trial.status === status).length;
}

/** Seconds of training in all of the trials. */
export function secondsOf(trials: readonly TrialResult[]): number {
  return trials.reduce((sum, trial) => sum + trial.trainSeconds, 0);
}
