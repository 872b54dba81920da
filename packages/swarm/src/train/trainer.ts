/** What a peer trains: the numbers that it exchanges, its gradients, and its steps. */

import {
  type Changes,
  type CompiledOptimizer,
  type CompileOptions,
  compileOptimizer,
  type DType,
  type Leaves,
  type NumericArray,
  type OptimizerState,
  type Schedule,
  type Tree,
} from "@adastra/core";
import type { Method } from "../methods/framework.ts";
import { createMixer, type Mixer, type Pull } from "./mixer.ts";
import type { Values } from "./values.ts";

/** One peer's share of a run, without the exchange. */
export interface Trainer {
  readonly dtype: DType;
  /** Numbers of one vector. */
  readonly parameters: number;
  /** Vectors exchanged: x, and ũ where the method has one. */
  readonly vectors: number;
  /** Whether what is exchanged stands before the gradient of the step. */
  readonly delayed: boolean;
  /** Steps taken. */
  readonly count: number;
  /** Loss of the last gradient. */
  readonly loss: number;
  readonly optimizer: CompiledOptimizer;
  /** Copies what is exchanged. */
  read(into: Values): void;
  /** What is exchanged becomes `values`, as of a peer that was there: v̂ then starts at ũ. */
  adopt(values: Values): void;
  /** The graph or its peers changed: ũ starts at v̂, so that their means are equal whoever the peers are. */
  beginEpoch(): void;
  /** Adds Σ share · (theirs − mine) to what is exchanged, or to one of its vectors. */
  mix(pulls: readonly Pull[], vector?: number): void;
  /** Takes the gradient of the parameters as they stand. */
  prepare(): Promise<void> | void;
  /** Takes the step, after mixing, and the local steps that follow it. */
  advance(): Promise<void> | void;
  save(): OptimizerState;
  load(state: OptimizerState): void;
}

export interface TrainerOptions {
  readonly method: Method;
  /** The parameters to start from, the same at every peer. */
  readonly params: Tree;
  readonly learningRate: number | Schedule;
  readonly hyperparameters?: Changes;
  /** Writes the gradient of a batch of the peer's own data at `params`; returns the loss. `step` counts from 0. */
  readonly gradient: (params: Leaves, gradients: Leaves, step: number) => Promise<number> | number;
  /** Gradient steps a round, the first after mixing and the others on the peer's own; default 1. */
  readonly localSteps?: number;
  /** Default float32. */
  readonly dtype?: DType;
  /** As in `compileOptimizer`. */
  readonly backend?: NonNullable<CompileOptions["backend"]>;
  /** As from `createMixer`, for peers of one process; default its own. */
  readonly mixer?: Mixer;
}

/**
 * Binds a method to a peer's parameters and gradients.
 *
 * @throws what `compileOptimizer` throws, and RangeError for `localSteps` below 1.
 */
export function createTrainer({
  method,
  params,
  learningRate,
  hyperparameters = {},
  gradient,
  localSteps = 1,
  dtype = "float32",
  backend = "auto",
  mixer,
}: TrainerOptions): Trainer {
  if (!(Number.isSafeInteger(localSteps) && localSteps >= 1)) {
    throw new RangeError(
      `createTrainer: \`localSteps\` must be an integer of at least 1, got ${localSteps}`,
    );
  }
  const optimizer = compileOptimizer(method.optimizer, {
    params,
    learningRate,
    hyperparameters,
    dtype,
    backend,
  });
  if (!method.delayed) {
    optimizer.step(); // the call that ends the round before the first: it has nothing to move by
  }
  const arraysOf = (leaves: Leaves): NumericArray[] =>
    Object.values(leaves).map(({ data }) => data);
  const vectors = [
    arraysOf(optimizer.params),
    ...method.exchanged.map((key) => arraysOf(optimizer.views(key))),
  ];
  const parameters = (vectors[0] ?? []).reduce((sum, data) => sum + data.length, 0);
  const mixInto = mixer ?? createMixer(vectors.length * parameters, dtype, backend);
  const all = vectors.flat();
  const moments = (): readonly (readonly [vhat: NumericArray, utilde: NumericArray])[] => {
    if (!method.exchanged.includes("utilde")) {
      return [];
    }
    const utilde = arraysOf(optimizer.views("utilde"));
    return arraysOf(optimizer.views("vhat")).map((data, i) => [data, utilde[i] as NumericArray]);
  };
  let taken = 0;
  let loss = Number.NaN;

  /** Resolves at once where the gradient does not take its time: a simulator runs a thousand peers. */
  const takeGradient = (then: () => void): Promise<void> | void => {
    const result = gradient(optimizer.params, optimizer.gradients, taken);
    const settle = (value: number): void => {
      taken += 1;
      loss = value;
      then();
    };
    return typeof result === "number" ? settle(result) : result.then(settle);
  };
  const localStep = (): Promise<void> | void =>
    takeGradient(() => {
      if (!method.delayed) {
        optimizer.step();
      }
      optimizer.step();
    });

  return {
    dtype,
    parameters,
    vectors: vectors.length,
    delayed: method.delayed,
    get count() {
      return optimizer.count;
    },
    get loss() {
      return loss;
    },
    optimizer: optimizer as CompiledOptimizer,
    read: (into) => {
      let at = 0;
      for (const data of all) {
        into.set(data, at);
        at += data.length;
      }
    },
    adopt: (values) => {
      let at = 0;
      for (const data of all) {
        data.set(values.subarray(at, at + data.length));
        at += data.length;
      }
      for (const [vhat, utilde] of moments()) {
        vhat.set(utilde);
      }
    },
    beginEpoch: () => {
      for (const [vhat, utilde] of moments()) {
        utilde.set(vhat);
      }
    },
    mix: (pulls, vector) =>
      vector === undefined
        ? mixInto(all, pulls, 0)
        : mixInto(vectors[vector] ?? [], pulls, vector * parameters),
    prepare: () =>
      takeGradient(() => {
        if (!method.delayed) {
          optimizer.step();
        }
      }),
    advance: () => {
      optimizer.step();
      return localSteps === 1 ? undefined : repeat(localSteps - 1, localStep);
    },
    save: () => optimizer.save(),
    load: (state) => {
      optimizer.load(state);
      if (!method.delayed && optimizer.phase === 0) {
        optimizer.step(); // saved within a round, between the local part and the move
      }
      taken = optimizer.count;
    },
  };
}

async function repeat(times: number, run: () => Promise<void> | void): Promise<void> {
  for (let i = 0; i < times; i++) {
    await run();
  }
}
