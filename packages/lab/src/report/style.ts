/** The style sheet of report and studio: light and dark, screen and paper, wide and narrow. */
import { darkColours, lightColours } from "./palette.ts";

export const styleSheet: string = `
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #171b21; --muted: #59626e; --line: #d9dee4;
  --grid: #e9ecef; --accent: #1d4ed8; --note: #fdf3d8; --note-line: #d9a514; --bar: #e4e8ed;
  ${variables(lightColours)}
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Open Sans", sans-serif;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0e1115; --card: #14181d; --ink: #e7eaee; --muted: #9aa5b1; --line: #2c333c;
    --grid: #222830; --accent: #7fb0ff; --note: #2b2412; --note-line: #b98f1d; --bar: #262d36;
    ${variables(darkColours)}
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--page); color: var(--ink); }
main { max-width: 1240px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.15rem 0 0.35rem; letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 0 0 0.6rem; }
h3 { font-size: 0.95rem; margin: 0 0 0.25rem; }
p { margin: 0 0 0.6rem; max-width: 90ch; }
p:last-child, ul:last-child { margin-bottom: 0; }
ul { margin: 0 0 0.6rem; padding-left: 1.2rem; max-width: 100ch; }
li { margin: 0.2rem 0; }
a { color: var(--accent); }
code { font: 0.88em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.brand { font-size: 0.8rem; font-weight: 600; letter-spacing: 0.06em; text-transform: uppercase; color: var(--muted); margin: 0; }
.facts { color: var(--muted); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.15rem 1.25rem; margin-top: 1rem; }
.note { border-left: 4px solid var(--note-line); background: var(--note); }
.hint { color: var(--muted); font-size: 0.86rem; }
.hint + .hint { margin-top: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }

.toolbar { display: flex; flex-wrap: wrap; gap: 0.6rem 1.4rem; margin-bottom: 0.7rem; }
.choice { border: 0; margin: 0; padding: 0; display: flex; align-items: center; gap: 0.55rem; min-width: 0; }
.choice legend { float: left; padding: 0; color: var(--muted); font-size: 0.86rem; }
.choice span.set { display: inline-flex; border: 1px solid var(--line); border-radius: 7px; overflow: hidden; }
.choice label { position: relative; cursor: pointer; }
.choice input { position: absolute; inset: 0; opacity: 0; margin: 0; cursor: pointer; }
.choice label span { display: block; padding: 0.2rem 0.75rem; font-size: 0.86rem; }
.choice label + label span { border-left: 1px solid var(--line); }
.choice input:checked + span { background: var(--ink); color: var(--card); }
.choice input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: -3px; }
.keys { display: flex; flex-wrap: wrap; gap: 0.3rem; margin: 0 0 0.9rem; padding: 0; list-style: none; max-width: none; }
.keys li { margin: 0; }
.keys button {
  display: inline-flex; align-items: center; gap: 0.45rem; font: inherit; font-size: 0.86rem; cursor: pointer;
  color: inherit; background: none; border: 1px solid var(--line); border-radius: 999px; padding: 0.12rem 0.7rem 0.12rem 0.55rem;
}
.keys button:hover { border-color: var(--muted); }
.keys button[aria-pressed="false"] { color: var(--muted); text-decoration: line-through; }
.keys button[aria-pressed="false"] svg { opacity: 0.25; }
.swatch { width: 22px; height: 10px; flex: none; vertical-align: middle; }
.swatch line { stroke-width: 2.5; }
${lightColours.map((_, i) => `.c${i} { stroke: var(--c${i}); fill: var(--c${i}); }`).join("\n")}

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 1.4rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: 0.95rem; margin-bottom: 0.2rem; }
figcaption small { font-weight: 400; color: var(--muted); }
.chart { position: relative; height: 320px; }
.chart.low { height: 300px; }
.chart .uplot { font: inherit; width: 100%; }
.chart .empty { position: absolute; inset: 0; display: grid; place-content: center; color: var(--muted); text-align: center; padding: 1rem; }
.u-cursor-x { border-color: var(--muted) !important; }
.u-select { background: color-mix(in srgb, var(--accent) 16%, transparent); }
.tip {
  position: absolute; z-index: 2; pointer-events: none; background: var(--card); border: 1px solid var(--line);
  border-radius: 7px; padding: 0.4rem 0.6rem; font-size: 0.8rem; line-height: 1.45; box-shadow: 0 4px 14px rgb(0 0 0 / 0.16); white-space: nowrap;
}
.tip div { display: flex; gap: 0.5rem; align-items: center; }
.tip div span:last-child { margin-left: auto; padding-left: 0.9rem; font-variant-numeric: tabular-nums; }
.tip strong { font-weight: 600; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.scroll { position: relative; overflow-x: auto; margin: 0 -0.4rem; padding: 0 0.4rem; }
.scroll.tall { max-height: 26rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.45rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: middle; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th.text, td.text { text-align: left; }
td.reason { white-space: normal; min-width: 18rem; }
td.ends { white-space: normal; min-width: 7.5rem; }
thead th { color: var(--muted); font-weight: 600; font-size: 0.82rem; vertical-align: bottom; }
.tall thead th { position: sticky; top: 0; background: var(--card); }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 600; }
td small, th small { display: block; color: var(--muted); font-weight: 400; font-size: 0.8rem; }
.forest { width: 150px; height: 26px; display: block; }
.forest .axis { stroke: var(--line); stroke-width: 1; }
.forest .span { stroke-width: 2.5; }
.state-finished { color: var(--muted); }
.state-diverged, .state-failed, .state-interrupted { font-weight: 600; }
progress { appearance: none; width: 120px; height: 7px; border: 0; border-radius: 4px; background: var(--bar); overflow: hidden; vertical-align: middle; }
progress::-webkit-progress-bar { background: var(--bar); }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
progress.whole { width: 100%; height: 9px; margin: 0.5rem 0 0.2rem; }
details summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: 0.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.2rem; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
@media (max-width: 560px) {
  main { padding: 1.25rem 0.75rem 3rem; }
  .card { padding: 0.9rem 0.85rem; }
  h1 { font-size: 1.4rem; }
  .chart { height: 270px; }
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: 0.5rem; }
}
@media print {
  body { background: none; }
  .card { break-inside: avoid; border-color: #bbb; }
  .toolbar, .tip { display: none; }
}
`;

function variables(colours: readonly string[]): string {
  return colours.map((colour, i) => `--c${i}: ${colour};`).join(" ");
}
