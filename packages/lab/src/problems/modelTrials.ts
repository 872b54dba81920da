/** Trials of one compiled model: parameters, state and the order of the data by the trial's seed. */

import { type Leaves, mulberry32 } from "@adastra/core";
import type { nn } from "@adastra/engine";
import { shuffle } from "../data/images.ts";
import type { Task } from "./problem.ts";
import { createKeeper } from "./stateKeeper.ts";

export interface TrialPlan {
  readonly seed: number;
  /** Of the examples, shuffled in place each epoch. */
  readonly order: Uint32Array;
  /** Examples in a gradient. */
  readonly batch: number;
  /** Takes the gradient of the examples from `first` on in the order; resolves to their loss. */
  readonly gradient: (first: number, params: Leaves, into: Leaves) => Promise<number>;
  readonly evaluate: (params: Leaves) => ReturnType<Task["evaluate"]>;
}

/** A task that can be anywhere in its data. */
export interface ModelTask extends Task {
  /** The next gradient is that of the step after `steps`, whatever was drawn before. */
  seek(steps: number): void;
}

export interface ModelTrials {
  /** To compile with; only shapes count. */
  readonly params: Leaves<Float32Array>;
  /** To compile with: holds the state of whichever trial has its turn. */
  readonly state: Leaves<Float32Array>;
  start(plan: TrialPlan): ModelTask;
}

/** @param input - Shape of an example, without the batch axis. */
export function createTrials(model: nn.Layer, input: readonly number[]): ModelTrials {
  const initialise = (seed: number) => model.init(mulberry32(seed).fork("initialise"), input);
  const initialState = (seed: number) => model.initState(mulberry32(seed).fork("state"), input);
  const keeper = createKeeper(initialState(0));
  return {
    params: initialise(0),
    state: keeper.live,
    start: ({ seed, order, batch, gradient, evaluate }) => {
      const initial = order.slice();
      let random = mulberry32(seed).fork("order");
      const stepsPerEpoch = Math.floor(order.length / batch);
      const takeState = keeper.claim(initialState(seed));
      let step = 0;
      /** Goes on to the next batch; returns its place in the epoch. */
      const advance = (): number => {
        const position = step % stepsPerEpoch;
        if (position === 0) {
          shuffle(order, random);
        }
        step += 1;
        return position;
      };
      return {
        params: initialise(seed),
        dtype: "float32",
        stepsPerEpoch,
        gradient: (params, into) => {
          takeState();
          return gradient(advance() * batch, params, into);
        },
        seek: (steps) => {
          if (steps < step) {
            order.set(initial);
            random = mulberry32(seed).fork("order");
            step = 0;
          }
          while (step < steps) {
            advance();
          }
        },
        evaluate: (params) => {
          takeState();
          return evaluate(params);
        },
      };
    },
  };
}
