/** Linear and logarithmic axes: their measure, their range, their ticks. */

export type Scale = "linear" | "log";

/** A scale's own measure and the way back. */
export const measures: Record<
  Scale,
  { readonly into: (v: number) => number; readonly back: (v: number) => number }
> = {
  linear: { into: (v) => v, back: (v) => v },
  log: { into: Math.log, back: Math.exp },
};

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

export function smallest(ys: readonly number[]): number {
  return ys.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

export function largest(ys: readonly number[]): number {
  return ys.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

/** Powers of ten in [low, high], with 2 and 5 between them where fewer than three would show. */
export function logTicks(low: number, high: number): number[] {
  const decades = ticksAt(low, high, [1]);
  return decades.length >= 3 ? every(decades, 8) : ticksAt(low, high, [1, 2, 5]);
}

function ticksAt(low: number, high: number, factors: readonly number[]): number[] {
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const factor of factors) {
      // From the text, so that 1e-3 is 0.001 and not a product beside it.
      const tick = Number(`${factor}e${e}`);
      if (tick >= low && tick <= high) {
        ticks.push(tick);
      }
    }
  }
  return ticks;
}

/** As many of them as `limit`, at an even stride. */
function every(ticks: readonly number[], limit: number): number[] {
  const stride = Math.ceil(ticks.length / limit);
  return ticks.filter((_, i) => i % stride === 0);
}
