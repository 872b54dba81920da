/** A model of the engine as meta-learning sees it: gradients and scores of batches of any size. */

import { type GradientSource, type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import type { SinusoidBatch } from "@adastra/meta";
import type { TextBatch } from "./documentTasks.ts";
import type { LabelledBatch } from "./labelledBatch.ts";

export interface MetaModel<Batch> {
  initialise(seed: number): Leaves<Float32Array>;
  readonly gradients: GradientSource<Batch>;
  /** What the problem counts: mean squared error, or the share of right labels. */
  score(batch: Batch, params: Leaves): Promise<number>;
}

/** A classifier with softmax cross-entropy as its loss; `shape` is of one picture, or a text's length. */
export function classifier<Batch extends LabelledBatch | TextBatch>(
  model: nn.Layer,
  shape: readonly number[],
): MetaModel<Batch> {
  const initialise = (seed: number) => model.init(mulberry32(seed).fork("initialise"), shape);
  const params = initialise(0);
  return {
    initialise,
    gradients: bySize((example: Batch) =>
      compile(
        (p, { x, y }, mode) =>
          nn.softmaxCrossEntropy(model.apply(p, x.reshape([x.shape[0] ?? 0, ...shape]), mode), y),
        { params, example: { x: example.x, y: example.y } },
      ),
    ),
    score: scoring(
      bySize((example: Batch) =>
        compileForward(
          (p, { x, y }, mode) => ({
            score: nn.accuracy(model.apply(p, x.reshape([x.shape[0] ?? 0, ...shape]), mode), y),
          }),
          { params, example: { x: example.x, y: example.y } },
        ),
      ),
    ),
  };
}

/** A regression of one number on one number, with the mean squared error as its loss. */
export function regression(model: nn.Layer): MetaModel<SinusoidBatch> {
  const initialise = (seed: number) => model.init(mulberry32(seed).fork("initialise"), [1]);
  const params = initialise(0);
  return {
    initialise,
    gradients: bySize((example) =>
      compile((p, { x, y }, mode) => nn.meanSquaredError(model.apply(p, x, mode), y), {
        params,
        example,
      }),
    ),
    score: scoring(
      bySize((example) =>
        compileForward(
          (p, { x, y }, mode) => ({ score: nn.meanSquaredError(model.apply(p, x, mode), y) }),
          { params, example },
        ),
      ),
    ),
  };
}

interface Sized {
  readonly x: { readonly shape: readonly number[] };
}

/** Something compiled for each size of batch when the first of that size comes: shapes of graphs are fixed. */
function bySize<Batch extends Sized, Args extends readonly unknown[], Result>(
  compileFor: (example: Batch) => Promise<{ run(batch: Batch, ...args: Args): Promise<Result> }>,
): { run(batch: Batch, ...args: Args): Promise<Result> } {
  const compiled = new Map<number, ReturnType<typeof compileFor>>();
  return {
    run: async (batch, ...args) => {
      const size = batch.x.shape[0] ?? 0;
      const known = compiled.get(size) ?? compileFor(batch);
      compiled.set(size, known);
      return (await known).run(batch, ...args);
    },
  };
}

function scoring<Batch>(forward: {
  run(
    batch: Batch,
    params: Leaves,
  ): Promise<Readonly<Record<string, { readonly data: Float32Array }>>>;
}): MetaModel<Batch>["score"] {
  return async (batch, params) => (await forward.run(batch, params)).score?.data[0] ?? Number.NaN;
}
