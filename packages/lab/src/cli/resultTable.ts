/** The table a comparison ends with. */

import type { Comparison, Entry, Interval, ProblemInfo, Verdict } from "../protocol.ts";

/** Aligned text, best first, with the protocol above and what it took below. */
export function renderTable(comparison: Comparison): string {
  const { problem, protocol, entries, verdicts } = comparison;
  const { name: metric, unit, better } = problem.metric;
  const sign = better === "higher" ? -1 : 1;
  const sorted = entries.toSorted(
    (a, b) =>
      Number(a.summary === null) - Number(b.summary === null) ||
      sign * ((a.summary?.lastMetric.mean ?? 0) - (b.summary?.lastMetric.mean ?? 0)),
  );
  const rows = [
    [
      "optimizer",
      "learning rate",
      `${metric}${unit && ` ${unit}`}`,
      `to ${problem.target}${unit && ` ${unit}`}`,
      "train s",
      "against the best",
    ],
    ...sorted.map((entry) => {
      const { summary } = entry;
      const head = [entry.optimizer.name, entry.chosenLearningRate?.toString() ?? "none"];
      if (summary === null) {
        return [...head, whyNothing(entry, comparison.problem), "", "", ""];
      }
      const { lastMetric, timeToTarget, trainSeconds } = summary;
      return [
        ...head,
        interval(lastMetric),
        timeToTarget === null
          ? "not reached"
          : `${timeToTarget.seconds.toFixed(2)} s, step ${Math.round(timeToTarget.steps)}`,
        trainSeconds.toFixed(2),
        against(verdicts, entry.optimizer.name),
      ];
    }),
  ];
  const unfinished = entries
    .flatMap(({ tuning, runs }) => [...tuning, ...runs])
    .filter(({ status }) => status === "failed" || status === "diverged");
  return [
    `${problem.title}: ${metric} after ${count(protocol.epochs, "epoch")}, mean of ${count(protocol.seeds, "seed")} [95 % interval]`,
    "",
    ...align(rows),
    "",
    `Each optimizer: ${count(protocol.trials, "tuning trial")} of ${count(protocol.tuningEpochs, "epoch")}${problem.data.length > 0 ? " on held-out data" : ""}, then the best rate from the same seeds.`,
    `${comparison.trialsDone} of ${comparison.trialsPlanned} trials in ${comparison.wallSeconds.toFixed(1)} s${comparison.interrupted ? ", interrupted: the table holds what was finished" : ""}.`,
    ...unfinished.map(
      ({ spec, status, reason }) => `${status}: ${reason ?? spec.id} (rate ${spec.learningRate})`,
    ),
    "",
  ].join("\n");
}

function whyNothing(
  { tuning, runs, chosenLearningRate }: Entry,
  { metric: { better, unit } }: ProblemInfo,
): string {
  const all = [...tuning, ...runs];
  if (all.length > 0 && all.every(({ status }) => status === "failed")) {
    return "failed";
  }
  if (chosenLearningRate !== null) {
    const metrics = tuning.map(({ lastMetric }) => lastMetric).filter((value) => value !== null);
    const best = better === "higher" ? Math.max(...metrics) : Math.min(...metrics);
    return `tuning only: ${decimals(best)}${unit && ` ${unit}`} on held-out data, best of ${metrics.length}`;
  }
  return tuning.some(({ status }) => status === "diverged")
    ? "every tuning trial diverged"
    : "no finished trial";
}

function against(verdicts: readonly Verdict[], name: string): string {
  const verdict = verdicts.find(({ other }) => other === name);
  if (verdict === undefined) {
    return "best";
  }
  const p = verdict.pValue === null ? "too few pairs" : pText(verdict.pValue);
  return verdict.verdict === "better" ? `worse (${p})` : `not distinguishable (${p})`;
}

function pText(p: number): string {
  return p < 0.001 ? "p < 0.001" : `p = ${p.toPrecision(2)}`;
}

function interval({ mean, low, high }: Interval): string {
  const digits = decimalsOf(mean);
  return `${mean.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}

function decimals(value: number): string {
  return value.toFixed(decimalsOf(value));
}

/** Four digits or more, whatever the metric's size. */
function decimalsOf(value: number): number {
  return Math.abs(value) >= 10 ? 2 : 4;
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}

/** Columns as wide as their widest cell. */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
