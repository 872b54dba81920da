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

/** Parameters that distances are estimated from. */
const SAMPLE = 256;

/** ‖b − a‖/√n of x, from every k-th parameter. */
export function sampledDistance(a: Values, b: Values, parameters: number): number {
  const stride = Math.ceil(parameters / SAMPLE);
  let [sum, count] = [0, 0];
  for (let i = 0; i < parameters; i += stride) {
    const difference = (b[i] as number) - (a[i] as number);
    sum += difference * difference;
    count += 1;
  }
  return Math.sqrt(sum / count);
}

export function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
