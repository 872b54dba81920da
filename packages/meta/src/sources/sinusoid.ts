/** Sinusoid regression: the few-shot problem of MAML. */

import type { Leaf, Random } from "@adastra/core";
import { requireCount } from "../checks.ts";
import type { Task, TaskSource } from "../task.ts";

/** `x` and `y` are `[examples, 1]`. */
export interface SinusoidBatch {
  readonly [name: string]: Leaf<Float32Array>;
  readonly x: Leaf<Float32Array>;
  readonly y: Leaf<Float32Array>;
}

export interface SinusoidOptions {
  /** Points to train on, default 10. */
  readonly shots?: number;
  /** Points to judge by, default 50. */
  readonly queries?: number;
}

/**
 * Waves y = A sin(x − φ) with A uniform in [0.1, 5], φ in [0, π], each seen at points x uniform in [−5, 5].
 *
 * @throws RangeError for a count below 1.
 * @see Finn, Abbeel & Levine 2017, section 5.1, https://arxiv.org/abs/1703.03400
 */
export function sinusoids({
  shots = 10,
  queries = 50,
}: SinusoidOptions = {}): TaskSource<SinusoidBatch> {
  requireCount("sinusoids", "shots", shots);
  requireCount("sinusoids", "queries", queries);
  return {
    sample: (count, random) =>
      Array.from({ length: count }, () => sinusoid(shots, queries, random)),
  };
}

function sinusoid(shots: number, queries: number, random: Random): Task<SinusoidBatch> {
  const amplitude = 0.1 + 4.9 * random.next();
  const phase = Math.PI * random.next();
  const points = (count: number): SinusoidBatch => {
    const x = Float32Array.from({ length: count }, () => 10 * random.next() - 5);
    return batchOf(
      x,
      x.map((at) => amplitude * Math.sin(at - phase)),
    );
  };
  const [support, query] = [points(shots), points(queries)];
  const pick = (data: Float32Array, indices: readonly number[]): Float32Array =>
    Float32Array.from(indices, (i) => data[i] as number);
  return {
    name: `${amplitude.toFixed(3)} sin(x − ${phase.toFixed(3)})`,
    examples: shots,
    batch: (indices) => batchOf(pick(support.x.data, indices), pick(support.y.data, indices)),
    query: () => query,
  };
}

function batchOf(x: Float32Array, y: Float32Array): SinusoidBatch {
  const shape = [x.length, 1];
  return { x: { shape, data: x }, y: { shape, data: y } };
}
