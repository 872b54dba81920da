/**
 * @adastra/core/program: what a backend outside this package needs to run optimizers on arrays of its own.
 *
 * A program is closed and small: `toProgram` gives the expressions of one step, `specialise` takes the branches of
 * each leaf, `Rewriter` and `mergeTwins` bring them into the form that the compiler plans, `runHost` computes what is one number a step, and
 * `checkState` holds saved state to the format that every backend shares. `evaluateStep` is what a program
 * means by definition: hold a new backend to it. Where the arrays lie in a WebAssembly memory, `compileOver` runs
 * core's own kernels on them in place.
 */

export type { Extent } from "./arena.ts";
export { type Matrix, runHost } from "./codegen/host.ts";
export { type LeafClass, specialise } from "./codegen/specialise.ts";
export { mergeTwins } from "./codegen/twins.ts";
export { directWindow, recursiveWindow, windowState } from "./codegen/windows.ts";
export {
  type Address,
  type CompileOverOptions,
  compileOver,
  type LeafAddresses,
  type OverOptimizer,
  type OwnedMemory,
  type PlacedLeaf,
} from "./compileOver.ts";
export { type EvaluatedTensor, evaluateStep, startTensor } from "./expr/evaluate.ts";
export { expandMath } from "./expr/math.ts";
export {
  type Expr,
  isMask,
  kernelOperands,
  type LeafInfo,
  matrixOf,
  type Op,
  operands,
  type ReduceOver,
  reachable,
  type Scope,
  scopeOf,
  withOperands,
} from "./expr/node.ts";
export { Rewriter } from "./expr/rewrite.ts";
export { drawsAnything, roundsToFewerBits, verifyProgram } from "./expr/verify.ts";
export {
  type Hyperparameters,
  type Optimizer,
  type Program,
  requireOptimizer,
  type StateSpec,
  toProgram,
} from "./optimizer.ts";
export {
  checkState,
  type LeafState,
  type OptimizerState,
  type StateShape,
  type TensorShape,
} from "./state.ts";
