/** Tasks whose gradients are known, for tests. */

import type { GradientSource, Leaves, NumericArray } from "@adastra/core";
import type { Task, TaskSource } from "./task.ts";

/** Where the task's parameters should end, and what noise each gradient has. */
export interface Bowl {
  readonly star: readonly number[];
  readonly noise: () => readonly number[];
}

/** L(θ) = ½ ‖θ − star‖², times `scale`, over one leaf `theta`. */
export function bowls(scale = 1): GradientSource<Bowl> {
  return {
    run: async ({ star, noise }, params, into) => {
      const [theta, g] = [numbers(params), numbers(into)];
      const drawn = noise();
      star.forEach((target, i) => {
        g[i] = scale * ((theta[i] as number) - target + (drawn[i] ?? 0));
      });
      const loss = star.reduce((sum, target, i) => sum + ((theta[i] as number) - target) ** 2, 0);
      return { loss: (scale * loss) / 2, aux: {} };
    },
  };
}

export function bowl(
  star: readonly number[],
  examples = 1,
  noise = (): number[] => [],
): Task<Bowl> {
  const batch = { star, noise };
  return { name: `bowl at ${star.join(", ")}`, examples, batch: () => batch, query: () => batch };
}

/** Bowls at places drawn uniformly from [−1, 1] in each dimension. */
export function manyBowls(dimensions: number): TaskSource<Bowl> {
  return {
    sample: (count, random) =>
      Array.from({ length: count }, () =>
        bowl(Array.from({ length: dimensions }, () => 2 * random.next() - 1)),
      ),
  };
}

export function vector(...values: readonly number[]): Leaves {
  return { theta: { shape: [values.length], data: Float64Array.from(values) } };
}

export function numbers(leaves: Leaves): NumericArray {
  return leaves["theta"]?.data ?? new Float64Array();
}

export const list = (leaves: Leaves): number[] => Array.from(numbers(leaves));
