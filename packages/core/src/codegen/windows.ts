/**
 * Sliding windows: M = Σ_{i<L} dⁱ·aₜ₋ᵢ, in constant time a step.
 *
 *     M ← d·M + aₜ − dᴸ·aₜ₋ᴸ            continued
 *     M ← (…(d·aₜ₋ᴸ₊₁ + aₜ₋ᴸ₊₂)·d + …)·d + aₜ   summed anew
 *
 * The continued form drifts (4e-7 over 1e5 steps at d = 0.9, measured), keeps a NaN for ever, and at d = 1
 * forgets nothing. So each step sums one block in REFRESH anew: no element is older than REFRESH steps.
 */

import { add, delay, mul, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";

type Window = Expr & { op: "window" };

/** Steps after which every block has been summed anew. */
export const REFRESH = 64;

/** Key of the state that carries the continued sum of a program's window number `index`. */
export function windowState(index: number): string {
  return `window${index}`;
}

export function recursiveWindow({ a, decay, length }: Window, state: Expr): Expr {
  return sub(add(mul(decay, state), a), mul(decay ** length, delay(a, length)));
}

export function directWindow({ a, decay, length }: Window): Expr {
  let sum = delay(a, length - 1);
  for (let age = length - 2; age >= 1; age--) {
    sum = add(mul(decay, sum), delay(a, age));
  }
  return add(mul(decay, sum), a);
}

/**
 * The elements that step number `t` sums anew, of `total` in a segment of the arena: [start, end), in
 * multiples of 8 so that reductions keep their partials. By place in the arena, not in a run: whichever
 * leaves run together, each element has its turn every REFRESH steps of its own.
 */
export function refreshRange(t: number, total: number): readonly [start: number, end: number] {
  const block = Math.ceil(total / REFRESH / 8) * 8;
  const start = (t % REFRESH) * block;
  return [start, start + block];
}
