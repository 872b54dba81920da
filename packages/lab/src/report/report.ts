/** The report of a comparison: one HTML file that needs nothing beside itself. */
import type { Comparison, Entry, TrialResult } from "../protocol.ts";
import { formatCount } from "./format.ts";
import { type Html, html } from "./html.ts";
import { curvesSection, ratesSection, renderPage } from "./page.ts";
import { resultsTable, trialsTable } from "./tables.ts";
import { thinPoints } from "./thin.ts";
import {
  cautions,
  edgeSentence,
  factsOf,
  metricTitle,
  protocolSentences,
  verdictSentences,
} from "./words.ts";

/** Curves keep at most so many points a trial: more than a screen has pixels across. */
const pointLimit = 2000;

/**
 * A finished or interrupted comparison as one HTML document.
 *
 * It loads nothing and opens from a file; its content policy allows its own scripts by hash and no
 * connection. Tables and verdicts stand in the HTML; curves are drawn by the script from the comparison,
 * which is embedded as JSON (element `data`), with curves thinned to 2,000 points a trial. Every text of
 * the comparison is escaped.
 *
 * @throws TypeError when `comparison` is not of schema `adastra-comparison/1`.
 */
export function renderReport(comparison: Comparison): string {
  const { schema, problem, entries } = comparison;
  if (schema !== "adastra-comparison/1") {
    throw new TypeError(
      `renderReport: \`comparison\` must be of schema "adastra-comparison/1", got ${JSON.stringify(schema)}`,
    );
  }
  return renderPage({
    title: `${problem.title} – Adastra`,
    data: { mode: "report", comparison: { ...comparison, entries: entries.map(thinned) } },
    body: html`<header>
<p class="brand">Adastra · optimizer comparison</p>
<h1>${problem.title}</h1>
<p class="facts">${factsOf(comparison)}</p>
</header>
${list("Before you read on", cautions(comparison), "card note")}
${list("What it shows", verdictSentences(comparison), "card")}
<section class="card" aria-labelledby="results-title">
<h2 id="results-title">Results</h2>
${resultsTable(comparison)}
</section>
${curvesSection(metricTitle(problem.metric.name, "seed"))}
${ratesSection(metricTitle(problem.metric.name, "tune"), edgeSentence(entries))}
${list("How it was measured", protocolSentences(comparison), "card")}
<section class="card"><details><summary>All ${formatCount(trialCount(entries))} trials</summary>
${trialsTable(comparison)}
</details></section>
${originsSection(comparison)}`,
  });
}

/** A section with a list, or nothing where the list is empty. */
function list(title: string, sentences: readonly string[], className: string): Html {
  return sentences.length === 0
    ? html``
    : html`<section class="${className}"><h2>${title}</h2><ul>${sentences.map((s) => html`<li>${s}</li>`)}</ul></section>`;
}

/** Where the figures come from: data by hash, machine, versions. */
function originsSection({ problem, environment: e }: Comparison): Html {
  const facts: (readonly [string, string])[] = [
    ["Problem", `${problem.name}, ${formatCount(problem.parameters)} parameters`],
    ["Adastra", e.adastra],
    ["Optimizer runs on", e.optimizerBackend],
    ["Gradients from", e.engineBackend],
    ["Node", e.node],
    ["Processor", `${e.cpu}, ${formatCount(e.cores)} cores`],
    ["Platform", e.platform],
  ];
  const data = problem.data.map(
    ({ name, sha256 }) => html`<dt>${name}</dt><dd><code>sha256 ${sha256}</code></dd>`,
  );
  return html`<section class="card"><h2>Data and machine</h2><dl>
${facts.map(([term, text]) => html`<dt>${term}</dt><dd>${text}</dd>`)}
${data}
</dl></section>`;
}

function trialCount(entries: readonly Entry[]): number {
  return entries.reduce((sum, { tuning, runs }) => sum + tuning.length + runs.length, 0);
}

function thinned(entry: Entry): Entry {
  const thin = (trial: TrialResult): TrialResult => ({
    ...trial,
    points: thinPoints(trial.points, pointLimit),
  });
  return { ...entry, tuning: entry.tuning.map(thin), runs: entry.runs.map(thin) };
}
