/**
 * bfloat16: the upper 16 bits of a float32, so sign, 8 bits of exponent and 7 of fraction.
 *
 *     nearest(x)        (b + 7fff₁₆ + bit 16 of b) with the lower 16 bits cleared, b the bits of x: ties to even
 *     stochastic(x, u)  (b + r) with the lower 16 bits cleared, r = ⌊u·2¹⁶⌋ brought into [0, 2¹⁶ − 1], NaN to 0
 *
 * A carry out of the fraction goes to the exponent, and from the largest numbers to ∞. ±∞ stays, NaN becomes the quiet
 * NaN. The result is a float32 whose lower half is 0: kept in 16 bits without loss.
 */

export interface Bf16Operations {
  /** Of a number that is taken as the float32 nearest to it. */
  readonly nearest: (x: number) => number;
  readonly stochastic: (x: number, u: number) => number;
  /** From the 16 bits to the number, and from the number to its upper 16 bits. */
  readonly widen: (half: number) => number;
  readonly upper: (x: number) => number;
}

export function bf16Operations(): Bf16Operations {
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  const rounded = (x: number, carry: (b: number) => number): number => {
    float[0] = x;
    const b = bits[0] as number;
    bits[0] = (b + carry(b)) & 0xffff0000;
    return Number.isNaN(x) ? x : (float[0] as number);
  };
  return {
    nearest: (x) => rounded(x, (b) => 0x7fff + ((b >>> 16) & 1)),
    stochastic: (x, u) => rounded(x, () => (u >= 1 ? 0xffff : u > 0 ? Math.floor(u * 0x10000) : 0)),
    widen: (half) => {
      bits[0] = half << 16;
      return float[0] as number;
    },
    upper: (x) => {
      float[0] = x;
      // The engine may write a NaN with any payload; this one has its bits in the upper half.
      return Number.isNaN(x) ? 0x7fc0 : (bits[0] as number) >>> 16;
    },
  };
}
