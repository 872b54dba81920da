/** @adastra/engine/tfjs: optimizers as optimizers of TensorFlow.js. */

export { type Execution, TfOptimizer, type TfOptions, toTf } from "./toTf.ts";
export type { NamedTensor } from "./weights.ts";
