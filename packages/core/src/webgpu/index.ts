/** @adastra/core/webgpu: kernels as WGSL compute shaders, and their execution on a WebGPU device of the caller's. */

export type { Instruction, Kernel } from "../codegen/kernel.ts";
export type { WgslOptions } from "../codegen/wgsl.ts";
export { emitWgsl } from "../codegen/wgsl.ts";
export type { GpuRun } from "./batch.ts";
export type {
  GpuBuffer,
  GpuCommandEncoder,
  GpuComputePass,
  GpuDevice,
  GpuErrorFilter,
  GpuHandle,
  GpuLimits,
  GpuQueue,
  GpuShaderModule,
} from "./device.ts";
export { GpuDeviceLostError, GpuRefusalError } from "./errors.ts";
export type { GpuExecutor, GpuExecutorOptions } from "./executor.ts";
export { createGpuExecutor } from "./executor.ts";
export type { GpuOptimizer, GpuOptimizerOptions, GpuSlice } from "./optimizer.ts";
export { compileOnDevice } from "./optimizer.ts";
export type { ArithmeticTraits } from "./probe.ts";
export { probeArithmetic } from "./probe.ts";
