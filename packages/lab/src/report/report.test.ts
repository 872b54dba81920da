import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Comparison } from "../protocol.ts";
import { renderReport } from "./report.ts";
import { testComparison } from "./testComparison.ts";

const comparison = testComparison();
const page = renderReport(comparison);

/** The text of every element of the kind, attributes left out. */
function textsOf(tag: "script" | "style", source = page): string[] {
  return [...source.matchAll(new RegExp(`<${tag}(?: [^>]*)?>([^]*?)</${tag}>`, "g"))].map(
    (found) => found[1]!,
  );
}

function dataOf(source: string): unknown {
  const json = /<script type="application\/json" id="data">([^<]*)<\/script>/.exec(source)?.[1];
  return JSON.parse(json ?? "");
}

test("a report loads nothing: no element names an address but the empty icon", () => {
  const markup = page.replace(/<(script|style)\b[^]*?<\/\1>/g, "");
  const addresses = [...markup.matchAll(/\b(?:src|href|srcset|action|data|poster)="([^"]*)"/g)];
  expect(addresses.map((found) => found[1])).toEqual(["data:,"]);
  for (const style of textsOf("style")) {
    expect(style).not.toMatch(/@import|url\(/);
  }
});

test("the policy allows the page's own scripts and style by hash and nothing from elsewhere", () => {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1];
  const hash = (text: string): string =>
    `&#39;sha256-${createHash("sha256").update(text).digest("base64")}&#39;`;
  const scripts = textsOf("script").slice(1).map(hash);
  expect(scripts).toHaveLength(3);
  expect(policy).toBe(
    `default-src &#39;none&#39;; script-src ${scripts.join(" ")}; style-src ${hash(textsOf("style")[0]!)}; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;`,
  );
});

test("no inline style and no inline handler stands in the HTML, which the policy would refuse", () => {
  const markup = page.replace(/<(script|style)\b[^]*?<\/\1>/g, "");
  expect(markup).not.toMatch(/\sstyle="|\son\w+="/);
});

test("the embedded data are the comparison", () => {
  expect(dataOf(page)).toEqual({ mode: "report", comparison });
});

const hostile = `</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>"'&\u2028\u2029`;

test("hostile texts stay texts, wherever they stand", () => {
  const { problem, environment, entries } = comparison;
  const [entry] = entries;
  const attacked: Comparison = {
    ...comparison,
    problem: {
      ...problem,
      title: hostile,
      name: hostile,
      metric: { ...problem.metric, name: hostile },
      data: [{ name: hostile, sha256: hostile }],
    },
    environment: { ...environment, cpu: hostile, platform: hostile, engineBackend: hostile },
    entries: [
      {
        ...entry!,
        optimizer: { ...entry!.optimizer, title: hostile, paper: hostile, name: hostile },
        runs: entry!.runs.map((run) => ({ ...run, status: "failed", reason: hostile })),
      },
      ...entries.slice(1),
    ],
  };
  const source = renderReport(attacked);
  expect(textsOf("script", source)).toHaveLength(textsOf("script").length);
  expect(source).not.toMatch(/<img/);
  const json = textsOf("script", source)[0]!;
  expect(json).not.toMatch(/[<>&\u2028\u2029]/);
  expect(dataOf(source)).toEqual({ mode: "report", comparison: attacked });
});

test("the table ranks by the metric, in the direction that is better", () => {
  const namesIn = (source: string): string[] =>
    [...source.matchAll(/<tr><th scope="row"><svg[^]*?<\/svg> ([^<]*)<small>/g)].map((f) => f[1]!);
  const ranked = comparison.entries
    .toSorted((a, b) => b.summary!.lastMetric.mean - a.summary!.lastMetric.mean)
    .map(({ optimizer }) => optimizer.title);
  expect(namesIn(page)).toEqual(ranked);
  const lower = structuredClone(comparison) as Comparison;
  const flipped: Comparison = {
    ...lower,
    problem: { ...lower.problem, metric: { ...lower.problem.metric, better: "lower" } },
  };
  expect(namesIn(renderReport(flipped))).toEqual(ranked.toReversed());
});

test("diverged runs are counted and named before anything else", () => {
  expect(page).toContain("Seed runs that diverged: AMSGrad (1 of 4). Means are over the others.");
  expect(page).toContain("3 done, 1 diverged");
  expect(page).toContain("loss was not finite at step 1201");
});

test("an interrupted comparison says so, and an entry without runs has no figures", () => {
  const [first, ...rest] = comparison.entries;
  const source = renderReport({
    ...comparison,
    entries: [{ ...first!, runs: [], summary: null }, ...rest],
    trialsDone: 40,
    interrupted: true,
  });
  expect(source).toContain("This comparison was interrupted: 40 of 63 trials are done.");
  expect(source).toContain("no finished run");
});

test("curves are thinned to 2,000 points a trial, their end kept", () => {
  const long = testComparison({ optimizers: 1, seeds: 2, epochs: 50, pointsPerEpoch: 100 });
  const { comparison: kept } = dataOf(renderReport(long)) as { comparison: Comparison };
  const [was, is] = [long.entries[0]!.runs[0]!.points, kept.entries[0]!.runs[0]!.points];
  expect(was).toHaveLength(5000);
  expect(is.length).toBeLessThanOrEqual(2000);
  expect(is.at(-1)!.step).toBe(was.at(-1)!.step);
});

test("something else than a comparison is refused", () => {
  const other = { ...comparison, schema: "other/1" } as unknown as Comparison;
  expect(() => renderReport(other)).toThrow(
    'renderReport: `comparison` must be of schema "adastra-comparison/1", got "other/1"',
  );
});
