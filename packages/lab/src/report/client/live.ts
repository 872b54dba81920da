/** Follows a running comparison: server-sent events folded into a state, drawn at most once a frame. */
import {
  applyEvent,
  emptyState,
  type LiveEvent,
  type LiveState,
  type LiveTrial,
  progressOf,
  viewOfLive,
} from "../../studio/state.ts";
import type { Method, View } from "../curves.ts";
import { formatMetric, formatNumber, formatRate, formatSeconds, plural } from "../format.ts";
import { strokeOf } from "../palette.ts";
import type { Dashboard } from "./dashboard.ts";
import { byId, element, swatch } from "./dom.ts";

interface StateMessage {
  readonly seconds: number | null;
  readonly state: LiveState;
}

interface EventsMessage {
  readonly seconds: number | null;
  readonly events: readonly LiveEvent[];
}

export function followLive(address: string, dashboard: Dashboard): void {
  let state = emptyState();
  let seconds: number | null = null;
  let connection: "connecting" | "open" | "lost" | "closed" = "connecting";
  let scheduled = false;

  function draw(): void {
    scheduled = false;
    const view = viewOfLive(state);
    dashboard.show(view);
    showHead(state, seconds, connection);
    showTrials(state, view);
  }

  function schedule(): void {
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(draw);
    }
  }

  const source = new EventSource(address);
  source.addEventListener("state", (event) => {
    const message: StateMessage = JSON.parse(event.data);
    ({ state, seconds } = message);
    connection = "open";
    schedule();
  });
  source.addEventListener("events", (event) => {
    const message: EventsMessage = JSON.parse(event.data);
    seconds = message.seconds;
    for (const live of message.events) {
      applyEvent(state, live);
    }
    schedule();
  });
  source.addEventListener("closed", () => {
    connection = "closed";
    source.close();
    schedule();
  });
  source.addEventListener("error", () => {
    if (connection !== "closed") {
      connection = "lost";
      schedule();
    }
  });
  schedule();
}

function showHead(state: LiveState, seconds: number | null, connection: string): void {
  const { plan, end, trials } = state;
  const share = progressOf(state);
  byId("title").textContent =
    plan?.problem.title ?? (trials[0]?.spec.problem || "Waiting for a comparison");
  const progress = byId("progress");
  if (progress instanceof HTMLProgressElement) {
    progress.value = share;
  }
  byId("status").textContent = statusText(state, seconds, connection);
  byId("done").hidden = end === null;
  if (end !== null) {
    byId("done-text").textContent = end.interrupted
      ? `Interrupted after ${formatSeconds(end.wallSeconds)}: ${end.trialsDone} of ${plural(end.trialsPlanned, "trial")} are done and kept.`
      : `Finished: ${plural(end.trialsDone, "trial")} in ${formatSeconds(end.wallSeconds)}.`;
  }
  document.title = `${end === null ? `${Math.round(100 * share)} %` : "Done"} – Adastra studio`;
}

function statusText(state: LiveState, seconds: number | null, connection: string): string {
  if (connection === "connecting") {
    return "Connecting";
  }
  const { plan, end, trials } = state;
  const ended = trials.filter((t) => t.status !== "running").length;
  const parts = [
    plan === null
      ? `${plural(ended, "trial")} done`
      : `${ended} of ${plural(plan.trialsPlanned, "trial")} done`,
  ];
  const running = trials.length - ended;
  if (end === null && running > 0) {
    parts.push(`${running} running`);
  }
  const share = progressOf(state);
  if (end === null && seconds !== null) {
    parts.push(formatSeconds(seconds));
    // An estimate from less than a twentieth would be a guess.
    if (share > 0.05) {
      parts.push(`about ${roughly((seconds * (1 - share)) / share)} left`);
    }
  }
  if (connection === "lost") {
    parts.push("connection lost, trying again");
  } else if (connection === "closed") {
    parts.push("the studio has been closed; this page stays as it is");
  }
  return parts.join(" · ");
}

/** Whole seconds: an estimate has no hundredths. */
function roughly(seconds: number): string {
  return seconds < 99.5 ? `${Math.ceil(seconds)} s` : formatSeconds(seconds);
}

/** Rows by trial, kept and updated in place; running trials stand first. */
const rows = new Map<string, HTMLTableRowElement>();

function showTrials({ trials }: LiveState, { methods, metric }: View): void {
  const body = byId("trials");
  const known = new Set(trials.map(({ spec }) => spec.id));
  for (const [id, row] of rows) {
    if (!known.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  const order = [
    ...trials.filter((t) => t.status === "running"),
    ...trials.filter((t) => t.status !== "running").toReversed(),
  ];
  for (const [place, trial] of order.entries()) {
    const row = rows.get(trial.spec.id) ?? newRow(trial, methods);
    rows.set(trial.spec.id, row);
    updateRow(row, trial, metric.unit);
    if (body.children[place] !== row) {
      body.insertBefore(row, body.children[place] ?? null);
    }
  }
}

function newRow({ spec }: LiveTrial, methods: readonly Method[]): HTMLTableRowElement {
  const method = methods.findIndex(({ name }) => name === spec.optimizer);
  const { colour, dash } = strokeOf(Math.max(0, method));
  const title = methods[method]?.title ?? spec.optimizer;
  const head = element("th", "", swatch(colour, dash), ` ${title}`);
  head.scope = "row";
  const progress = element("progress", "");
  progress.setAttribute("aria-label", `Progress of ${spec.id}`);
  return element(
    "tr",
    "",
    head,
    element("td", "text", spec.phase === "tune" ? "tuning" : "seed run"),
    element("td", "", String(spec.seed)),
    element("td", "", formatRate(spec.learningRate)),
    element("td", "text", progress),
    element("td", ""),
    element("td", ""),
    element("td", "text"),
  );
}

function updateRow(row: HTMLTableRowElement, trial: LiveTrial, unit: "%" | ""): void {
  const progress = row.querySelector("progress");
  if (progress !== null) {
    progress.max = Math.max(1, trial.totalSteps);
    progress.value = trial.step;
  }
  const [, , , , , loss, metric, state] = row.children;
  const last = trial.points.at(-1);
  const measured = trial.lastMetric ?? trial.points.findLast((p) => p.metric !== undefined)?.metric;
  setText(loss, last === undefined ? "–" : formatNumber(last.trainLoss));
  setText(metric, measured === undefined ? "–" : formatMetric(measured, unit));
  setText(state, trial.reason === null ? trial.status : `${trial.status}: ${trial.reason}`);
  state?.classList.add("reason");
  state?.classList.toggle("state-finished", trial.status === "finished");
  state?.classList.toggle("state-diverged", trial.status === "diverged");
  state?.classList.toggle("state-failed", trial.status === "failed");
}

/** Untouched where it already says so, so that a selection in the table survives. */
function setText(target: Element | undefined, text: string): void {
  if (target !== undefined && target.textContent !== text) {
    target.textContent = text;
  }
}
