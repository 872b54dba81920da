/**
 * What is known of a comparison while it runs: events folded into a state.
 *
 * Server and page fold with the same function: the server so that a page which comes late (or again)
 * can be given the state in one message, the page to follow from there. The state is plain JSON and
 * bounded: a trial's curve is kept at half the resolution each time it outgrows `pointLimit`.
 */
import type {
  Comparison,
  CurvePoint,
  ProblemInfo,
  TrialEvent,
  TrialResult,
  TrialSpec,
} from "../protocol.ts";
import type { View } from "../report/curves.ts";
import { halvePoints, mayMerge, mergePoints } from "../report/thin.ts";

/** Said once at the start, so that the page knows titles and how much is to come. */
export interface StudioPlan {
  readonly kind: "plan";
  readonly problem: ProblemInfo;
  readonly optimizers: readonly { readonly name: string; readonly title: string }[];
  readonly trialsPlanned: number;
}

/** The end of a comparison, without its trials: those the page has. */
export interface StudioEnd {
  readonly kind: "end";
  readonly trialsDone: number;
  readonly trialsPlanned: number;
  readonly wallSeconds: number;
  readonly interrupted: boolean;
}

/** What the page is told. */
export type LiveEvent = TrialEvent | StudioPlan | StudioEnd;

export interface LiveTrial {
  readonly spec: TrialSpec;
  readonly totalSteps: number;
  status: TrialResult["status"] | "running";
  points: CurvePoint[];
  /** Steps taken so far. */
  step: number;
  /** Recorded points that one kept point stands for, and how many the last one stands for yet. */
  stride: number;
  inLast: number;
  lastMetric: number | null;
  reason: string | null;
}

export interface LiveState {
  plan: StudioPlan | null;
  end: StudioEnd | null;
  /** In the order they started. */
  readonly trials: LiveTrial[];
}

/** Points a trial keeps at most. */
const pointLimit = 1000;

export function emptyState(): LiveState {
  return { plan: null, end: null, trials: [] };
}

/** Folds one event into `state`, in place. Events of a trial that never started are dropped. */
export function applyEvent(state: LiveState, event: LiveEvent): void {
  switch (event.kind) {
    case "plan":
      // A new comparison begins.
      state.plan = event;
      state.end = null;
      state.trials.length = 0;
      return;
    case "end":
      state.end = event;
      return;
    case "started":
      state.trials.push({
        spec: event.spec,
        totalSteps: event.totalSteps,
        status: "running",
        points: [],
        step: 0,
        stride: 1,
        inLast: 0,
        lastMetric: null,
        reason: null,
      });
      return;
    case "point": {
      const trial = state.trials.find((t) => t.spec.id === event.id);
      if (trial !== undefined) {
        addPoint(trial, event.point);
      }
      return;
    }
    case "finished": {
      const { result } = event;
      const trial = state.trials.find((t) => t.spec.id === result.spec.id);
      if (trial !== undefined) {
        trial.status = result.status;
        trial.lastMetric = result.lastMetric;
        trial.reason = result.reason ?? null;
      }
      return;
    }
    default:
      event satisfies never;
  }
}

/** Adds a point at the trial's present resolution. */
function addPoint(trial: LiveTrial, point: CurvePoint): void {
  const { points } = trial;
  const last = points.at(-1);
  trial.step = point.step;
  if (last !== undefined && trial.inLast < trial.stride && mayMerge(last, point)) {
    points[points.length - 1] = mergePoints(points.at(-2)?.step ?? 0, last, point);
    trial.inLast += 1;
  } else {
    points.push(point);
    trial.inLast = 1;
  }
  if (points.length > pointLimit) {
    trial.points = halvePoints(points);
    trial.stride *= 2;
  }
}

/** The charts' view of a running comparison. */
export function viewOfLive({ plan, trials }: LiveState): View {
  const names = new Map(plan?.optimizers.map(({ name, title }) => [name, title]));
  const rates = new Map<string, number>();
  for (const { spec } of trials) {
    names.set(spec.optimizer, names.get(spec.optimizer) ?? spec.optimizer);
    if (spec.phase === "seed") {
      rates.set(spec.optimizer, spec.learningRate);
    }
  }
  return {
    metric: plan?.problem.metric ?? { name: "metric", better: "higher", unit: "" },
    methods: [...names].map(([name, title]) => ({ name, title, chosen: rates.get(name) ?? null })),
    trials,
  };
}

/** The charts' view of a comparison that has ended. */
export function viewOfComparison({ problem, entries }: Comparison): View {
  return {
    metric: problem.metric,
    methods: entries.map(({ optimizer: { name, title }, chosenLearningRate }) => ({
      name,
      title,
      chosen: chosenLearningRate,
    })),
    trials: entries.flatMap(({ tuning, runs }) => [...tuning, ...runs]),
  };
}

/** How much of the whole comparison is done, in [0, 1]: trials that ended, and parts of those that run. */
export function progressOf({ plan, end, trials }: LiveState): number {
  if (end !== null) {
    return 1;
  }
  const done = trials.reduce(
    (sum, t) => sum + (t.status === "running" ? t.step / Math.max(1, t.totalSteps) : 1),
    0,
  );
  return Math.min(1, done / Math.max(1, plan?.trialsPlanned ?? trials.length));
}
