/** The WebAssembly SIMD backend: the kernels of one `load` are one module over the memory they are given. */

import type { Backend, DType, Kernel } from "../kernel.ts";
import { identifiers } from "../names.ts";
import { moduleBytes } from "./assembler.ts";
import { allocateWasm, loadModule } from "./instance.ts";
import { lowerKernel } from "./lower.ts";
import { functionText } from "./text.ts";

/** Compiles kernels to SIMD loops; needs WebAssembly with 128-bit SIMD and a policy that permits compiling it. */
export const wasmBackend: Backend = {
  name: "wasm",
  allocate: (bytes) => allocateWasm(bytes),
  load(kernels, dtype, memory, scratch) {
    const { bytes, names } = compileModule(kernels, dtype);
    return loadModule(bytes, names, kernels, memory, scratch);
  },
};

/** One module of kernels, over memory that threads share or not, and the name of each one's function. */
export function compileModule(
  kernels: readonly Kernel[],
  dtype: DType,
  shared = false,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly names: readonly string[] } {
  const name = identifiers([]);
  const functions = kernels.map((kernel) => lowerKernel(kernel, dtype, name(kernel.name)));
  return { bytes: moduleBytes(functions, shared), names: functions.map((f) => f.name) };
}

/** A kernel's function as WebAssembly text, to be read and compared. */
export function emitWat(kernel: Kernel, dtype: DType): string {
  return functionText(lowerKernel(kernel, dtype, identifiers([])(kernel.name)));
}
