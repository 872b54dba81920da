/**
 * Randomness as a function of its place, so that whoever computes an element, in whatever order, draws the same.
 *
 *     u(i) = ⌊h / 2⁸⌋ / 2²⁴,   h = mix(mix(i) + key + salt)   in integers modulo 2³²
 *
 * i is the element's index within its leaf, `key` belongs to a call of the optimizer on a leaf, `salt` to the stream
 * that the program names. `mix` is a bijection of 32 bits.
 *
 * @see C. Wellons, lowbias32 (public domain), https://github.com/skeeto/hash-prospector
 */

import { fnv1a } from "../random.ts";

/** The multipliers of `mix`; the shifts between them are 16, 15, 16. */
export const MIX: readonly [number, number] = [0x7feb352d, 0x846ca68b];

export function mix(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), MIX[0]);
  h = Math.imul(h ^ (h >>> 15), MIX[1]);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The draw of an element: uniform in [0, 1), a multiple of 2⁻²⁴. */
export function uniformAt(index: number, key: number, salt: number): number {
  return (mix(mix(index) + key + salt) >>> 8) * 2 ** -24;
}

/** The salt of a stream. */
export function saltOf(stream: string): number {
  return mix(fnv1a(stream, 0));
}

/** The key of one call on a leaf: call 0 is step number `t` itself, calls 1, 2, … come before it. */
export function keyOf(seed: number, path: string, t: number, call: number): number {
  return [fnv1a(path, 0), t, call].reduce((key, part) => mix(mix(part) + key), mix(seed));
}
