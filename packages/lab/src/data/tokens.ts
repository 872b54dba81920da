/** Documents as token ids: by words or by characters, with a vocabulary from what is trained on. */

import type { BrownDocument, Split } from "./brown.ts";

export interface Vocabulary {
  /** Tokens by id; the last one is `<unknown>`, which stands for all others. */
  readonly tokens: readonly string[];
  readonly unknown: number;
  readonly idOf: (token: string) => number;
}

export interface TokenDocument extends Pick<BrownDocument, "name" | "genre" | "split"> {
  /** A view on its split's tokens. */
  readonly tokens: TokenArray;
}

/** Memory that threads share. */
export type TokenArray = Int32Array<SharedArrayBuffer>;

/** A corpus as ids: whole splits to train language models on, documents to be clients. */
export interface TokenSet extends Readonly<Record<Split, TokenArray>> {
  readonly vocabulary: Vocabulary;
  readonly documents: readonly TokenDocument[];
}

/** What threads share of a corpus to train and score a language model. */
export interface TokenSplits extends Readonly<Record<Split, TokenArray>> {
  /** Tokens there are. */
  readonly vocabulary: number;
}

/** Ends a sentence. */
export const sentenceEnd = "<eos>";
export const unknown = "<unknown>";

/** Most frequent words of the training documents that have an id of their own, the end of a sentence among them. */
const words = 9999;

/**
 * Words in lower case, each sentence ended by `<eos>`; a vocabulary of the 9,999 most frequent tokens of the training
 * documents and `<unknown>`, 10,000 in all. Equally frequent ones are taken in the order of their code units.
 */
export function wordTokens(documents: readonly BrownDocument[]): TokenSet {
  return tokenSet(documents, words, ({ sentences }) =>
    sentences.flatMap((sentence) => [...sentence.map((word) => word.toLowerCase()), sentenceEnd]),
  );
}

/**
 * Characters as printed, words between single spaces, a sentence a line; a vocabulary of all characters of the training
 * documents and `<unknown>`.
 */
export function characterTokens(documents: readonly BrownDocument[]): TokenSet {
  return tokenSet(documents, Number.POSITIVE_INFINITY, ({ sentences }) =>
    sentences.map((sentence) => `${sentence.join(" ")}\n`).join(""),
  );
}

/** Tokens, or a text whose characters are; latin1 has one UTF-16 unit a character. */
type Text = readonly string[] | string;

function tokenSet(
  documents: readonly BrownDocument[],
  limit: number,
  tokenise: (document: BrownDocument) => Text,
): TokenSet {
  const tokenised = documents.map((document) => ({ document, tokens: tokenise(document) }));
  const vocabulary = vocabularyOf(
    tokenised.filter(({ document }) => document.split === "train").map(({ tokens }) => tokens),
    limit,
  );
  const shared = (split: Split): TokenArray => {
    const count = tokenised
      .filter(({ document }) => document.split === split)
      .reduce((sum, { tokens }) => sum + tokens.length, 0);
    return new Int32Array(new SharedArrayBuffer(4 * count));
  };
  const splits = { train: shared("train"), valid: shared("valid"), test: shared("test") };
  const filled = { train: 0, valid: 0, test: 0 };
  return {
    ...splits,
    vocabulary,
    documents: tokenised.map(({ document: { name, genre, split }, tokens }) => {
      const start = filled[split];
      filled[split] += tokens.length;
      const view = splits[split].subarray(start, filled[split]);
      let i = 0;
      for (const token of tokens) {
        view[i++] = vocabulary.idOf(token);
      }
      return { name, genre, split, tokens: view };
    }),
  };
}

/** The `limit` most frequent tokens, most frequent first, and `<unknown>`. */
export function vocabularyOf(texts: readonly Text[], limit: number): Vocabulary {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const token of text) {
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
  }
  const kept = [...counts]
    .sort(([a, often], [b, seldom]) => seldom - often || (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([token]) => token);
  const ids = new Map(kept.map((token, id) => [token, id]));
  return {
    tokens: [...kept, unknown],
    unknown: kept.length,
    idOf: (token) => ids.get(token) ?? kept.length,
  };
}
