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

export type Scale = "linear" | "log";

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
}

/** Loss or metric over the course of training. */
export function curvePlan(view: View, choice: CurveChoice): ChartPlan {
  const shown = view.trials.filter(
    ({ spec }) => spec.phase === choice.phase && !choice.hidden.has(spec.optimizer),
  );
  const tracks = shown
    .map((trial) => ({ trial, track: trackOf(trial.points, choice) }))
    .filter(({ track }) => track.xs.length > 0);
  const xs = commonGrid(tracks.map(({ track }) => track.xs));
  const ys = tracks.flatMap(({ track }) => track.ys);
  const yScale = choice.quantity === "trainLoss" ? scaleFor(ys) : "linear";

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
    dots: xs.length <= 40,
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
  };
}

/** Abscissas ascending, ordinates finite. */
interface Track {
  readonly xs: readonly number[];
  readonly ys: readonly number[];
}

function trackOf(points: readonly CurvePoint[], choice: CurveChoice): Track {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const point of points) {
    const x = point[choice.against];
    const y = point[choice.quantity];
    if (y !== undefined && Number.isFinite(y) && Number.isFinite(x) && x >= (xs.at(-1) ?? x)) {
      xs.push(x);
      ys.push(y);
    }
  }
  return { xs, ys };
}

/** More than a chart has pixels for, at the usual width. */
const gridLimit = 1200;

/** The union of all abscissas, or an even grid where that would be too long to draw. */
function commonGrid(columns: readonly (readonly number[])[]): readonly number[] {
  const union = [...new Set(columns.flat())].sort((a, b) => a - b);
  const first = union[0];
  const last = union.at(-1);
  if (first === undefined || last === undefined || union.length <= gridLimit) {
    return union;
  }
  return Array.from(
    { length: gridLimit },
    (_, i) => first + ((last - first) * i) / (gridLimit - 1),
  );
}

/** Linear interpolation; null outside the track. */
function readOff({ xs, ys }: Track, grid: readonly number[]): (number | null)[] {
  let i = 0;
  return grid.map((x) => {
    while (i + 1 < xs.length && xs[i + 1]! <= x) {
      i++;
    }
    const [x0, x1, y0, y1] = [xs[i], xs[i + 1], ys[i], ys[i + 1]];
    if (x0 === undefined || y0 === undefined || x < x0) {
      return null;
    }
    if (x1 === undefined || y1 === undefined) {
      // The even grid ends a rounding error beside the last point.
      return x - x0 <= 1e-9 * Math.abs(x0) ? y0 : null;
    }
    return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  });
}

/** A scale's own measure and the way back. */
const measures: Record<Scale, { into(v: number): number; back(v: number): number }> = {
  linear: { into: (v) => v, back: (v) => v },
  log: { into: Math.log, back: Math.exp },
};

type Band = Pick<Line, "values" | "low" | "high">;

/** Mean and interval over runs; of logarithms where the axis is logarithmic (a geometric mean). */
function band(columns: readonly (readonly (number | null)[])[], scale: Scale): Band {
  const { into, back } = measures[scale];
  const rows = (columns[0] ?? []).map((_, i) => {
    const values = columns.map((column) => column[i]).filter((v) => v != null);
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

/** Logarithmic once positive values span more than a decade. */
function scaleFor(ys: readonly number[]): Scale {
  const low = smallest(ys);
  return low > 0 && largest(ys) > 10 * low ? "log" : "linear";
}

/**
 * The values that the vertical axis has to hold: the lines, and as much of the bands as lengthens the
 * axis by a quarter at each end (the interval of two runs can be a hundred times as wide as the rest).
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
  const means = lines.flatMap(({ values }) => inside(values));
  const bands = lines.flatMap(({ low, high }) => [...inside(low), ...inside(high)]);
  const { into, back } = measures[scale];
  const [least, most] = [into(smallest(means)), into(largest(means))];
  const room = (most - least) / 4;
  const clamped = bands.map((v) => back(Math.min(Math.max(into(v), least - room), most + room)));
  return [...means, ...clamped];
}

/** The range with a margin of 6 % of its length at both ends. */
export function rangeOf(ys: readonly number[], scale: Scale): readonly [number, number] {
  const { into, back } = measures[scale];
  if (ys.length === 0) {
    return scale === "log" ? [0.1, 1] : [0, 1];
  }
  const low = into(smallest(ys));
  const high = into(largest(ys));
  const margin = high > low ? 0.06 * (high - low) : Math.max(0.05 * Math.abs(high), 1e-3);
  return [back(low - margin), back(high + margin)];
}

function smallest(ys: readonly number[]): number {
  return ys.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function largest(ys: readonly number[]): number {
  return ys.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}
