/** MNIST on one thread: the compiled model, and what a trial sees of it. */

import { type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import {
  batchFiller,
  emptyBatch,
  type ImageSet,
  inOrder,
  shuffle,
  validationSplit,
} from "../data/images.ts";
import type { Mnist } from "../data/mnist.ts";
import type { OpenProblem, Task } from "./problem.ts";

/** Images in one evaluation graph: divides the test set and the held-out images. */
const evaluationBatch = 500;
const heldOut = 5000;
const classes = 10;

/**
 * Compiles a perceptron with ReLU between its layers and softmax cross-entropy as its loss.
 *
 * @param shape - `hidden`: widths of the hidden layers, none makes it softmax regression; `batch`: images in a gradient.
 */
export async function openMnist(
  { hidden, batch }: { readonly hidden: readonly number[]; readonly batch: number },
  { train, test }: Mnist,
): Promise<OpenProblem> {
  const model = nn.sequential(
    ...hidden.flatMap((width) => [nn.dense(width), nn.relu()]),
    nn.dense(classes),
  );
  const initialise = (seed: number) =>
    model.init(mulberry32(seed).fork("initialise"), [train.pixelsPerImage]);
  const trained = emptyBatch(train, batch);
  const evaluated = emptyBatch(test, evaluationBatch);
  const params = initialise(0);
  const gradients = await compile((p, { x, y }) => nn.softmaxCrossEntropy(model.apply(p, x), y), {
    params,
    example: { ...trained },
  });
  const scores = await compileForward(
    (p, { x, y }) => {
      const logits = model.apply(p, x);
      return {
        loss: nn.softmaxCrossEntropy(logits, y),
        correct: nn.correct(logits, y).sum(),
      };
    },
    { params, example: { ...evaluated } },
  );
  const split = validationSplit(train, heldOut);

  return {
    start: ({ seed, phase }): Task => {
      const order = phase === "tune" ? split.train.slice() : inOrder(train.count);
      const random = mulberry32(seed).fork("order");
      const stepsPerEpoch = Math.floor(order.length / batch);
      const fill = batchFiller(train);
      let step = 0;
      return {
        params: initialise(seed),
        dtype: "float32",
        stepsPerEpoch,
        gradient: async (current, into) => {
          const position = step % stepsPerEpoch;
          if (position === 0) {
            shuffle(order, random);
          }
          fill(trained, order, position * batch);
          step += 1;
          return (await gradients.run(trained, current, into)).loss;
        },
        evaluate: (current) =>
          phase === "tune"
            ? score(train, split.validation, current)
            : score(test, inOrder(test.count), current),
      };
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
