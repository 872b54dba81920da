/** Memory for the backends: its size is fixed when it is made, because growing would detach every view on it. */

import type { BackendMemory } from "./kernel.ts";

/** What 32-bit addresses reach. */
export const MAX_BYTES: number = 2 ** 32;

/**
 * What `make` returns; its refusal becomes an error that says how much was asked for.
 *
 * @throws RangeError for more than there is, or than 4 GiB.
 */
export function allocated<T>(bytes: number, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new RangeError(
      `allocate: memory must be available, at most 4 GiB, got a refusal of ${bytes} bytes; free memory or shard the parameters over several optimizers`,
      { cause },
    );
  }
}

/** Zeroed memory outside WebAssembly, a multiple of 16 bytes. */
export function allocateBuffer(bytes: number): BackendMemory {
  // Above what addresses reach, an array of no possible length: refused like any that is too long.
  const length = bytes <= MAX_BYTES ? Math.ceil(bytes / 16) * 16 : Number.POSITIVE_INFINITY;
  return allocated(bytes, () => ({ buffer: new ArrayBuffer(length) }));
}
