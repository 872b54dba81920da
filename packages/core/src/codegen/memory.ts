/** Memory for the backends: its size is fixed when it is made, because growing would detach every view on it. */

import { requireThat } from "../errors.ts";
import type { BackendMemory } from "./kernel.ts";

/** What 32-bit addresses reach. */
export const MAX_BYTES: number = 2 ** 32;

/**
 * Refuses sizes that no backend can address.
 *
 * @throws RangeError above 4 GiB.
 */
export function requireAddressable(bytes: number): void {
  requireThat(
    Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= MAX_BYTES,
    "allocate",
    "`bytes` must be an integer of at most 4294967296 (4 GiB)",
    bytes,
    "shard the parameters over several optimizers",
  );
}

/** What `make` returns; a refusal of the host becomes an error that says how much was asked for. */
export function allocated<T>(bytes: number, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new RangeError(
      `allocate: ${bytes} bytes must be available, got a refusal from the JavaScript host; free memory or shard the parameters over several processes`,
      { cause },
    );
  }
}

/** Zeroed memory outside WebAssembly, a multiple of 16 bytes. */
export function allocateBuffer(bytes: number): BackendMemory {
  requireAddressable(bytes);
  return allocated(bytes, () => ({ buffer: new ArrayBuffer(Math.ceil(bytes / 16) * 16) }));
}
