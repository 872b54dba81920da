/** Pooling over the axes after the channels of [batch, channels, ...xs]. */

import { concat, full, type Padding, type Value, windowsOf } from "../trace/value.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { eachAxis } from "./options.ts";

export interface PoolOptions {
  /** Default the window, so that windows lie side by side. */
  readonly strides?: number | readonly number[];
  /** Default `"valid"`: no padding, what does not fill a window is left out. */
  readonly padding?: Padding;
}

/**
 * The largest of each window. Padding never wins; of equal elements the first gets the gradient.
 *
 * @param window - Extents, or one for all axes.
 */
export function maxPool(window: number | readonly number[], options: PoolOptions = {}): Layer {
  return pool("maxPool", window, options, Number.NEGATIVE_INFINITY, (parts) =>
    parts.reduce((largest, part) => largest.maximum(part)),
  );
}

/** The mean of each window, zeros of padding counted. */
export function avgPool(window: number | readonly number[], options: PoolOptions = {}): Layer {
  return pool("avgPool", window, options, 0, (parts) =>
    parts.reduce((sum, part) => sum.add(part)).mul(1 / parts.length),
  );
}

/** [channels, ...xs] to [channels]: the mean of each channel. */
export function globalAvgPool(): Layer {
  return defineLayer({
    kind: "globalAvgPool",
    params: () => ({}),
    outputShape: (inputShape) => inputShape.slice(0, 1),
    forward: (_, x) => x.mean({ axis: x.shape.map((_extent, i) => i).slice(2) }),
  });
}

/** Both poolings are the same along each axis in turn, which reads k + k elements instead of k k. */
function pool(
  kind: string,
  window: number | readonly number[],
  { strides = window, padding = "valid" }: PoolOptions,
  outside: number,
  combine: (parts: readonly Value[]) => Value,
): Layer {
  const resolve = (inputShape: readonly number[]) => {
    const rank = inputShape.length - 1;
    const extents = eachAxis(kind, "window", window, rank);
    const steps = eachAxis(kind, "strides", strides, rank);
    const around = windowsOf(extents, { padding }).padding;
    const counts = extents.map((extent, i) => {
      const [before, after] = around[i] as [number, number];
      const room = (inputShape[i + 1] as number) + before + after - extent;
      if (room < 0) {
        throw new RangeError(
          `${kind}: input must be at least as large as the window, got extent ${inputShape[i + 1]} for ${extent}`,
        );
      }
      return Math.floor(room / (steps[i] as number)) + 1;
    });
    return { extents, steps, around, counts };
  };
  return defineLayer({
    kind,
    params: () => ({}),
    outputShape: (inputShape) => [inputShape[0] as number, ...resolve(inputShape).counts],
    forward: (_, x) => {
      const { extents, steps, around, counts } = resolve(x.shape.slice(1));
      const windows = counts.map((count, i) => ({
        count,
        extent: extents[i] as number,
        step: steps[i] as number,
        spread: 1,
        around: around[i] as [number, number],
      }));
      return overWindows(x, windows, outside, combine);
    },
  });
}

/** The windows along one axis. */
export interface AxisWindows {
  readonly count: number;
  readonly extent: number;
  /** Steps between windows. */
  readonly step: number;
  /** Steps between the elements of a window. */
  readonly spread: number;
  /** Elements added before and after. */
  readonly around: readonly [before: number, after: number];
}

/** `combine` over the windows of each axis after the channels in turn, `outside` being what is added around. */
export function overWindows(
  x: Value,
  windows: readonly AxisWindows[],
  outside: number,
  combine: (parts: readonly Value[]) => Value,
): Value {
  return windows.reduce((value, { around, ...along }, i) => {
    const axis = i + 2;
    return combine(partsOf(surround(value, axis, around, outside), axis, along));
  }, x);
}

/** For each place of the window along `axis`, what the `count` windows have there. */
function partsOf(
  x: Value,
  axis: number,
  { extent, step, spread, count }: Omit<AxisWindows, "around">,
): readonly Value[] {
  if (extent === step && spread === 1 && x.shape[axis] === count * step) {
    const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
    const apart = x.reshape([...before, count, step, ...after]);
    return apart.split(step, axis + 1).map((part) => part.reshape([...before, count, ...after]));
  }
  return Array.from({ length: extent }, (_, place) =>
    x.slice(axis, place * spread, place * spread + (count - 1) * step + 1).every(step, axis),
  );
}

/** `value` before and after the elements of `axis`. */
export function surround(
  x: Value,
  axis: number,
  [before, after]: readonly [number, number],
  value: number,
): Value {
  const border = (extent: number): Value[] =>
    extent === 0 ? [] : [full(x.shape.with(axis, extent), value)];
  const parts = [...border(before), x, ...border(after)];
  return parts.length === 1 ? x : concat(parts, axis);
}
