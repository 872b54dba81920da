/** A language model on one thread, and what a trial sees of it. */

import type { Leaves } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import { inOrder } from "../data/images.ts";
import type { TokenSplits } from "../data/tokens.ts";
import { emptyTokenBatch, windowCount, windowFiller } from "../data/windows.ts";
import { createTrials } from "./modelTrials.ts";
import type { OpenProblem } from "./problem.ts";

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
  const trials = createTrials(model, [length]);
  const { params, state } = trials;
  const windows = emptyTokenBatch(batch, length);
  const example = { ...windows };
  const gradients = await compile(
    (p, { inputs, targets }, mode) => nn.softmaxCrossEntropy(model.apply(p, inputs, mode), targets),
    { params, example, state },
  );
  const scores = await compileForward(
    (p, { inputs, targets }, mode) => {
      const logits = model.apply(p, inputs, mode);
      const losses = Array.from({ length: batch }, (_, row) =>
        nn.softmaxCrossEntropy(logits.slice(0, row, row + 1), targets.slice(0, row, row + 1)),
      );
      return Object.fromEntries(losses.map((loss, row) => [String(row), loss]));
    },
    { params, example, state },
  );

  return {
    start: ({ seed, phase }) => {
      const order = inOrder(windowCount(train.length, length));
      const fill = windowFiller(train, length);
      return trials.start({
        seed,
        order,
        batch,
        gradient: async (first, current, into) => {
          fill(windows, order, first);
          return (await gradients.run(example, current, into)).loss;
        },
        evaluate: (current) => score(phase === "tune" ? valid : test, current),
      });
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
