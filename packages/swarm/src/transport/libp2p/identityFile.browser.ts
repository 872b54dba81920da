/** Pages have no files. */

import type { Identity } from "./identity.ts";

/** @throws TypeError always. */
export function loadIdentity(path: string): Promise<Identity> {
  return Promise.reject(
    new TypeError(
      `loadIdentity: a file system expected, got a page that asks for ${path}; keep the bytes of formatIdentity() instead`,
    ),
  );
}
