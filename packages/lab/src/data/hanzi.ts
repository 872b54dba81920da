/**
 * HanziStrokes: Chinese characters as the middle lines of their strokes, in writing order, of the project Make Me a Hanzi.
 *
 * A file a character, `<character>.json`, with `medians`: points of each stroke on a grid of 1024, y upwards from −124 to
 * 900. 1,600 of the 9,574 characters are used, by a fixed draw, each in one split alone.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mulberry32 } from "@adastra/core";
import { type DataOptions, type DataSet, type FileHash, findData } from "./dataset.ts";
import { inOrder, shuffle } from "./images.ts";

export const hanzi: DataSet = {
  name: "hanzi-strokes",
  version: "2.0.1",
  files: [
    {
      name: "一.json",
      bytes: 373,
      hash: ["sha256", "ed728673d86fb9aa559c5b150e59ffbee666b085d4a55597c524079a91ebc8ce"],
    },
  ],
  packageFile: "hanzi-writer-data/一.json",
  advice: "run npm install hanzi-writer-data@2.0.1, or pass that package's folder",
};

/** SHA-256 of the files of the 1,600 characters one after the other, in the order of the draw. */
const charactersSha256 = "bb5e7eb8be03a1068fea3b29472245659965cf2bd1ae996a038f0f9dee6617f7";

/** What stands in a result file about the data. */
export const hanziData: readonly FileHash[] = [
  { name: "hanzi-strokes/*.json", sha256: charactersSha256 },
];

export type HanziSplit = "train" | "valid" | "test";

/** Points (x, y) in ±1, y upwards. */
export type Stroke = readonly (readonly [x: number, y: number])[];

export interface HanziCharacter {
  readonly character: string;
  readonly split: HanziSplit;
  readonly strokes: readonly Stroke[];
}

/** Characters of each split, in the order of the draw. */
const counts: Readonly<Record<HanziSplit, number>> = { train: 1000, valid: 200, test: 400 };

/** Which characters are used; a property of the data set. */
const drawSeed = 20_190_617;

/**
 * Reads the 1,600 characters, their SHA-256 checked before one is parsed.
 *
 * @throws Error naming what is missing, or when the files have other bytes than the published ones.
 * @see https://github.com/skishore/makemeahanzi, whose data are under the Arphic Public License
 */
export function loadHanzi(options: DataOptions = {}): readonly HanziCharacter[] {
  const folder = findData("loadHanzi", hanzi, options);
  const names = readdirSync(folder)
    .filter((name) => /^.\.json$/u.test(name))
    .toSorted((a, b) => (a < b ? -1 : 1));
  const order = shuffle(inOrder(names.length), mulberry32(drawSeed));
  const splits = (Object.keys(counts) as HanziSplit[]).flatMap((split) =>
    Array.from({ length: counts[split] }, () => split),
  );
  const drawn = splits.map((split, i) => ({ split, name: names[order[i] ?? 0] ?? "" }));
  const texts = drawn.map(({ name }) => readFileSync(join(folder, name)));
  const hash = createHash("sha256");
  for (const text of texts) {
    hash.update(text);
  }
  const got = hash.digest("hex");
  if (got !== charactersSha256) {
    throw new Error(
      `loadHanzi: the ${drawn.length} characters in ${folder} must have SHA-256 ${charactersSha256}, got ${got}; delete them and get the published ones`,
    );
  }
  return drawn.map(({ split, name }, i) => ({
    character: name.slice(0, -".json".length),
    split,
    strokes: strokesOf(String(texts[i])),
  }));
}

function strokesOf(text: string): Stroke[] {
  // The file's bytes are the published ones, so this is their form.
  const { medians } = JSON.parse(text) as { medians: [number, number][][] };
  return medians.map((points) =>
    points.map(([x, y]) => [(x - 512) / 512, (y - 388) / 512] as const),
  );
}
