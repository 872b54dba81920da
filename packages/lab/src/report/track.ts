/** One curve of one trial, and how curves with different abscissas are brought onto common ones. */
import type { CurvePoint } from "../protocol.ts";

/** Abscissas ascending, ordinates finite. */
export interface Track {
  readonly xs: readonly number[];
  readonly ys: readonly number[];
}

/** The points that have a finite value, in their order. */
export function trackOf(
  points: readonly CurvePoint[],
  against: "step" | "seconds",
  quantity: "trainLoss" | "metric",
): Track {
  const xs: number[] = [];
  const ys: number[] = [];
  for (const point of points) {
    const x = point[against];
    const y = point[quantity];
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
export function commonGrid(columns: readonly (readonly number[])[]): readonly number[] {
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
export function readOff({ xs, ys }: Track, grid: readonly number[]): (number | null)[] {
  let i = 0;
  return grid.map((x, k) => {
    while (i + 1 < xs.length && xs[i + 1]! <= x) {
      i++;
    }
    const [x0, x1, y0, y1] = [xs[i], xs[i + 1], ys[i], ys[i + 1]];
    if (x0 === undefined || y0 === undefined || x < x0) {
      return null;
    }
    if (x1 === undefined || y1 === undefined) {
      // An even grid meets the last point seldom: it stands at the first place that is not before it.
      return k === 0 || (grid[k - 1] ?? x0) < x0 ? y0 : null;
    }
    return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  });
}
