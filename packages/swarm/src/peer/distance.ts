/** How far apart the values of two peers are. */

import type { Values } from "../train/values.ts";

/** ‖b − a‖² of `length` numbers from `from` on. */
export function squaredDistance(a: Values, b: Values, from: number, length: number): number {
  let sum = 0;
  for (let i = from; i < from + length; i++) {
    const difference = (b[i] as number) - (a[i] as number);
    sum += difference * difference;
  }
  return sum;
}

/** Parameters that distances are estimated from, in runs of neighbours: a run is a line of the cache. */
const SAMPLE = 128;
const RUN = 16;

/** ‖b − a‖/√n of x, of a sample of the parameters. */
export function sampledDistance(a: Values, b: Values, parameters: number): number {
  const stride = RUN * Math.max(1, Math.floor(parameters / SAMPLE));
  let [sum, count] = [0, 0];
  for (let from = 0; from < parameters; from += stride) {
    const length = Math.min(RUN, parameters - from);
    sum += squaredDistance(a, b, from, length);
    count += length;
  }
  return Math.sqrt(sum / count);
}

export function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
