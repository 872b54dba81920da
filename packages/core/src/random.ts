/** The seeded generator behind every draw in Adastra. */

import type { Random } from "./contracts.ts";

/**
 * mulberry32: a 32-bit state, a period of 2³², uniform draws of 32 bits.
 *
 * Good enough for shuffles, initialisation and synthetic problems; not for cryptography.
 * `normal` takes two uniforms (Box-Muller) and keeps neither, so that state stays one integer.
 *
 * @see T. Ettinger, mulberry32 (public domain); check values: seed 1 gives 0.6270739405881613, 0.002735721180215478
 */
export function mulberry32(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return {
    next,
    integer: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    fork: (label) => mulberry32(fnv1a(label, seed)),
    save: () => state,
    restore: (saved) => {
      state = saved >>> 0;
    },
  };
}

/** FNV-1a over the label's UTF-16 units, started from the parent's seed. */
export function fnv1a(label: string, start: number): number {
  let value = (0x811c9dc5 ^ start) >>> 0;
  for (let i = 0; i < label.length; i++) {
    value = Math.imul(value ^ label.charCodeAt(i), 0x01000193) >>> 0;
  }
  return value;
}
