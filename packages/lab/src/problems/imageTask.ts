/** Labelled images on one thread: the compiled model, and what a trial sees of it. */

import type { Leaves } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import {
  batchFiller,
  emptyBatch,
  type ImageSet,
  inOrder,
  validationSplit,
} from "../data/images.ts";
import type { TrialSpec } from "../protocol.ts";
import { createTrials, type ModelTask } from "./modelTrials.ts";
import type { OpenProblem } from "./problem.ts";

/** Images in one evaluation graph: divides the test set and the held-out images. */
const evaluationBatch = 500;
const heldOut = 5000;

export interface ImagePlan {
  readonly model: nn.Layer;
  /** Of one image, such as [1, 28, 28]. */
  readonly shape: readonly number[];
  /** Images in a gradient. */
  readonly batch: number;
}

/** Images made ready: trials may also be on some of the training images alone. */
export interface OpenImages extends OpenProblem {
  /** The training images of a phase. */
  readonly examples: (phase: TrialSpec["phase"]) => Uint32Array;
  /** `examples` out of those of the phase; all of them where absent. One gradient at a time. */
  readonly start: (
    trial: Pick<TrialSpec, "seed" | "phase"> & { readonly examples?: Uint32Array },
  ) => ModelTask;
}

/** Compiles a classifier with softmax cross-entropy as its loss. */
export async function openImages(
  { model, shape, batch }: ImagePlan,
  { train, test }: { readonly train: ImageSet; readonly test: ImageSet },
): Promise<OpenImages> {
  const trials = createTrials(model, shape);
  const trained = emptyBatch(train, batch);
  const evaluated = emptyBatch(test, evaluationBatch);
  const { params, state } = trials;
  const gradients = await compile(
    (p, { x, y }, mode) =>
      nn.softmaxCrossEntropy(model.apply(p, x.reshape([batch, ...shape]), mode), y),
    { params, example: { ...trained }, state },
  );
  const scores = await compileForward(
    (p, { x, y }, mode) => {
      const logits = model.apply(p, x.reshape([evaluationBatch, ...shape]), mode);
      return {
        loss: nn.softmaxCrossEntropy(logits, y),
        correct: nn.correct(logits, y).sum(),
      };
    },
    { params, example: { ...evaluated }, state },
  );
  const split = validationSplit(train, heldOut);

  const examplesOf = (phase: TrialSpec["phase"]): Uint32Array =>
    phase === "tune" ? split.train.slice() : inOrder(train.count);

  return {
    examples: examplesOf,
    start: ({ seed, phase, examples = examplesOf(phase) }) => {
      const order = examples.slice();
      const fill = batchFiller(train);
      return trials.start({
        seed,
        order,
        batch,
        gradient: async (first, current, into) => {
          fill(trained, order, first);
          return (await gradients.run(trained, current, into)).loss;
        },
        evaluate: (current) =>
          phase === "tune"
            ? score(train, split.validation, current)
            : score(test, inOrder(test.count), current),
      });
    },
  };

  /** Mean cross-entropy, and accuracy in percent, over the images of `order`. */
  async function score(set: ImageSet, order: Uint32Array, current: Leaves) {
    const fill = batchFiller(set);
    const batches = order.length / evaluationBatch;
    let loss = 0;
    let correct = 0;
    for (let i = 0; i < batches; i++) {
      fill(evaluated, order, i * evaluationBatch);
      const result = await scores.run({ ...evaluated }, current);
      loss += result.loss?.data[0] ?? Number.NaN;
      correct += result.correct?.data[0] ?? Number.NaN;
    }
    return { loss: loss / batches, metric: (100 * correct) / order.length };
  }
}
