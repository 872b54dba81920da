/** adastra/data: the data sets, read and checked, and batches of them. */

export {
  type BrownDocument,
  brownData,
  findBrown,
  loadBrown,
  type Split,
} from "./brown.ts";
export { type DataSetEntry, type DataState, dataSets, stateOf } from "./catalogue.ts";
export { type Cifar10, cifar10Classes, findCifar10, loadCifar10 } from "./cifar10.ts";
export {
  type ColourMnistOptions,
  colourDigits,
  colourMnist,
  colourMnistShape,
  type DrawImage,
} from "./colourMnist.ts";
export type { DataFile, DataOptions, DataSet, FileHash } from "./dataset.ts";
export { type Download, type DownloadOptions, downloadData } from "./download.ts";
export { fashionClasses, fashionData, findFashion, loadFashion } from "./fashion.ts";
export { drawGlyph, glyphSize } from "./glyphs.ts";
export {
  type HanziCharacter,
  type HanziSplit,
  hanziData,
  loadHanzi,
  type Stroke,
} from "./hanzi.ts";
export {
  batchFiller,
  emptyBatch,
  type ImageBatch,
  type ImageSet,
  inOrder,
  shuffle,
  validationSplit,
} from "./images.ts";
export type { ImageData } from "./labelledIdx.ts";
export { findMnist, loadMnist, type Mnist, mnistData } from "./mnist.ts";
export { bigramPerplexity, unigramPerplexity } from "./perplexity.ts";
export {
  characterTokens,
  type TokenArray,
  type TokenDocument,
  type TokenSet,
  type Vocabulary,
  wordTokens,
} from "./tokens.ts";
export { emptyTokenBatch, type TokenBatch, windowCount, windowFiller } from "./windows.ts";
