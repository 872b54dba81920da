/** Memory of WebAssembly, and modules of kernels over it: what runs without the compiler. */

import {
  type BackendMemory,
  frameAddresses,
  frameAt,
  type Kernel,
  type LoadedKernel,
} from "../kernel.ts";
import { allocated } from "../memory.ts";

const PAGE = 65536;

/** How a module of kernels imports the memory it works on. */
export const MEMORY_IMPORT = { module: "host", name: "memory" } as const;

/** Zeroed memory of at least so many bytes, whose size never changes; threads may share it. */
export function allocateWasm(bytes: number, shared = false): BackendMemory {
  const pages = Math.ceil(bytes / PAGE);
  const memory = { initial: pages, maximum: pages, shared };
  return allocated(bytes, () => {
    const wasm = new WebAssembly.Memory(memory);
    return { buffer: wasm.buffer, wasm };
  });
}

/**
 * Instantiates a module of kernels: function number k, called `names[k]`, runs kernel number k on the frame whose
 * address it is given.
 */
export function loadModule(
  bytes: Uint8Array<ArrayBuffer>,
  names: readonly string[],
  kernels: readonly Kernel[],
  { buffer, wasm }: BackendMemory,
  scratch: number,
): LoadedKernel[] {
  if (wasm === undefined) {
    throw new TypeError(
      "load: `memory` must hold a WebAssembly.Memory, got an ArrayBuffer; allocate it with the same backend",
    );
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    [MEMORY_IMPORT.module]: { [MEMORY_IMPORT.name]: wasm },
  });
  const addresses = frameAddresses(kernels, scratch);
  return kernels.map((kernel, k) => {
    // The compiler gives every function one i32 parameter and no result.
    const run = exports[names[k] as string] as (frame: number) => void;
    const address = addresses[k] as number;
    return { frame: frameAt(kernel, buffer, address), run: () => run(address) };
  });
}
