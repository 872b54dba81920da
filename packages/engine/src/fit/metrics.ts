/** Metrics over a validation set: means over its rows, whatever the size of the batches. */

import type { Leaf, Leaves, Random } from "@adastra/core";
import { type CompileOptions, compileForward } from "../compile.ts";
import type { BatchArrays } from "../signature.ts";
import type { Mode } from "../trace/mode.ts";
import type { Traced } from "../trace/trace.ts";
import type { Value } from "../trace/value.ts";
import { requireThat } from "./checks.ts";
import { type DataSource, inOrder } from "./data.ts";

/** Means by name. */
export type Metrics = Readonly<Record<string, number>>;

/** Values by name for one batch: each a mean over it, or one number a row, `[batch]`. */
export type MetricsFunction<B extends BatchArrays> = (
  params: Traced<Leaves<Float32Array>>,
  batch: Traced<B>,
  mode: Mode,
) => Readonly<Record<string, Value>>;

export interface Evaluation {
  readonly names: readonly string[];
  run(params: Leaves): Promise<Metrics>;
  dispose(): Promise<void>;
}

/**
 * Compiles metrics for batches of `batchSize` rows, and once more for the rows that are left over: shapes are static, and
 * no row is dropped or counted twice.
 *
 *     metric = Σ over batches (rows · mean of the batch) / Σ rows
 */
export async function openEvaluation<B extends BatchArrays>(
  metrics: MetricsFunction<B>,
  source: DataSource<B>,
  batchSize: number,
  random: Random,
  options: Omit<CompileOptions<Leaves<Float32Array>, B>, "example">,
): Promise<Evaluation> {
  const order = inOrder(source.count);
  const sizes = [...new Set([batchSize, source.count % batchSize])].filter((size) => size > 0);
  let names: readonly string[] = [];
  const compiled = new Map<
    number,
    Awaited<ReturnType<typeof compileForward<typeof options.params, B>>>
  >();
  const dispose = async (): Promise<void> => {
    await Promise.all(Array.from(compiled.values(), (each) => each.dispose()));
  };
  try {
    for (const size of sizes) {
      const example = await source.batch(order.subarray(0, size), random.fork("0"));
      const checked: MetricsFunction<B> = (...inputs) => {
        const values = metrics(...inputs);
        names = Object.keys(values);
        checkShapes(values, size);
        return values;
      };
      compiled.set(size, await compileForward(checked, { ...options, example }));
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    names,
    dispose,
    run: async (params) => {
      const sums = new Map<string, number>();
      for (let start = 0; start < source.count; start += batchSize) {
        const rows = order.subarray(start, start + batchSize);
        const batch = await source.batch(rows, random.fork(`${start}`));
        const results = await compiled.get(rows.length)?.run(batch, params);
        for (const [name, leaf] of Object.entries(results ?? {})) {
          sums.set(name, (sums.get(name) ?? 0) + rows.length * meanOf(leaf.data));
        }
      }
      return Object.fromEntries(Array.from(sums, ([name, sum]) => [name, sum / source.count]));
    },
  };
}

function checkShapes(values: Readonly<Record<string, Value>>, rows: number): void {
  for (const [name, { shape }] of Object.entries(values)) {
    const ok = shape.length === 0 || (shape.length === 1 && shape[0] === rows);
    requireThat(
      ok,
      "fit",
      `metric "${name}" must be one number, or one a row, [${rows}]`,
      `[${shape.join(", ")}]`,
      "reduce it with .mean()",
    );
  }
}

/** In float64. */
export function meanOf(data: Leaf["data"]): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    sum += data[i] as number;
  }
  return sum / data.length;
}
