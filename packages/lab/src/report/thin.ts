/**
 * Fewer points, same curve: neighbours are merged, so no loss is dropped.
 *
 * A point's `trainLoss` is the mean over the steps since the point before; the merged point carries the
 * mean over both stretches, weighted by their steps, which is exactly what the recorder would have
 * written at half the rate.
 */
import type { CurvePoint } from "../protocol.ts";

/** `b`, standing for `a` too; `before` is the step of the point before `a`. */
export function mergePoints(before: number, a: CurvePoint, b: CurvePoint): CurvePoint {
  const wa = a.step - before;
  const wb = b.step - a.step;
  const w = wa + wb;
  // Points without steps between them (a repeated evaluation) leave nothing to average.
  if (!(w > 0)) {
    return b;
  }
  // A loss that is not finite stays so, also after JSON has made it null.
  const finite = Number.isFinite(a.trainLoss) && Number.isFinite(b.trainLoss);
  return { ...b, trainLoss: finite ? (wa * a.trainLoss + wb * b.trainLoss) / w : Number.NaN };
}

/** Whether merging would lose an evaluation: it may only give way to a later one. */
export function mayMerge(a: CurvePoint, b: CurvePoint): boolean {
  return a.metric === undefined || b.metric !== undefined;
}

/** At most `limit` points (of 2 or more), by halving as often as it takes. */
export function thinPoints(points: readonly CurvePoint[], limit: number): readonly CurvePoint[] {
  let kept = points;
  while (kept.length > limit) {
    kept = halvePoints(kept);
  }
  return kept;
}

/** Merges each pair of neighbours where that loses no evaluation. */
export function halvePoints(points: readonly CurvePoint[]): CurvePoint[] {
  const halved: CurvePoint[] = [];
  let before = 0;
  for (let i = 0; i < points.length; i++) {
    const a = points[i]!;
    const b = points[i + 1];
    if (b !== undefined && mayMerge(a, b)) {
      halved.push(mergePoints(before, a, b));
      before = b.step;
      i++;
    } else {
      halved.push(a);
      before = a.step;
    }
  }
  return halved;
}
