/** The studio's page: the report's charts, fed while the comparison runs, and a list of its trials. */
import { html } from "../report/html.ts";
import { curvesSection, ratesSection, renderPage } from "../report/page.ts";

export function renderStudioPage(token: string): string {
  const query = `?token=${token}`;
  return renderPage({
    title: "Adastra studio",
    data: { mode: "live", events: `events${query}` },
    body: html`<header>
<p class="brand">Adastra · studio</p>
<h1 id="title">Waiting for a comparison</h1>
<p class="facts" id="status" role="status">Connecting</p>
<progress class="whole" id="progress" max="1" value="0" aria-label="Progress of the comparison"></progress>
</header>
<section class="card note" id="done" hidden><p id="done-text"></p><p><a href="report${query}">Open the report</a></p></section>
${curvesSection("Metric")}
<section class="card" aria-labelledby="trials-title">
<h2 id="trials-title">Trials</h2>
<div class="scroll tall" tabindex="0" role="region" aria-labelledby="trials-title"><table>
<thead><tr><th scope="col">Optimizer</th><th scope="col" class="text">Phase</th><th scope="col">Seed</th><th scope="col">Rate</th><th scope="col" class="text">Progress</th><th scope="col">Loss</th><th scope="col">Metric</th><th scope="col" class="text">State</th></tr></thead>
<tbody id="trials"></tbody>
</table></div>
</section>
${ratesSection("Metric", "")}`,
  });
}
