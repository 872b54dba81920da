/**
 * What a chart shows, worked out from trials: plain data, no canvas, so that it can be tested in Node.
 *
 * Runs over paired seeds become one line, their mean, inside a 95 % Student interval. They rarely share
 * their abscissas (never against seconds), so each run is read off by linear interpolation on a common
 * grid, and the mean stands only where every finished run has a value. Runs that are not finished
 * (running, diverged, interrupted) stay out of the mean and are drawn on their own, with a mark at their
 * last point: averaging over whoever survived would flatter a method that diverges.
 */
import type { CurvePoint, ProblemInfo, TrialResult, TrialSpec } from "../protocol.ts";
import { formatRate } from "./format.ts";
import { spread } from "./interval.ts";
import { largest, measures, rangeOf, type Scale, smallest } from "./scale.ts";
import { commonGrid, readOff, type Track, trackOf } from "./track.ts";

export interface Trial {
  readonly spec: TrialSpec;
  readonly status: TrialResult["status"] | "running";
  readonly points: readonly CurvePoint[];
  readonly lastMetric: number | null;
}

export interface Method {
  readonly name: string;
  readonly title: string;
  /** The learning rate of its seed runs; null while it is not known. */
  readonly chosen: number | null;
}

/** Everything the charts need, whether from a finished comparison or from one that still runs. */
export interface View {
  readonly metric: ProblemInfo["metric"];
  readonly methods: readonly Method[];
  readonly trials: readonly Trial[];
}

export interface CurveChoice {
  readonly quantity: "trainLoss" | "metric";
  readonly against: "step" | "seconds";
  readonly phase: TrialSpec["phase"];
  /** Names of methods that are switched off. */
  readonly hidden: ReadonlySet<string>;
}

export interface Line {
  /** Index of the method, which fixes colour and dashes. */
  readonly method: number;
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
  /** Why the line ends, where it is not a finished run or their mean. */
  readonly ending: Trial["status"] | null;
  readonly emphasis: "mean" | "run";
}

/** A point on its own; `y` is null for a run that has no value (it diverged). */
export interface Mark {
  readonly method: number;
  readonly x: number;
  readonly y: number | null;
  readonly kind: "chosen" | "diverged";
}

export interface ChartPlan {
  readonly xLabel: "optimizer steps" | "seconds of training" | "learning rate";
  readonly xScale: Scale;
  readonly yScale: Scale;
  readonly yRange: readonly [low: number, high: number];
  readonly unit: "%" | "";
  /** Which way is better, so that a missing value is drawn at the worse edge. */
  readonly better: "higher" | "lower";
  readonly xs: readonly number[];
  readonly lines: readonly Line[];
  readonly marks: readonly Mark[];
  /** Whether points are drawn beside lines: where there are few. */
  readonly dots: boolean;
  /** Names stand in the margin, at the height of the lines' ends, or right beside the ends. */
  readonly labels: "margin" | "inPlace";
}

/** Loss or metric over the course of training. */
export function curvePlan(view: View, choice: CurveChoice): ChartPlan {
  const shown = view.trials.filter(
    ({ spec }) => spec.phase === choice.phase && !choice.hidden.has(spec.optimizer),
  );
  const tracks = shown
    .map((trial) => ({ trial, track: trackOf(trial.points, choice.against, choice.quantity) }))
    .filter(({ track }) => track.xs.length > 0);
  const xs = commonGrid(tracks.map(({ track }) => track.xs));
  const yScale = choice.quantity === "trainLoss" ? scaleFor(tracks) : "linear";

  const lines: Line[] = [];
  for (const [method, { name, title }] of view.methods.entries()) {
    const own = tracks.filter(({ trial }) => trial.spec.optimizer === name);
    const averaged = own.filter(
      ({ trial }) => choice.phase === "seed" && trial.status === "finished",
    );
    if (averaged.length > 0) {
      const columns = averaged.map(({ track }) => readOff(track, xs));
      lines.push({
        method,
        label: title,
        ending: null,
        emphasis: "mean",
        ...band(columns, yScale),
      });
    }
    for (const { trial, track } of own) {
      if (!averaged.some((a) => a.trial === trial)) {
        const { learningRate, seed } = trial.spec;
        const which = choice.phase === "tune" ? formatRate(learningRate) : `seed ${seed}`;
        lines.push({
          method,
          label: `${title}, ${which}`,
          values: readOff(track, xs),
          ending: trial.status === "finished" ? null : trial.status,
          emphasis: "run",
        });
      }
    }
  }
  const better = choice.quantity === "trainLoss" ? "lower" : view.metric.better;
  return {
    xLabel: choice.against === "step" ? "optimizer steps" : "seconds of training",
    xScale: "linear",
    yScale,
    yRange: rangeOf(settled(xs, lines, choice.quantity, yScale), yScale),
    unit: choice.quantity === "trainLoss" ? "" : view.metric.unit,
    better,
    xs,
    lines,
    marks: [],
    dots: xs.length <= 12,
    labels: "margin",
  };
}

/** The metric at the end of each tuning trial, against its learning rate. */
export function ratePlan(view: View, hidden: ReadonlySet<string>): ChartPlan {
  const trials = view.trials.filter(
    ({ spec, status }) =>
      spec.phase === "tune" && status !== "running" && !hidden.has(spec.optimizer),
  );
  const xs = [...new Set(trials.map((t) => t.spec.learningRate))].sort((a, b) => a - b);
  const place = new Map(xs.map((x, i) => [x, i]));
  const lines: Line[] = [];
  const marks: Mark[] = [];
  for (const [method, { name, title, chosen }] of view.methods.entries()) {
    const values: (number | null)[] = xs.map(() => null);
    for (const { spec, status, lastMetric } of trials.filter((t) => t.spec.optimizer === name)) {
      if (lastMetric !== null && Number.isFinite(lastMetric)) {
        values[place.get(spec.learningRate) ?? 0] = lastMetric;
        if (spec.learningRate === chosen) {
          marks.push({ method, x: spec.learningRate, y: lastMetric, kind: "chosen" });
        }
      } else if (status === "diverged") {
        marks.push({ method, x: spec.learningRate, y: null, kind: "diverged" });
      }
    }
    if (values.some((v) => v !== null) || marks.some((m) => m.method === method)) {
      lines.push({ method, label: title, values, ending: null, emphasis: "mean" });
    }
  }
  const ys = lines.flatMap(({ values }) => values.filter((v) => v !== null));
  return {
    xLabel: "learning rate",
    xScale: "log",
    yScale: "linear",
    yRange: rangeOf(ys, "linear"),
    unit: view.metric.unit,
    better: view.metric.better,
    xs,
    lines,
    marks,
    dots: true,
    labels: "inPlace",
  };
}

type Band = Pick<Line, "values" | "low" | "high">;

/** Mean and interval over runs; of logarithms where the axis is logarithmic (a geometric mean). */
function band(columns: readonly (readonly (number | null)[])[], scale: Scale): Band {
  const { into, back } = measures[scale];
  const rows = (columns[0] ?? []).map((_, i) => {
    const values = columns.map((column) => column[i] ?? null).filter((v) => v !== null);
    return values.length === columns.length ? spread(values.map(into)) : null;
  });
  const values = rows.map((row) => row && back(row.mean));
  if (columns.length < 2) {
    return { values };
  }
  return {
    values,
    low: rows.map((row) => row && back(row.mean - (row.half ?? 0))),
    high: rows.map((row) => row && back(row.mean + (row.half ?? 0))),
  };
}

/** Logarithmic once positive values span more than a decade; a run that diverges does not decide. */
function scaleFor(tracks: readonly { readonly trial: Trial; readonly track: Track }[]): Scale {
  const steady = tracks.filter(({ trial }) => !astray(trial.status));
  const ys = (steady.length > 0 ? steady : tracks).flatMap(({ track }) => track.ys);
  const low = smallest(ys);
  return low > 0 && largest(ys) > 10 * low ? "log" : "linear";
}

/** Whether values may be anywhere. */
function astray(status: Trial["status"] | null): boolean {
  return status === "diverged" || status === "failed";
}

/**
 * The values that the vertical axis has to hold: the lines, and as much of the bands and of runs that
 * diverged as lengthens the axis by a quarter at each end (the interval of two runs can be a hundred
 * times as wide as the rest).
 *
 * A metric leaps at the start and creeps after: there the first tenth of the course does not set the
 * axis, or the part that decides would be a flat line.
 */
function settled(
  xs: readonly number[],
  lines: readonly Line[],
  quantity: CurveChoice["quantity"],
  scale: Scale,
): number[] {
  const [first, last] = [xs[0] ?? 0, xs.at(-1) ?? 0];
  const from = quantity === "metric" ? first + 0.1 * (last - first) : first;
  const inside = (values: readonly (number | null)[] = []): number[] =>
    values.filter((v, i): v is number => v !== null && (xs[i] ?? first) >= from);
  const { into, back } = measures[scale];
  const steady = lines.filter(({ ending }) => !astray(ending));
  const held = (steady.length > 0 ? steady : lines)
    .flatMap(({ values }) => inside(values))
    .map(into);
  const [least, most] = [smallest(held), largest(held)];
  const room = (most - least) / 4;
  const guests = lines
    .flatMap(({ values, low, high, ending }) => [
      ...inside(low),
      ...inside(high),
      ...(astray(ending) ? inside(values) : []),
    ])
    .map((v) => Math.min(Math.max(into(v), least - room), most + room));
  return [...held, ...guests].map(back);
}
