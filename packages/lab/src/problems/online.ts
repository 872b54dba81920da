/**
 * The two online counterexamples on which Adam walks the wrong way: one parameter, linear losses, gradients rare and
 * large in one direction, frequent and small in the other, their mean pointing the way Adam does not go.
 *
 * @see Zhou et al., "AdaShift", ICLR 2019, sections 3.1 and 3.2, https://arxiv.org/abs/1810.00143; the constants are
 * those of the paper's reproducibility report
 */

import { constant, type Leaves, mulberry32 } from "@adastra/core";
import type { Problem, Task } from "./problem.ts";

const path = "x";

const zero = (): Leaves => ({ [path]: { shape: [], data: new Float64Array(1) } });
const dataOf = (leaves: Leaves) => (leaves[path] as Leaves[string]).data;

/**
 * f_t(x) = 1010x when t mod 101 = 1, else -10x, x in [-1, 1]; x₁ = 0, rate α/√t. The best fixed x is -1.
 *
 * Metric: the average regret (1/T) Σ f_t(x_t) − f_t(−1).
 */
export const onlineSequential: Problem<null> = {
  info: {
    name: "online-sequential",
    title: "Sequential counterexample on [-1, 1]",
    metric: { name: "average regret", better: "lower", unit: "" },
    parameters: 1,
    data: [],
    target: 0.5,
  },
  batch: 1,
  budget: { trials: 5, seeds: 1, epochs: 10, tuningEpochs: 2 },
  evaluationsPerEpoch: 1,
  engine: "formula",
  setting: { b1: 0.9, b2: 0.99, eps: 0, n: 10, phi: "none" },
  learningRates: [0.1, 10],
  schedule: (learningRate) => (count) => learningRate / Math.sqrt(count + 1),
  load: () => null,
  open: () => Promise.resolve({ start: startSequential }),
};

function startSequential(): Task {
  let t = 0;
  let regret = 0;
  return {
    params: zero(),
    dtype: "float64",
    stepsPerEpoch: 10_000,
    project: (params) => {
      const x = dataOf(params);
      x[0] = Math.min(1, Math.max(-1, x[0] as number));
    },
    gradient: (params, gradients) => {
      t += 1;
      const slope = t % 101 === 1 ? 1010 : -10;
      const x = dataOf(params)[0] as number;
      dataOf(gradients)[0] = slope;
      regret += slope * x + slope;
      return Promise.resolve(slope * x);
    },
    evaluate: () => Promise.resolve({ metric: regret / t }),
  };
}

/**
 * f_t(x) = 101x with probability (1 + δ)/102, else -x, δ = 0.02; x₁ = 0, rate constant. E[gradient] = δ > 0: x should fall.
 *
 * Metric: x itself. Before about 10⁶ steps its sign is noise for the methods that go the right way.
 */
export const onlineStochastic: Problem<null> = {
  info: {
    name: "online-stochastic",
    title: "Stochastic counterexample",
    metric: { name: "x", better: "lower", unit: "" },
    parameters: 1,
    data: [],
    target: -1,
  },
  batch: 1,
  budget: { trials: 1, seeds: 5, epochs: 10, tuningEpochs: 1 },
  evaluationsPerEpoch: 1,
  engine: "formula",
  setting: { b1: 0, b2: 0.999, eps: 1e-10, n: 1, phi: "none" },
  learningRates: [1e-3, 1e-3],
  schedule: constant,
  load: () => null,
  open: () => Promise.resolve({ start: ({ seed }) => startStochastic(seed) }),
};

function startStochastic(seed: number): Task {
  const random = mulberry32(seed);
  const probability = 1.02 / 102;
  return {
    params: zero(),
    dtype: "float64",
    stepsPerEpoch: 100_000,
    gradient: (params, gradients) => {
      const slope = random.next() < probability ? 101 : -1;
      dataOf(gradients)[0] = slope;
      return Promise.resolve(slope * (dataOf(params)[0] as number));
    },
    evaluate: (params) => Promise.resolve({ metric: dataOf(params)[0] as number }),
  };
}
