/** A batch as data: runs cut into dispatches, their frames, and what becomes of the partials they leave. */

import { draws, type Kernel, streamBytes } from "../codegen/kernel.ts";
import { frameConstants, frameStreams, frameWords, pairedStream } from "../codegen/wgsl.ts";

/** One kernel over `count` elements of some arrays: what a `Frame` is for the other backends. */
export interface GpuRun {
  /** One that the executor was created with. */
  readonly kernel: Kernel;
  /** Index of the arena it works on, default 0. */
  readonly arena?: number;
  readonly count: number;
  /**
   * Byte address of each stream's first element, a multiple of its size: 4, or 2 for bfloat16. Streams never overlap,
   * unless two are one and the same array. The bfloat16 streams that a kernel stores all start in the same half of a word.
   */
  readonly pointers: ArrayLike<number>;
  /** Rounded to float32. */
  readonly scalars: ArrayLike<number>;
  /** Index within its leaf of the run's first element, and the key of its draws; default 0. Of a kernel that draws. */
  readonly base?: number;
  readonly key?: number;
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
    const before = run.count === 0 ? 0 : elementsBefore(run);
    const all = Math.ceil((run.count + before) / blockElements);
    for (let first = 0; first < all; first += mostBlocks) {
      const blocks = Math.min(mostBlocks, all - first);
      const start = Math.max(0, first * blockElements - before);
      pieces.push({ run, index, start, blocks, firstPartial: partials });
      partials += blocks * run.kernel.reductions.length;
    }
  }
  return { pieces, partials };
}

/** Elements by which the first block starts before the run: 1 where it stores bfloat16 from the upper half of a word on. */
function elementsBefore({ kernel, pointers }: GpuRun): number {
  const paired = pairedStream(kernel);
  return paired === undefined ? 0 : ((pointers[paired] as number) / 2) % 2;
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
    const head = frameStreams(run.kernel);
    const words = new Uint32Array(bytes, p * stride, head + streams.length);
    words[1] = run.count - start;
    words[2] = firstPartial;
    if (draws(run.kernel)) {
      words[3] = (run.base ?? 0) + start;
      words[4] = run.key ?? 0;
    }
    for (let s = 0; s < streams.length; s++) {
      words[head + s] = (run.pointers[s] as number) / streamBytes(run.kernel, s, "float32") + start;
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
