/** The tables of a report: plain HTML, readable without its script. */
import type { Comparison, Entry, Interval, ProblemInfo, TrialResult } from "../protocol.ts";
import { formatCount, formatMetric, formatRate, formatSeconds } from "./format.ts";
import { type Html, html } from "./html.ts";
import { strokeOf } from "./palette.ts";
import { countOf, secondsOf } from "./words.ts";

/** The final table, best method first. */
export function resultsTable({ entries, problem }: Comparison): Html {
  const { metric } = problem;
  const sign = metric.better === "higher" ? -1 : 1;
  const last = Number.MAX_VALUE;
  const place = ({ summary }: Entry): number =>
    summary === null ? last : sign * summary.lastMetric.mean;
  const ranked = entries
    .map((entry, index) => ({ entry, index }))
    .toSorted((a, b) => place(a.entry) - place(b.entry));
  const scale = forestScale(entries);
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">Optimizer</th><th scope="col">Last ${metric.name}<small>mean [95 % interval]</small></th><th scope="col" class="text"><span class="spoken">Interval drawn to scale</span></th><th scope="col">Best<small>mean</small></th><th scope="col">Time to ${formatMetric(problem.target, metric.unit)}<small>median; steps</small></th><th scope="col">Training<small>a run; tuning</small></th><th scope="col">State<small>bytes / param.</small></th><th scope="col">Rate<small>chosen; tried in</small></th><th scope="col">Seed runs<small>tuning trials</small></th></tr></thead>
<tbody>
${ranked.map(({ entry, index }) => resultsRow(entry, index, metric, scale))}
</tbody>
</table></div>`;
}

function resultsRow(
  { optimizer, summary, tuning, runs, chosenLearningRate }: Entry,
  index: number,
  { unit }: ProblemInfo["metric"],
  scale: ForestScale,
): Html {
  const [low, high] = optimizer.learningRates;
  const figures =
    summary === null
      ? html`<td>–</td><td class="text">no finished run</td><td>–</td><td>–</td><td>–<small>${formatSeconds(secondsOf(tuning))}</small></td>`
      : html`<td><strong>${formatMetric(summary.lastMetric.mean, unit)}</strong><small>${bounds(summary.lastMetric, unit)}</small></td>
<td class="text">${forest(summary.lastMetric, index, scale)}</td>
<td>${formatMetric(summary.bestMetric.mean, unit)}</td>
<td>${summary.timeToTarget === null ? "not reached" : html`${formatSeconds(summary.timeToTarget.seconds)}<small>${formatCount(summary.timeToTarget.steps)}</small>`}</td>
<td>${formatSeconds(summary.trainSeconds)}<small>${formatSeconds(secondsOf(tuning))}</small></td>`;
  return html`<tr><th scope="row">${swatch(index)} ${optimizer.title}<small>${optimizer.paper}</small></th>
${figures}
<td>${optimizer.stateBytes}</td>
<td>${chosenLearningRate === null ? "none" : formatRate(chosenLearningRate)}<small>${formatRate(low)} to ${formatRate(high)}</small></td>
<td class="ends">${endings(runs)}<small>${endings(tuning)}</small></td></tr>`;
}

function bounds({ low, high }: Interval, unit: "%" | ""): string {
  const [from, to] = [low, high].map((v) => formatMetric(v, unit).replace(" %", ""));
  return `[${from}, ${to}]`;
}

/** `3 done`, `2 done, 1 diverged`. */
function endings(trials: readonly TrialResult[]): string {
  const words = (["finished", "diverged", "failed", "interrupted"] as const).flatMap((status) => {
    const count = countOf(trials, status);
    return count > 0 ? [`${formatCount(count)} ${status === "finished" ? "done" : status}`] : [];
  });
  return words.length > 0 ? words.join(", ") : "none";
}

/** Every trial with its end and, where it did not finish, the reason. */
export function trialsTable({ entries, problem }: Comparison): Html {
  const { unit } = problem.metric;
  const rows = entries.flatMap(({ optimizer, tuning, runs }, index) =>
    [...tuning, ...runs].map(
      ({ spec, status, lastMetric, trainSeconds, reason }) =>
        html`<tr><th scope="row">${swatch(index)} ${optimizer.title}</th><td class="text">${spec.phase === "tune" ? "tuning" : "seed run"}</td><td>${spec.seed}</td><td>${formatRate(spec.learningRate)}</td><td>${lastMetric === null ? "–" : formatMetric(lastMetric, unit)}</td><td>${formatSeconds(trainSeconds)}</td><td class="text state-${status}">${status}</td><td class="text reason">${reason ?? ""}</td></tr>`,
    ),
  );
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label="All trials"><table>
<thead><tr><th scope="col">Optimizer</th><th scope="col" class="text">Phase</th><th scope="col">Seed</th><th scope="col">Rate</th><th scope="col">Last metric</th><th scope="col">Training</th><th scope="col" class="text">End</th><th scope="col" class="text">Reason</th></tr></thead>
<tbody>
${rows}
</tbody>
</table></div>`;
}

/** A short piece of the method's line. */
export function swatch(index: number): Html {
  const { colour, dash } = strokeOf(index);
  return html`<svg class="swatch" viewBox="0 0 22 10" aria-hidden="true"><line class="c${colour}" x1="1" x2="21" y1="5" y2="5" stroke-dasharray="${dash.join(" ")}"/></svg>`;
}

/** Maps metrics to abscissas of the little interval plots, the same for every row. */
type ForestScale = (value: number) => number;

const forestWidth = 150;

function forestScale(entries: readonly Entry[]): ForestScale {
  const intervals = entries.flatMap((e) => (e.summary === null ? [] : [e.summary.lastMetric]));
  const low = Math.min(...intervals.map((i) => i.low));
  const high = Math.max(...intervals.map((i) => i.high));
  const length = high - low;
  return (value) => 8 + (length > 0 ? (value - low) / length : 0.5) * (forestWidth - 16);
}

function forest({ mean, low, high }: Interval, index: number, scale: ForestScale): Html {
  const { colour } = strokeOf(index);
  const at = (value: number): string => scale(value).toFixed(1);
  return html`<svg class="forest" viewBox="0 0 ${forestWidth} 26" aria-hidden="true"><line class="axis" x1="0" x2="${forestWidth}" y1="13" y2="13"/><line class="span c${colour}" x1="${at(low)}" x2="${at(high)}" y1="13" y2="13"/><circle class="c${colour}" cx="${at(mean)}" cy="13" r="4.5"/></svg>`;
}
