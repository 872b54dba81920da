/** What tests of `fit` train: a small classifier with state, and a slope whose steps are known. */

import {
  adam,
  type CompiledOptimizer,
  compileOptimizer,
  mulberry32,
  type Optimizer,
  sgd,
} from "@adastra/core";
import { type LossFunction, nn } from "../src/index.ts";
import { labels, normal } from "./batches.ts";

export const ROWS = 26;
export const data = { x: normal(1, [ROWS, 5]), y: labels(2, ROWS, 3) };
export const held = { x: normal(3, [10, 5]), y: labels(4, 10, 3) };

/** A model with everything that outlives a step: running statistics, and the count of dropout's masks. */
export const model = nn.sequential(
  nn.dense(6),
  nn.batchNorm(),
  nn.relu(),
  nn.dropout(0.25),
  nn.dense(3),
);
export type Rows = typeof data;
export const loss: LossFunction<Rows> = (p, { x, y }, mode) => {
  const logits = model.apply(p, x, mode);
  return [nn.softmaxCrossEntropy(logits, y), { accuracy: nn.accuracy(logits, y) }];
};

export function started(method: Optimizer = adam(), learningRate = 0.05) {
  const params = model.init(mulberry32(7), [5]);
  return {
    optimizer: compileOptimizer(method, { params, learningRate }),
    state: model.initState(mulberry32(8), [5]),
  };
}

/** Four or two steps an epoch, three epochs. */
export const common = { data, batchSize: 6, epochs: 3, random: mulberry32(5) };

/** f(w) = w: SGD at rate 1 takes 1 from it each step, whatever the data are. */
export const slope = {
  data: { x: { shape: [4, 1], data: Float32Array.of(1, 2, 3, 4) } },
  batchSize: 2,
  random: mulberry32(1),
};
export type Slope = typeof slope.data;
export const descend: LossFunction<Slope> = ({ w }) => w!.sum();
export const at = (w: number, method = sgd()): CompiledOptimizer =>
  compileOptimizer(method, {
    params: { w: { shape: [], data: Float32Array.of(w) } },
    learningRate: 1,
  });
export const valueOf = (optimizer: CompiledOptimizer) => optimizer.params["w"]?.data[0];
