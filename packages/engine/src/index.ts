/** @adastra/engine: models and losses in TypeScript, gradients traced by jax-js and executed by ONNX Runtime. */

import * as nn from "./nn/index.ts";

export {
  type CompiledForward,
  type CompiledGradient,
  type CompileOptions,
  compile,
  compileForward,
} from "./compile.ts";
export { BackendMismatchError, BatchShapeError, UnsupportedOpError } from "./errors.ts";
export type { BackendName, CompileReport, Probe } from "./prepare.ts";
export type { BatchArray, BatchArrays } from "./signature.ts";
export type { Mode } from "./trace/mode.ts";
export type { LossResult, Traced } from "./trace/trace.ts";
export type { ReduceOptions, Value } from "./trace/value.ts";
export { nn };
