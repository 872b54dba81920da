/** The frame of a page: head, content policy, styles and scripts inlined, nothing loaded. */
import { createHash } from "node:crypto";
import { pageAssets } from "./clientScript.ts";
import { type Html, html, jsonBlock, trusted } from "./html.ts";
import type { PageData } from "./pageData.ts";
import { styleSheet } from "./style.ts";

export interface Page {
  readonly title: string;
  /** What the script finds in the document: a finished comparison, or where to listen for one. */
  readonly data: PageData;
  readonly body: Html;
}

/** Scripts and styles are allowed by their hashes only; `self` may be listened to where asked. */
export function contentPolicy(scripts: readonly string[], style: string, live: boolean): string {
  return [
    "default-src 'none'",
    `script-src ${scripts.map(hashOf).join(" ")}`,
    `style-src ${hashOf(style)}`,
    "img-src data:",
    ...(live ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

export function renderPage({ title, data, body }: Page): string {
  const { scripts, uPlotStyle } = pageAssets();
  const style = `${uPlotStyle}\n${styleSheet}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(scripts, style, data.mode === "live")}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<main>
${body}
</main>
${jsonBlock("data", data)}
${scripts.map((script) => html`<script>${trusted(script)}</script>`)}
</body>
</html>
`;
  return page.html;
}

/** The charts over the course of training: the same in report and studio; the script fills them. */
export function curvesSection(metricTitle: string): Html {
  return html`<section class="card" aria-labelledby="curves-title">
<h2 id="curves-title">Training curves</h2>
<div class="toolbar">
${choice("against", "Against", [
  ["step", "Steps"],
  ["seconds", "Seconds"],
])}
${choice("phase", "Show", [
  ["seed", "Seed runs"],
  ["tune", "Tuning trials"],
])}
</div>
<ul class="keys" id="keys" aria-label="Optimizers shown"></ul>
<div class="charts">
<figure><figcaption>Training loss</figcaption><div class="chart" id="chart-loss"></div></figure>
<figure><figcaption id="metric-title">${metricTitle}</figcaption><div class="chart" id="chart-metric"></div></figure>
</div>
<p class="hint" id="curves-hint"></p>
</section>`;
}

/** Metric against learning rate; the script fills it. `caution` may be empty. */
export function ratesSection(metricTitle: string, caution: string): Html {
  return html`<section class="card" aria-labelledby="rates-title">
<h2 id="rates-title">How much the learning rate matters</h2>
<figure><figcaption id="rates-caption">${metricTitle} after tuning</figcaption><div class="chart low" id="chart-rates"></div></figure>
<p class="hint">Each point is one tuning trial; a ring marks the rate that was chosen, a cross at the edge a trial that diverged. A flat, wide line means that the method forgives a badly chosen rate. ${caution}</p>
</section>`;
}

function choice(
  name: string,
  legend: string,
  options: readonly (readonly [string, string])[],
): Html {
  const labels = options.map(
    ([value, text], i) =>
      html`<label><input type="radio" name="${name}" value="${value}"${trusted(i === 0 ? " checked" : "")}><span>${text}</span></label>`,
  );
  return html`<fieldset class="choice"><legend>${legend}</legend><span class="set">${labels}</span></fieldset>`;
}

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
