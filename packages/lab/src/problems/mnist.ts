/** Two models of MNIST: softmax regression, whose loss is convex, and a multilayer perceptron. */

import { cosine } from "@adastra/core";
import { loadMnist, type Mnist, mnistData } from "../data/mnist.ts";
import type { Problem } from "./problem.ts";

export const mnistSoftmax: Problem<Mnist> = mnistProblem({
  name: "mnist-softmax",
  title: "MNIST, softmax regression (convex)",
  parameters: 7850,
  target: 91.5,
  budget: { trials: 5, seeds: 5, epochs: 5, tuningEpochs: 2 },
  hidden: [],
});

export const mnistMlp: Problem<Mnist> = mnistProblem({
  name: "mnist-mlp",
  title: "MNIST, 784-256-256-10 perceptron, ReLU",
  parameters: 269_322,
  target: 96.5,
  budget: { trials: 5, seeds: 5, epochs: 10, tuningEpochs: 2 },
  hidden: [256, 256],
});

function mnistProblem({
  name,
  title,
  parameters,
  target,
  budget,
  hidden,
}: Pick<Problem["info"], "name" | "title" | "parameters" | "target"> &
  Pick<Problem, "budget"> & { readonly hidden: readonly number[] }): Problem<Mnist> {
  return {
    info: {
      name,
      title,
      metric: { name: "test accuracy", better: "higher", unit: "%" },
      parameters,
      data: mnistData,
      target,
    },
    batch: 64,
    budget,
    evaluationsPerEpoch: 3,
    engine: "onnxruntime-cpu",
    setting: {},
    schedule: (learningRate, totalSteps) => cosine(learningRate, totalSteps),
    load: () => loadMnist(),
    // The engine takes half a second to load: only threads that train pay for it.
    open: async (mnist) => (await import("./mnistTask.ts")).openMnist({ hidden, batch: 64 }, mnist),
  };
}
