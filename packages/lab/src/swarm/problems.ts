/** What peers train together: pictures dealt to them, or the two nodes that lead DADAM astray. */

import { type DType, type Leaves, mulberry32 } from "@adastra/core";
import { loadMnist, mnistData } from "../data/mnist.ts";
import { counterexampleGradient } from "../problems/counterexample.ts";
import { pictureModels } from "../problems/images.ts";
import type { TrialSpec } from "../protocol.ts";
import { type Skew, splitExamples } from "./split.ts";

/** A problem that peers share. */
export interface SwarmProblem {
  readonly name: string;
  readonly title: string;
  readonly metric: {
    readonly name: string;
    readonly better: "higher" | "lower";
    readonly unit: string;
  };
  readonly data: readonly { readonly name: string; readonly sha256: string }[];
  /** The number of peers, where it has to be one. */
  readonly peers?: number;
  /** Steps of one peer until the peers together have seen every example once; 1 without examples. */
  stepsPerEpoch(peers: number): number;
  open(): Promise<OpenSwarm>;
}

export interface OpenSwarm {
  /** The same start and the same parts for the same seed, whatever the method. */
  start(deal: {
    readonly seed: number;
    readonly phase: TrialSpec["phase"];
    readonly peers: number;
    readonly skew: Skew;
  }): SwarmTask;
}

export interface SwarmTask {
  readonly params: Leaves;
  readonly dtype: DType;
  /** Writes the gradient of a peer's batch of a step, counted from 0; returns its loss. */
  gradient(peer: number, params: Leaves, gradients: Leaves, step: number): Promise<number> | number;
  /** The metric of one model. */
  evaluate(params: Leaves): Promise<number>;
}

const TRAINING_IMAGES = 60_000;
const BATCH = 64;

const pictures = (name: "mnist-softmax" | "mnist-mlp" | "mnist-lenet"): SwarmProblem => ({
  name,
  title: pictureModels[name].title,
  metric: { name: "test accuracy", better: "higher", unit: "%" },
  data: mnistData,
  stepsPerEpoch: (peers) => Math.floor(TRAINING_IMAGES / peers / BATCH),
  open: async () => {
    const { nn } = await import("@adastra/engine");
    const { openImages } = await import("../problems/imageTask.ts");
    const { shape, model } = pictureModels[name];
    const data = loadMnist();
    const opened = await openImages({ model: model(nn), shape, batch: BATCH }, data);
    return {
      start: ({ seed, phase, peers, skew }) => {
        const random = mulberry32(seed).fork("deal");
        const all = opened.examples(phase);
        const parts = splitExamples(all, data.train.labels, peers, skew, random);
        const small = parts.findIndex((part) => part.length < BATCH);
        if (small >= 0) {
          throw new RangeError(
            `swarm: every peer must have a batch of ${BATCH} examples, got ${parts[small]?.length} for peer ${small}; take fewer peers or less skew`,
          );
        }
        const tasks = parts.map((examples) => opened.start({ seed, phase, examples }));
        const [first] = tasks;
        if (first === undefined) {
          throw new RangeError("swarm: there must be peers, got none");
        }
        // Peers share one graph and its batch: one gradient after the other.
        let turn: Promise<unknown> = Promise.resolve();
        const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
          const result = turn.then(work);
          turn = result.catch(() => undefined);
          return result;
        };
        return {
          params: first.params,
          dtype: first.dtype,
          gradient: (peer, params, gradients, step) =>
            inTurn(() => {
              const task = tasks[peer] as typeof first;
              task.seek(step); // a peer that comes back goes on in its data where it was
              return task.gradient(params, gradients);
            }),
          evaluate: (params) => inTurn(async () => (await first.evaluate(params)).metric),
        };
      },
    };
  },
});

/** |f′| of the mean: 0 at the minimiser 1/3, 0.5 where DADAM ends. */
const counterexample: SwarmProblem = {
  name: "counterexample",
  title: "two nodes whose local second moments lead astray (f = (f₁ + f₂)/2, x* = 1/3)",
  metric: { name: "|f′(x̄)|", better: "lower", unit: "" },
  data: [],
  peers: 2,
  stepsPerEpoch: () => 1,
  open: () =>
    Promise.resolve({
      start: () => ({
        params: { x: { shape: [1], data: Float64Array.of(-1) } },
        dtype: "float64",
        gradient: (peer, params, gradients) => {
          const [x, g] = [params["x"]?.data, gradients["x"]?.data];
          if (x !== undefined && g !== undefined) {
            g[0] = counterexampleGradient(peer, x[0] as number);
          }
          return 0;
        },
        evaluate: (params) => Promise.resolve(Math.abs(3 * (params["x"]?.data[0] as number) - 1)),
      }),
    }),
};

export const swarmProblems: readonly SwarmProblem[] = [
  pictures("mnist-softmax"),
  pictures("mnist-mlp"),
  pictures("mnist-lenet"),
  counterexample,
];
