/** The WebAssembly SIMD backend: the kernels of one `load` are one module over the memory they are given. */

import type { Backend, BackendMemory, DType, Kernel } from "../kernel.ts";
import { frameAddresses, frameAt } from "../kernel.ts";
import { allocated, requireAddressable } from "../memory.ts";
import { identifiers } from "../names.ts";
import { MEMORY_IMPORT, moduleBytes } from "./assembler.ts";
import { lowerKernel } from "./lower.ts";
import { functionText } from "./text.ts";

const PAGE = 65536;

/** Compiles kernels to SIMD loops; needs WebAssembly with 128-bit SIMD and a policy that permits compiling it. */
export const wasmBackend: Backend = {
  name: "wasm",
  allocate(bytes) {
    requireAddressable(bytes);
    const pages = Math.ceil(bytes / PAGE);
    const memory = { initial: pages, maximum: pages };
    return allocated(bytes, () => {
      const wasm = new WebAssembly.Memory(memory);
      return { buffer: wasm.buffer, wasm };
    });
  },
  load(kernels, dtype, memory, scratch) {
    const functions = instantiate(kernels, dtype, memory);
    const addresses = frameAddresses(kernels, scratch);
    return kernels.map((kernel, k) => {
      const [run, address] = [functions[k]!, addresses[k]!];
      return { frame: frameAt(kernel, memory.buffer, address), run: () => run(address) };
    });
  },
};

/** The module's functions, in the order of the kernels; each takes the address of a frame. */
function instantiate(
  kernels: readonly Kernel[],
  dtype: DType,
  { wasm }: BackendMemory,
): ((frame: number) => void)[] {
  if (wasm === undefined) {
    throw new TypeError(
      "load: `memory` must hold a WebAssembly.Memory, got an ArrayBuffer; allocate it with the same backend",
    );
  }
  const name = identifiers([]);
  const functions = kernels.map((kernel) => lowerKernel(kernel, dtype, name(kernel.name)));
  const module = new WebAssembly.Module(moduleBytes(functions));
  const { exports } = new WebAssembly.Instance(module, {
    [MEMORY_IMPORT.module]: { [MEMORY_IMPORT.name]: wasm },
  });
  // `lowerKernel` gives every function one i32 parameter and no result.
  return functions.map((f) => exports[f.name] as (frame: number) => void);
}

/** A kernel's function as WebAssembly text, to be read and compared. */
export function emitWat(kernel: Kernel, dtype: DType): string {
  return functionText(lowerKernel(kernel, dtype, identifiers([])(kernel.name)));
}
