/** A batch as data: runs cut into dispatches, their frames, and what becomes of the partials they leave. */

import type { Kernel } from "../codegen/kernel.ts";
import { frameConstants, frameWords } from "../codegen/wgsl.ts";

/** One kernel over `count` elements of some arrays: what a `Frame` is for the other backends. */
export interface GpuRun {
  /** One that the executor was created with. */
  readonly kernel: Kernel;
  /** Index of the arena it works on, default 0. */
  readonly arena?: number;
  readonly count: number;
  /**
   * Byte address of each stream's first element, a multiple of 4. Streams never overlap, unless two are one and the
   * same array.
   */
  readonly pointers: ArrayLike<number>;
  /** Rounded to float32. */
  readonly scalars: ArrayLike<number>;
}

/** One dispatch: a run of more blocks than a dispatch takes is several. */
export interface Piece {
  readonly run: GpuRun;
  /** The run's place in the batch. */
  readonly index: number;
  /** Elements of the run before it. */
  readonly start: number;
  readonly blocks: number;
  /** Where its partials start: block b leaves reduction r at b · (number of reductions) + r from there. */
  readonly firstPartial: number;
}

/** Dispatches in the order of the runs, and how many partials they leave. */
export function cut(
  runs: readonly GpuRun[],
  blockElements: number,
  mostBlocks: number,
): { readonly pieces: readonly Piece[]; readonly partials: number } {
  const pieces: Piece[] = [];
  let partials = 0;
  for (const [index, run] of runs.entries()) {
    const all = Math.ceil(run.count / blockElements);
    for (let first = 0; first < all; first += mostBlocks) {
      const blocks = Math.min(mostBlocks, all - first);
      pieces.push({ run, index, start: first * blockElements, blocks, firstPartial: partials });
      partials += blocks * run.kernel.reductions.length;
    }
  }
  return { pieces, partials };
}

/** Bytes of the largest frame of some kernels, as a uniform binding is sized. */
export function largestFrame(kernels: readonly Kernel[]): number {
  return Math.ceil(Math.max(3, ...kernels.map(frameWords)) / 4) * 16;
}

/** The frame of each dispatch, `stride` bytes apart, as the shader declares it. */
export function framesOf(pieces: readonly Piece[], stride: number): ArrayBuffer {
  const bytes = new ArrayBuffer(pieces.length * stride);
  pieces.forEach(({ run, start, firstPartial }, p) => {
    const { streams, scalars } = run.kernel;
    const words = new Uint32Array(bytes, p * stride, 3 + streams.length);
    words[1] = run.count - start;
    words[2] = firstPartial;
    for (let s = 0; s < streams.length; s++) {
      words[3 + s] = (run.pointers[s] as number) / 4 + start;
    }
    const constants = frameConstants(run.kernel);
    const numbers = new Float32Array(
      bytes,
      words.byteOffset + words.byteLength,
      scalars.length + constants.length,
    );
    numbers.set(run.scalars);
    numbers.set(constants, scalars.length);
  });
  return bytes;
}

/** Joins the partials of a dispatch to the reductions of its run, block after block, in float64. */
export function joinPartials(
  { run, blocks, firstPartial }: Piece,
  partials: Float32Array,
  into: Float64Array,
): void {
  const { reductions } = run.kernel;
  reductions.forEach(({ kind }, r) => {
    let total = into[r] as number;
    for (let block = 0; block < blocks; block++) {
      const value = partials[firstPartial + block * reductions.length + r] as number;
      total = kind === "sum" ? total + value : Math.max(total, value);
    }
    into[r] = total;
  });
}
