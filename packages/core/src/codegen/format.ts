/** The two element types as the backends see them: their IEEE 754 layout, their typed array, and the two operations on their bits. */

import type { DType } from "./kernel.ts";

export interface Format {
  readonly bytes: 4 | 8;
  /** log₂ of `bytes`: `address >>> shift` is an index that the engine knows to be an integer. */
  readonly shift: 2 | 3;
  /** Stored bits of the fraction. */
  readonly fractionBits: 23 | 52;
  /** The exponent field of 1. */
  readonly bias: 127 | 1023;
}

export function formatOf(dtype: DType): Format {
  return dtype === "float32"
    ? { bytes: 4, shift: 2, fractionBits: 23, bias: 127 }
    : { bytes: 8, shift: 3, fractionBits: 52, bias: 1023 };
}

/** All whole elements of a buffer; element `i` lies at byte `i * bytes`. */
export function elementsOf(dtype: DType, buffer: ArrayBuffer): Float32Array | Float64Array {
  return dtype === "float32"
    ? new Float32Array(buffer, 0, Math.floor(buffer.byteLength / 4))
    : new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8));
}

/** All bfloat16 of a buffer, by their bits. */
export function halvesOf(buffer: ArrayBuffer): Uint16Array {
  return new Uint16Array(buffer, 0, Math.floor(buffer.byteLength / 2));
}

export function bytesIn(buffer: ArrayBuffer): Uint8Array {
  return new Uint8Array(buffer);
}

export interface BitOperations {
  readonly exponent: (x: number) => number;
  readonly exp2i: (k: number) => number;
}

/** `exponent` and `exp2i` as `kernel.ts` defines them, on numbers that are already of the dtype. */
export function bitOperations(dtype: DType): BitOperations {
  // A DataView is big-endian by default: sign and exponent lie in the first word of either type.
  const view = new DataView(new ArrayBuffer(8));
  return dtype === "float32"
    ? {
        exponent(x) {
          view.setFloat32(0, x);
          return ((view.getUint32(0) >>> 23) & 0xff) - 127;
        },
        exp2i(k) {
          view.setUint32(0, (nearestIn(k, -127, 128) + 127) << 23);
          return view.getFloat32(0);
        },
      }
    : {
        exponent(x) {
          view.setFloat64(0, x);
          return ((view.getUint32(0) >>> 20) & 0x7ff) - 1023;
        },
        exp2i(k) {
          view.setUint32(0, (nearestIn(k, -1023, 1024) + 1023) << 20);
          view.setUint32(4, 0);
          return view.getFloat64(0);
        },
      };
}

/** The integer of [low, high] next to k, ties to even; `low` for NaN. */
function nearestIn(k: number, low: number, high: number): number {
  const clamped = k > low ? (k < high ? k : high) : low;
  // From 2⁵² to 2⁵³ the doubles are the integers, so the sum rounds to one.
  const integers = 1.5 * 2 ** 52;
  return clamped + integers - integers;
}
