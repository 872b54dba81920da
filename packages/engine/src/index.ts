/** @adastra/engine: models and losses in TypeScript, gradients traced by jax-js and executed by ONNX Runtime. */

import * as nn from "./nn/index.ts";

export {
  type CompiledForward,
  type CompiledGradient,
  type CompileOptions,
  compile,
  compileForward,
} from "./compile.ts";
export {
  BackendMismatchError,
  BatchShapeError,
  DivergedError,
  UnsupportedOpError,
} from "./errors.ts";
export type { Data, DataSource } from "./fit/data.ts";
export type { EarlyStoppingOptions } from "./fit/earlyStopping.ts";
export {
  type CheckpointOptions,
  type FitOptions,
  fit,
  type LossFunction,
  type ValidationOptions,
} from "./fit/fit.ts";
export type { Metrics, MetricsFunction } from "./fit/metrics.ts";
export type { Control, EpochReport, FitResult, StepReport } from "./fit/report.ts";
export { freeze } from "./freeze.ts";
export type { BackendName, CompileReport, Probe } from "./prepare.ts";
export type { BatchArray, BatchArrays } from "./signature.ts";
export type { Mode } from "./trace/mode.ts";
export type { Origin } from "./trace/origin.ts";
export type { LossResult, Traced } from "./trace/trace.ts";
export type { ReduceOptions, Value } from "./trace/value.ts";
export { nn };
