import { expect, test } from "vitest";
import type { TrialSpec } from "../protocol.ts";
import { testComparison } from "../report/testComparison.ts";
import {
  applyEvent,
  emptyState,
  type LiveState,
  progressOf,
  viewOfComparison,
  viewOfLive,
} from "./state.ts";
import { testEvents, testPlan, testPoint, testStart } from "./testEvents.ts";

const comparison = testComparison({ optimizers: 2, seeds: 2, epochs: 2 });
const spec: TrialSpec = comparison.entries[0]!.runs[0]!.spec;

function folded(events: readonly Parameters<typeof applyEvent>[1][]): LiveState {
  const state = emptyState();
  for (const event of events) {
    applyEvent(state, event);
  }
  return state;
}

const events = [testPlan(comparison), ...testEvents(comparison)];

test("the events of a comparison give the view of the comparison", () => {
  const live = viewOfLive(folded(events));
  const done = viewOfComparison(comparison);
  expect(live.metric).toEqual(done.metric);
  expect(live.methods).toEqual(done.methods);
  const shown = ({ trials }: typeof live): unknown =>
    trials.map((t) => [t.spec, t.status, t.points, t.lastMetric]);
  expect(shown(live)).toEqual(shown(done));
});

test("a state sent halfway, with the events after it, is the state at the end", () => {
  const half = Math.floor(events.length / 2);
  const sent = JSON.parse(JSON.stringify(folded(events.slice(0, half)))) as LiveState;
  for (const event of events.slice(half)) {
    applyEvent(sent, event);
  }
  expect(sent).toEqual(folded(events));
});

test("a million points stay within a thousand, at an even resolution, evaluations at the end kept", () => {
  const state = folded([testStart(spec, 1e6)]);
  for (let step = 1; step <= 1e6; step++) {
    const metric = step % 1e5 === 0 ? { metric: step } : {};
    applyEvent(
      state,
      testPoint(spec, { step, epoch: 0, seconds: step, trainLoss: step, ...metric }),
    );
  }
  const { points } = state.trials[0]!;
  expect(points.length).toBeLessThanOrEqual(1000);
  expect(points.length).toBeGreaterThan(400);
  expect(points.at(-1)!.step).toBe(1e6);
  expect(points.filter((p) => p.metric !== undefined).map((p) => p.metric)).toEqual(
    Array.from({ length: 10 }, (_, i) => (i + 1) * 1e5),
  );
  const gaps = points.slice(1).map((p, i) => p.step - points[i]!.step);
  // Halving leaves at most a factor of two, an evaluation in between another.
  expect(Math.max(...gaps)).toBeLessThanOrEqual(4096);
  // The mean of 1 to 1e6, whatever was merged.
  const total = points.reduce(
    (s, p, i) => s + p.trainLoss * (p.step - (points[i - 1]?.step ?? 0)),
    0,
  );
  expect(total / 1e6).toBeCloseTo(500_000.5, 3);
});

test("events of a trial that never started change nothing", () => {
  const state = folded([testPoint(spec, { step: 1, epoch: 0, seconds: 0, trainLoss: 1 })]);
  expect(state).toEqual(emptyState());
});

test("a plan starts afresh", () => {
  expect(folded([...events, testPlan(comparison)])).toEqual(folded([testPlan(comparison)]));
});

test("without a plan, methods are called by their names", () => {
  expect(viewOfLive(folded(testEvents(comparison))).methods.map(({ title }) => title)).toEqual([
    "sgd",
    "adam",
  ]);
});

test("progress counts parts of running trials and ends at 1", () => {
  const { trialsPlanned } = comparison;
  const state = folded([testPlan(comparison), testStart(spec, 100)]);
  expect(progressOf(state)).toBe(0);
  applyEvent(state, testPoint(spec, { step: 50, epoch: 0, seconds: 0, trainLoss: 1 }));
  expect(progressOf(state)).toBe(0.5 / trialsPlanned);
  applyEvent(state, {
    kind: "end",
    trialsDone: 1,
    trialsPlanned,
    wallSeconds: 1,
    interrupted: true,
  });
  expect(progressOf(state)).toBe(1);
});
