/** Runs optimizers in float64 for the tests of this folder. */

import { compileOptimizer } from "../compileOptimizer.ts";
import type { Random } from "../contracts.ts";
import type { Optimizer } from "../optimizer.ts";
import type { Schedule } from "../schedules/schedules.ts";
import type { LeafState } from "../state.ts";

export interface Step {
  readonly params: readonly number[];
  readonly state: LeafState;
}

/** One leaf from `start`, a step with each gradient: the parameters and the state after every one. */
export function take(
  optimizer: Optimizer,
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  learningRate: number | Schedule,
): readonly Step[] {
  const x = { shape: [start.length], data: Float64Array.from(start) };
  const compiled = compileOptimizer(optimizer, {
    params: { x },
    learningRate,
    dtype: "float64",
  });
  return gradients.map((g) => {
    compiled.step({ x: Float64Array.from(g) });
    const state = compiled.save().leaves.x as LeafState;
    return { params: Array.from(state.params), state };
  });
}

/** The parameters of `take`. */
export function paramsOf(
  optimizer: Optimizer,
  start: readonly number[],
  gradients: readonly (readonly number[])[],
  learningRate: number | Schedule,
): readonly (readonly number[])[] {
  return take(optimizer, start, gradients, learningRate).map(({ params }) => params);
}

/** State of one number an element. */
export function elements(step: Step | undefined, key: string): readonly number[] {
  return Array.from(step?.state.arrays[key]?.[0] ?? []);
}

export function draws(random: Random, steps: number, size: number): readonly (readonly number[])[] {
  return Array.from({ length: steps }, () => Array.from({ length: size }, () => random.normal()));
}
