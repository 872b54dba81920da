/** A worker that serves training of a small network; `data` says what it should do besides. */

import { adam, compileOptimizer, mulberry32 } from "@adastra/core";
import { type FitResult, fit, type LossFunction, nn } from "../src/index.ts";
import type { TrainingContext } from "../src/worker/index.ts";

export interface ServedData {
  readonly rows: {
    readonly x: { readonly shape: readonly number[]; readonly data: Float32Array };
    readonly y: { readonly shape: readonly number[]; readonly data: Int32Array };
  };
  readonly epochs: number;
  /** Ticks of the owner's event loop: each batch blocks the thread until there were ten more. */
  readonly ticks?: Int32Array;
  readonly fails?: "diverges" | "exits" | "returns a function";
}

export async function train({
  data: { rows, epochs, ticks, fails },
  ...hooks
}: TrainingContext<ServedData>): Promise<FitResult | (() => void)> {
  const model = nn.sequential(nn.dense(8), nn.batchNorm(), nn.relu(), nn.dense(3));
  const loss: LossFunction<ServedData["rows"]> = (p, { x, y }, mode) =>
    nn.softmaxCrossEntropy(model.apply(p, x, mode), y);
  const size = rows.x.shape[1] ?? 0;
  if (fails === "exits") {
    process.exit(3);
  }
  const result = await fit(loss, {
    ...hooks,
    optimizer: compileOptimizer(adam(), {
      params: model.init(mulberry32(1), [size]),
      learningRate: fails === "diverges" ? 1e38 : 0.02,
    }),
    state: model.initState(mulberry32(2), [size]),
    data: {
      count: rows.y.data.length,
      batch: (order) => {
        if (ticks !== undefined) {
          const before = Atomics.load(ticks, 0);
          for (let now = before; now < before + 10; now = Atomics.load(ticks, 0)) {
            Atomics.wait(ticks, 0, now);
          }
        }
        const x = [...order].flatMap((row) => [
          ...rows.x.data.subarray(row * size, (row + 1) * size),
        ]);
        return {
          x: { shape: [order.length, size], data: Float32Array.from(x) },
          y: {
            shape: [order.length],
            data: Int32Array.from(order, (row) => rows.y.data[row] ?? 0),
          },
        };
      },
    },
    batchSize: 4,
    epochs,
    random: mulberry32(3),
  });
  return fails === "returns a function" ? () => undefined : result;
}
