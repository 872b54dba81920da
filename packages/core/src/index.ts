/** @adastra/core: optimizers as expression programs, compiled to WebAssembly SIMD and JavaScript. */

export type {
  Clock,
  GradientResult,
  GradientSource,
  Leaf,
  Leaves,
  NumericArray,
  Random,
} from "./contracts.ts";
export { NonFiniteError, ShapeMismatchError } from "./errors.ts";
export { mulberry32 } from "./random.ts";
export type { Tree } from "./tree.ts";
export { flatten, sameShape, sizeOf } from "./tree.ts";
