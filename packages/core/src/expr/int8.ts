/**
 * 8 bits a number, block by block: 256 numbers of a leaf, in their order, share a float32 scale; each keeps a byte.
 *
 *     x ≈ ± s · (c/n)⁴        s the block's largest magnitude, c = 0, 1, …, n
 *     no number below 0       n = 255, code = c           scale =  s
 *     some                    n = 127, code = 128 ± c     scale = −s
 *
 *     nearest(x)        c = ⌊n·⁴√(|x|/s) + ½⌋
 *     stochastic(x, u)  c = ⌊n·⁴√(|x|/s)⌋, and one more where u·(above − below) < |x|/s − below,
 *                       with below = (c/n)⁴ and above = ((c + 1)/n)⁴: the mean is kept
 *
 * What is not 0 has c ≥ 1 in both: a second moment rounded to 0 would divide the next step by ε. A block with a NaN
 * or an infinity in it has scale NaN, and so is NaN as a whole. Each operation is rounded to float32, so that the
 * kernels of `codegen/packing.ts` give the same bits.
 *
 * The fourth power spreads 255 codes over nine and a half decades, neighbours apart by 4/c of themselves: 1.6 % near s
 * and 16 % at 1e-4·s without a sign, twice that with one. A linear code loses what is below 1/255 of the largest.
 *
 * @see Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization, https://arxiv.org/abs/2110.02861, for blocks;
 * its dynamic tree of decades in place of the fourth power.
 */

/** Numbers that share a scale. */
export const BLOCK = 256;

/** What a block's scale says of its codes. */
export interface CodeSpan {
  /** The code of 0. */
  readonly zero: 0 | 128;
  /** Codes from 0 to the largest magnitude. */
  readonly steps: 127 | 255;
}

/** Blocks that `size` numbers fill. */
export function blocksOf(size: number): number {
  return Math.ceil(size / BLOCK);
}

export function spanOf(scale: number): CodeSpan {
  return scale < 0 ? { zero: 128, steps: 127 } : { zero: 0, steps: 255 };
}

/** The scale of a block of largest magnitude `largest`. */
export function scaleOf(largest: number, hasNegative: boolean): number {
  return largest < Number.POSITIVE_INFINITY ? (hasNegative ? -largest : largest) : Number.NaN;
}

/** What a kernel multiplies ⁴√|x| by. */
export function factorOf(scale: number): number {
  return spanOf(scale).steps / Math.sqrt(Math.sqrt(Math.abs(scale)));
}

export interface Packed {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
}

/** Numbers in 8 bits, rounded to the nearest, or by draws `u` of [0, 1), one a number. */
export function packed(x: Float32Array, u?: ArrayLike<number>): Packed {
  const codes = new Uint8Array(x.length);
  const scales = new Float32Array(blocksOf(x.length));
  scales.forEach((_, b) => {
    const block = x.subarray(b * BLOCK, (b + 1) * BLOCK);
    const largest = block.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const scale = scaleOf(
      largest,
      block.some((each) => each < 0),
    );
    scales[b] = scale;
    block.forEach((each, i) => {
      const at = b * BLOCK + i;
      // The codes of a block that is all 0 or NaN mean nothing, and are 0.
      codes[at] = largest > 0 && !Number.isNaN(scale) ? codeOf(each, scale, u?.[at]) : 0;
    });
  });
  return { codes, scales };
}

/** The numbers that are kept. */
export function unpacked({ codes, scales }: Packed): Float32Array {
  const float = Math.fround;
  return Float32Array.from(codes, (code, i) => {
    const scale = scales[Math.floor(i / BLOCK)] as number;
    const { zero, steps } = spanOf(scale);
    const t = float((code - zero) * float(1 / steps));
    return float(float(float(t * Math.abs(t)) * float(t * t)) * Math.abs(scale));
  });
}

function codeOf(x: number, scale: number, u: number | undefined): number {
  const float = Math.fround;
  const { zero, steps } = spanOf(scale);
  const root = float(Math.sqrt(float(Math.sqrt(Math.abs(x)))));
  const place = float(root * float(factorOf(scale)));
  const power = (c: number): number => {
    const t = float(c * float(1 / steps));
    return float(float(t * t) * float(t * t));
  };
  let c = Math.floor(float(place + 0.5));
  if (u !== undefined) {
    c = Math.floor(place);
    const gap = float(power(c + 1) - power(c));
    c += float(u * gap) < float(float(Math.abs(x) / Math.abs(scale)) - power(c)) ? 1 : 0;
  }
  c = x === 0 ? 0 : Math.max(c, 1);
  return zero + (x < 0 ? -c : c);
}
