/** Two models of MNIST: softmax regression, whose loss is convex, and a multilayer perceptron. */

import { cosine, type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import {
  batchFiller,
  emptyBatch,
  type ImageBatch,
  type ImageSet,
  inOrder,
  shuffle,
  validationSplit,
} from "../data/images.ts";
import { loadMnist, type Mnist, mnistData } from "../data/mnist.ts";
import type { OpenProblem, Problem, Task } from "./problem.ts";

const batch = 64;
/** Images in one evaluation graph: divides the test set and the held-out images. */
const evaluationBatch = 500;
const heldOut = 5000;
const classes = 10;

export const mnistSoftmax: Problem<Mnist> = mnistProblem({
  name: "mnist-softmax",
  title: "MNIST, softmax regression (convex)",
  parameters: 7850,
  target: 91.5,
  budget: { trials: 5, seeds: 5, epochs: 5, tuningEpochs: 2 },
  model: nn.sequential(nn.dense(classes)),
});

export const mnistMlp: Problem<Mnist> = mnistProblem({
  name: "mnist-mlp",
  title: "MNIST, 784-256-256-10 perceptron, ReLU",
  parameters: 269_322,
  target: 97.5,
  budget: { trials: 5, seeds: 5, epochs: 10, tuningEpochs: 2 },
  model: nn.sequential(nn.dense(256), nn.relu(), nn.dense(256), nn.relu(), nn.dense(classes)),
});

function mnistProblem({
  name,
  title,
  parameters,
  target,
  budget,
  model,
}: Pick<Problem["info"], "name" | "title" | "parameters" | "target"> &
  Pick<Problem, "budget"> & { readonly model: ReturnType<typeof nn.sequential> }): Problem<Mnist> {
  return {
    info: {
      name,
      title,
      metric: { name: "test accuracy", better: "higher", unit: "%" },
      parameters,
      data: mnistData,
      target,
    },
    batch,
    budget,
    engine: "onnxruntime-cpu",
    setting: {},
    schedule: cosine,
    load: () => loadMnist(),
    open: (mnist) => openMnist(model, mnist),
  };
}

async function openMnist(
  model: ReturnType<typeof nn.sequential>,
  { train, test }: Mnist,
): Promise<OpenProblem> {
  const initialise = (seed: number) =>
    model.init(mulberry32(seed).fork("initialise"), [train.pixelsPerImage]);
  const trained = emptyBatch(train, batch);
  const evaluated = emptyBatch(test, evaluationBatch);
  const params = initialise(0);
  const gradients = await compile(
    (p, { x, y }: typeof trained) => nn.softmaxCrossEntropy(model.apply(p, x), y),
    { params, example: trained, backend: "cpu" },
  );
  const forward = await compileForward((p, { x }: { x: ImageBatch["x"] }) => model.apply(p, x), {
    params,
    example: { x: evaluated.x },
    backend: "cpu",
  });
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
    let loss = 0;
    let correct = 0;
    for (let first = 0; first < order.length; first += evaluationBatch) {
      fill(evaluated, order, first);
      const logits = await forward.run(evaluated, current);
      for (let row = 0; row < evaluationBatch; row++) {
        const scores = logits.subarray(row * classes, (row + 1) * classes);
        const label = evaluated.y.data[row] as number;
        const largest = Math.max(...scores);
        const total = scores.reduce((sum, value) => sum + Math.exp(value - largest), 0);
        loss += Math.log(total) + largest - (scores[label] as number);
        correct += Number(scores.indexOf(largest) === label);
      }
    }
    return { loss: loss / order.length, metric: (100 * correct) / order.length };
  }
}
