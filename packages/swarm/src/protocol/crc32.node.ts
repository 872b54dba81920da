/** CRC-32 as zlib computes it; `browser` in package.json puts crc32.browser.ts in its place. */

import * as zlib from "node:zlib";

/** The checksum of bytes that follow those of `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  // zlib takes no bytes at no address for a request to begin anew.
  return bytes.length === 0 ? before : zlib.crc32(bytes, before);
}
