/** A language model on one thread, and what a trial sees of it. */

import { type Leaves, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import { inOrder, shuffle } from "../data/images.ts";
import type { TokenSplits } from "../data/tokens.ts";
import { emptyTokenBatch, windowCount, windowFiller } from "../data/windows.ts";
import type { OpenProblem, Task } from "./problem.ts";
import { createKeeper } from "./stateKeeper.ts";

export interface LanguagePlan {
  /** [length] tokens to [length, vocabulary] logits of the next ones. */
  readonly model: nn.Layer;
  /** Windows in a gradient. */
  readonly batch: number;
  readonly length: number;
}

/** Compiles a language model; the loss is the mean cross-entropy of a token, in nats. */
export async function openLanguage(
  { model, batch, length }: LanguagePlan,
  { train, valid, test }: TokenSplits,
): Promise<OpenProblem> {
  const initialise = (seed: number) => model.init(mulberry32(seed).fork("initialise"), [length]);
  const initialState = (seed: number) => model.initState(mulberry32(seed).fork("state"), [length]);
  const windows = emptyTokenBatch(batch, length);
  const params = initialise(0);
  const keeper = createKeeper(initialState(0));
  const example = { ...windows };
  const gradients = await compile(
    (p, { inputs, targets }, mode) => nn.softmaxCrossEntropy(model.apply(p, inputs, mode), targets),
    { params, example, state: keeper.live },
  );
  const scores = await compileForward(
    (p, { inputs, targets }, mode) => {
      const logits = model.apply(p, inputs, mode);
      const losses = Array.from({ length: batch }, (_, row) =>
        nn.softmaxCrossEntropy(logits.slice(0, row, row + 1), targets.slice(0, row, row + 1)),
      );
      return Object.fromEntries(losses.map((loss, row) => [String(row), loss]));
    },
    { params, example, state: keeper.live },
  );

  return {
    start: ({ seed, phase }): Task => {
      const order = inOrder(windowCount(train.length, length));
      const random = mulberry32(seed).fork("order");
      const stepsPerEpoch = Math.floor(order.length / batch);
      const fill = windowFiller(train, length);
      const takeState = keeper.claim(initialState(seed));
      let step = 0;
      return {
        params: initialise(seed),
        dtype: "float32",
        stepsPerEpoch,
        gradient: async (current, into) => {
          takeState();
          const position = step % stepsPerEpoch;
          if (position === 0) {
            shuffle(order, random);
          }
          fill(windows, order, position * batch);
          step += 1;
          return (await gradients.run(example, current, into)).loss;
        },
        evaluate: (current) => {
          takeState();
          return score(phase === "tune" ? valid : test, current);
        },
      };
    },
  };

  /** Perplexity over every window of `tokens`; the last batch is filled up with its last window, not counted. */
  async function score(tokens: Int32Array, current: Leaves) {
    const fill = windowFiller(tokens, length);
    const count = windowCount(tokens.length, length);
    const order = new Uint32Array(Math.ceil(count / batch) * batch).map((_, i) =>
      Math.min(i, count - 1),
    );
    let sum = 0;
    for (let first = 0; first < count; first += batch) {
      fill(windows, order, first);
      const losses = await scores.run(example, current);
      for (let row = 0; row < Math.min(batch, count - first); row++) {
        sum += losses[row]?.data[0] ?? Number.NaN;
      }
    }
    return { loss: sum / count, metric: Math.exp(sum / count) };
  }
}
