/** Fashion-MNIST: 60,000 pictures of clothes to train on and 10,000 to test on, 28x28 bytes, in ten classes. */

import {
  type DataOptions,
  type DataSet,
  type FileHash,
  findData,
  publishedHashes,
} from "./dataset.ts";
import { type ImageData, labelledIdxFiles, loadLabelledIdx } from "./labelledIdx.ts";

export const fashion: DataSet = {
  name: "fashion-mnist",
  version: "1",
  files: labelledIdxFiles({
    trainImages: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    trainLabels: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    testImages: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    testLabels: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
  }),
  systemFolder: "/usr/share/datasets/fashion-mnist",
  download: {
    from: "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
  },
  advice:
    "run adastra data --fetch fashion-mnist, install the Debian package dataset-fashion-mnist, or pass a folder with the four IDX files",
};

/** What stands in a result file about the data. */
export const fashionData: readonly FileHash[] = publishedHashes(fashion);

/** The classes, by label. */
export const fashionClasses = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
] as const;

/**
 * The folder of the IDX files: `folder`, else `fashion-mnist/1` or `fashion-mnist` in the environment's
 * `ADASTRA_DATA_DIR` or the cache, else that of Debian's package `dataset-fashion-mnist`.
 *
 * @throws Error saying where was looked and how to get the files.
 */
export function findFashion(options: DataOptions = {}): string {
  return findData("findFashion", fashion, options);
}

/**
 * Reads Fashion-MNIST, each file's SHA-256 checked, decompressed, before a byte of it is used.
 *
 * @throws Error naming the file that is missing or has other bytes than the published ones.
 * @see Xiao, Rasul & Vollgraf 2017, https://arxiv.org/abs/1708.07747
 */
export function loadFashion(options: DataOptions = {}): ImageData {
  return loadLabelledIdx(
    { find: "findFashion", load: "loadFashion" },
    fashion,
    { mean: 0.28604, std: 0.35302 },
    options,
  );
}
