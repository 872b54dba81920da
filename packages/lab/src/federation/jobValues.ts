/**
 * A task's start and result as the values of a frame, one vector after the other, each the model's parameters and a report:
 *
 *     start     φ, round and index of the task    η, where rates are learned
 *     result    θ, steps, first and last loss     Σ g², or the query batch's gradient of first-order MAML
 *
 * What diverged travels as such: frames with NaN in them are refused, so its report says it and all else is 0. A client does
 * not say how many examples it has: its weight is what the server knows of the task.
 */

import type { Leaves, NumericArray } from "@adastra/core";
import type { Place, Start, TaskResult } from "@adastra/meta";
import type { Layout, Values } from "@adastra/swarm";

/** What travels beside parameters. */
type Second = "none" | "rates" | "queryGradient";

/** Numbers of a report: a result's; a start takes the first two. */
const REPORT = ["isFinite", "steps", "firstLoss", "lastLoss"] as const;
const REPORT_PATH = "adastra/report";

export interface JobValues {
  readonly layout: Layout;
  packStart(place: Place, start: Start): Values;
  unpackStart(values: Values): { readonly place: Place; readonly start: Start };
  packResult(result: TaskResult): Values;
  /** Of the losses the first and the last; NaN for all numbers of a result that diverged. */
  unpackResult(values: Values, examples: number): TaskResult;
}

/** @throws RangeError for a model with a leaf of the report's name. */
export function jobValues(params: Leaves, second: Second): JobValues {
  if (Object.hasOwn(params, REPORT_PATH)) {
    throw new RangeError(
      `jobValues: no leaf of the model may be called "${REPORT_PATH}", got one; rename it`,
    );
  }
  const leaves = Object.entries(params);
  const [, first] = leaves[0] ?? [];
  const isDouble = first?.data instanceof Float64Array;
  const parameters = leaves.reduce((sum, [, { data }]) => sum + data.length, 0);
  const length = parameters + REPORT.length;
  const vectors = second === "none" ? 1 : 2;

  const empty = (): Values =>
    isDouble ? new Float64Array(vectors * length) : new Float32Array(vectors * length);
  const write = (into: Values, vector: number, from: Leaves): void => {
    let at = vector * length;
    for (const [path, { data }] of leaves) {
      into.set((from[path]?.data ?? data) as NumericArray, at);
      at += data.length;
    }
  };
  const read = (values: Values, vector: number): Leaves => {
    let at = vector * length;
    return Object.fromEntries(
      leaves.map(([path, { shape, data }]) => {
        const own = values.slice(at, at + data.length);
        at += data.length;
        return [path, { shape, data: own }];
      }),
    );
  };
  return {
    layout: {
      dtype: isDouble ? "float64" : "float32",
      leaves: { ...params, [REPORT_PATH]: { shape: [REPORT.length] } },
      vectors: second === "none" ? ["params"] : ["params", second],
      // Rates, and sums of squares on the way back.
      nonNegative: second === "rates" ? [second] : [],
    },
    packStart: ({ round, index }, start) => {
      const values = empty();
      write(values, 0, start.params);
      values.set([round, index], parameters);
      if (start.rates !== undefined) {
        write(values, 1, start.rates);
      }
      return values;
    },
    unpackStart: (values) => {
      const [round = 0, index = 0] = values.subarray(parameters);
      return {
        place: { round, index },
        start: {
          params: read(values, 0),
          ...(second === "rates" ? { rates: read(values, 1) } : {}),
        },
      };
    },
    packResult: ({ params: theta, steps, losses, squares, queryGradient }) => {
      const values = empty();
      write(values, 0, theta);
      const beside = squares ?? queryGradient;
      if (vectors > 1 && beside !== undefined) {
        write(values, 1, beside);
      }
      values.set([1, steps, losses[0] ?? 0, losses.at(-1) ?? 0], parameters);
      if (!values.every(Number.isFinite)) {
        values.fill(0);
        values.set([0, steps], parameters);
      }
      return values;
    },
    unpackResult: (values, examples) => {
      const [isFinite = 0, steps = 0, firstLoss = 0, lastLoss = 0] = values.subarray(parameters);
      const own = isFinite === 1 ? values : values.map(() => Number.NaN);
      return {
        params: read(own, 0),
        examples,
        steps,
        losses: isFinite === 1 ? [firstLoss, lastLoss] : [Number.NaN, Number.NaN],
        ...(second === "rates" ? { squares: read(own, 1) } : {}),
        ...(second === "queryGradient" ? { queryGradient: read(own, 1) } : {}),
      };
    },
  };
}
