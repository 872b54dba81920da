/** Problems of labelled pictures: MNIST, Fashion-MNIST and MNIST-on-noise. */

import { cosine } from "@adastra/core";
import type { nn } from "@adastra/engine";
import { colourMnist, colourMnistShape } from "../data/colourMnist.ts";
import { fashionData, loadFashion } from "../data/fashion.ts";
import type { ImageData } from "../data/labelledIdx.ts";
import { loadMnist, mnistData } from "../data/mnist.ts";
import type { Problem } from "./problem.ts";

type Layers = typeof nn;

interface Definition
  extends Pick<Problem["info"], "name" | "title" | "parameters" | "target" | "data">,
    Pick<Problem<ImageData>, "budget" | "load"> {
  readonly shape: readonly number[];
  /** Made on the thread that trains. */
  readonly model: (layers: Layers) => nn.Layer;
}

const digits = [1, 28, 28];
const perceptron =
  (...hidden: readonly number[]) =>
  (layers: Layers): nn.Layer =>
    layers.sequential(
      layers.flatten(),
      ...hidden.flatMap((width) => [layers.dense(width), layers.relu()]),
      layers.dense(10),
    );

interface PictureModel {
  readonly title: string;
  readonly shape: readonly number[];
  readonly model: (layers: Layers) => nn.Layer;
}

/** Models of MNIST that keep nothing but parameters, so that peers can train them together. */
export const pictureModels: Readonly<
  Record<"mnist-softmax" | "mnist-mlp" | "mnist-lenet", PictureModel>
> = {
  "mnist-softmax": {
    title: "MNIST, softmax regression (convex)",
    shape: digits,
    model: perceptron(),
  },
  "mnist-mlp": {
    title: "MNIST, 784-256-256-10 perceptron, ReLU",
    shape: digits,
    model: perceptron(256, 256),
  },
  "mnist-lenet": {
    title: "MNIST, LeNet: two 5x5 convolutions with max pooling, 128 units",
    shape: digits,
    model: (layers) => layers.lenet(),
  },
};

export const mnistSoftmax: Problem<ImageData> = imageProblem({
  name: "mnist-softmax",
  ...pictureModels["mnist-softmax"],
  parameters: 7850,
  target: 91.5,
  budget: { trials: 5, seeds: 5, epochs: 5, tuningEpochs: 2 },
  data: mnistData,
  load: () => loadMnist(),
});

export const mnistMlp: Problem<ImageData> = imageProblem({
  name: "mnist-mlp",
  ...pictureModels["mnist-mlp"],
  parameters: 269_322,
  target: 96.5,
  budget: { trials: 5, seeds: 5, epochs: 10, tuningEpochs: 2 },
  data: mnistData,
  load: () => loadMnist(),
});

export const mnistLenet: Problem<ImageData> = imageProblem({
  name: "mnist-lenet",
  ...pictureModels["mnist-lenet"],
  parameters: 215_370,
  target: 99,
  budget: { trials: 4, seeds: 3, epochs: 5, tuningEpochs: 1 },
  data: mnistData,
  load: () => loadMnist(),
});

export const fashionResnet: Problem<ImageData> = imageProblem({
  name: "fashion-resnet",
  title: "Fashion-MNIST, residual network of 8 layers with batch norm",
  parameters: 77_562,
  target: 90,
  budget: { trials: 3, seeds: 3, epochs: 5, tuningEpochs: 1 },
  data: fashionData,
  load: () => loadFashion(),
  shape: digits,
  model: (layers) => layers.resnet({ blocks: 1 }),
});

export const colourMnistDensenet: Problem<ImageData> = imageProblem({
  name: "colour-mnist-densenet",
  title:
    "MNIST-on-noise, 20,000 pictures of 3x32x32, densely connected network of 16 layers, growth 12",
  parameters: 141_442,
  target: 90,
  budget: { trials: 3, seeds: 3, epochs: 5, tuningEpochs: 1 },
  data: mnistData,
  load: () => colourMnist(loadMnist()),
  shape: colourMnistShape,
  model: (layers) => layers.densenet({ layers: 4 }),
});

function imageProblem({ shape, model, budget, load, ...info }: Definition): Problem<ImageData> {
  return {
    info: { ...info, metric: { name: "test accuracy", better: "higher", unit: "%" } },
    batch: 64,
    budget,
    evaluationsPerEpoch: 3,
    engine: "onnxruntime-cpu",
    setting: {},
    schedule: (learningRate, totalSteps) => cosine(learningRate, totalSteps),
    load,
    // The engine takes half a second to load: only threads that train pay for it.
    open: async (images) => {
      const { nn: layers } = await import("@adastra/engine");
      const { openImages } = await import("./imageTask.ts");
      return openImages({ model: model(layers), shape, batch: 64 }, images);
    },
  };
}
