/** Moving typed arrays between threads instead of copying them. */

import { isShared } from "../sharedMemory.ts";

/** A message, and the buffers that go with it. */
export interface Parcel {
  readonly value: unknown;
  readonly buffers: ArrayBuffer[];
}

/** WebAssembly memory comes in pages of this size, and cannot be moved. */
const PAGE = 65_536;

/**
 * A value with its typed arrays ready to be moved: those that fill their buffer as they are, views on a part of one, such
 * as an optimizer's parameters on its memory, copied first. Shared memory stays shared.
 */
export function pack(value: unknown): Parcel {
  const buffers = new Set<ArrayBuffer>();
  const walk = (each: unknown): unknown => {
    if (ArrayBuffer.isView(each) && !(each instanceof DataView)) {
      return isShared(each) ? each : own(each as Float32Array, buffers); // every typed array has `slice`
    }
    if (Array.isArray(each)) {
      return each.map(walk);
    }
    return isPlain(each)
      ? Object.fromEntries(Object.entries(each).map(([key, item]) => [key, walk(item)]))
      : each;
  };
  return { value: walk(value), buffers: [...buffers] };
}

function own(array: Float32Array, buffers: Set<ArrayBuffer>): Float32Array {
  const { buffer, byteLength } = array;
  // A buffer of whole pages may be WebAssembly's; nothing tells before it is too late.
  const isOwn = byteLength === buffer.byteLength && byteLength % PAGE !== 0;
  const owned = isOwn ? array : array.slice();
  buffers.add(owned.buffer as ArrayBuffer); // not shared
  return owned;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}
