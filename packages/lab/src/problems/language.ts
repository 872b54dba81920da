/** Language models of the Brown corpus, scored by perplexity on its test documents. */

import { cosine } from "@adastra/core";
import type { nn } from "@adastra/engine";
import { type BrownDocument, brownData, loadBrown } from "../data/brown.ts";
import { characterTokens, type TokenSet, type TokenSplits, wordTokens } from "../data/tokens.ts";
import type { Problem } from "./problem.ts";

interface Definition
  extends Pick<Problem["info"], "name" | "title" | "parameters" | "target" | "clip">,
    Pick<Problem, "budget" | "batch"> {
  /** Tokens in a window, each predicted from those before it in the window. */
  readonly length: number;
  readonly tokens: (documents: readonly BrownDocument[]) => TokenSet;
  readonly model: (layers: typeof nn, vocabulary: number, length: number) => nn.Layer;
}

/**
 * The target is what a Kneser-Ney bigram reaches. Gradients are clipped, as recurrent language models are usually trained:
 * without it AdaShift takes no rate above 0.01, and one early spike scales its steps for a thousand.
 */
export const brownLstm: Problem<TokenSplits> = languageProblem({
  name: "brown-lstm",
  title: "Brown corpus by words, LSTM of 256 units, 10,000 words",
  parameters: 3_095_312,
  clip: 0.25,
  target: 161.5,
  budget: { trials: 2, seeds: 1, epochs: 6, tuningEpochs: 1 },
  batch: 16,
  length: 64,
  tokens: wordTokens,
  model: (layers, vocabulary) => layers.lstmLm({ vocabulary, size: 256, dropout: 0.3 }),
});

export const brownGpt: Problem<TokenSplits> = languageProblem({
  name: "brown-gpt",
  title: "Brown corpus by characters, transformer of two blocks of 128",
  parameters: 424_278,
  target: 5,
  budget: { trials: 2, seeds: 1, epochs: 2, tuningEpochs: 1 },
  batch: 32,
  length: 128,
  tokens: characterTokens,
  model: (layers, vocabulary, length) =>
    layers.gptMini({ vocabulary, length, size: 128, heads: 4, blocks: 2 }),
});

function languageProblem({
  batch,
  length,
  tokens,
  model,
  budget,
  ...info
}: Definition): Problem<TokenSplits> {
  return {
    info: {
      ...info,
      data: brownData,
      metric: { name: "test perplexity", better: "lower", unit: "" },
    },
    batch,
    budget,
    evaluationsPerEpoch: 1,
    engine: "onnxruntime-cpu",
    setting: {},
    schedule: (learningRate, totalSteps) => cosine(learningRate, totalSteps),
    load: () => {
      const { train, valid, test, vocabulary } = tokens(loadBrown());
      return { train, valid, test, vocabulary: vocabulary.tokens.length };
    },
    open: async (splits) => {
      const { nn: layers } = await import("@adastra/engine");
      const { openLanguage } = await import("./languageTask.ts");
      return openLanguage(
        { model: model(layers, splits.vocabulary, length), batch, length },
        splits,
      );
    },
  };
}
