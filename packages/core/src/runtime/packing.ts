/** Takes blocks of 8-bit numbers apart and puts them together, by kernels of the backend. */

import { TILE } from "../arena.ts";
import type { HostValues } from "../codegen/host.ts";
import { type Frame, type Kernel, PARTIALS } from "../codegen/kernel.ts";
import { EXTREMES, PACK, packStochastic, UNPACK } from "../codegen/packing.ts";
import type { PackedStream } from "../codegen/passes.ts";
import { saltOf } from "../expr/draw.ts";
import { BLOCK, factorOf, packed, scaleOf, spanOf } from "../expr/int8.ts";
import { encodeBf16 } from "../state.ts";
import type { Packing, Piece, Runner } from "./parts.ts";
import { scalesOf } from "./stored.ts";
import type { Tensor } from "./tensor.ts";

export const PACKING: Packing = {
  runs: "8 bits",
  unpack: UNPACK,
  extremes: EXTREMES,
  pack: (draws) => (draws === undefined ? PACK : packStochastic(saltOf(draws))),
  runtime: {
    encode: (numbers, format) => {
      if (format === "bf16") {
        return encodeBf16(numbers, format);
      }
      const { codes, scales } = packed(Float32Array.from(numbers));
      return [codes, scales];
    },
    runTiles,
  },
};

/** Runs a piece over arrays in 8 bits tile by tile, each unpacked before and packed after. */
function runTiles(
  runner: Runner,
  { variant, start, end }: Piece,
  tensor: Tensor,
  values: HostValues,
  row: number,
  before: Float64Array | undefined,
): Float64Array {
  const { packed = [] } = variant;
  let partials = before;
  for (let at = start; at === start || at < end; at += TILE) {
    const count = Math.min(TILE, end - at);
    const first = at - tensor.extent.start;
    unpackAll(runner, packed, tensor, first, count);
    const piece = { variant, start: at, end: at + count };
    partials = runner.runKernel(piece, tensor, values, row, partials);
    packed.forEach((each, i) => {
      packArray(runner, each, tensor, first, count, runner.tiles[i] as number);
    });
  }
  return partials as Float64Array;
}

/** Lays `count` numbers of a leaf, from number `first` on, into the tiles. */
function unpackAll(
  runner: Runner,
  packed: readonly PackedStream[],
  tensor: Tensor,
  first: number,
  count: number,
): void {
  packed.forEach((each, i) => {
    if (each.reads) {
      unpackArray(runner, each, tensor, first, count, runner.tiles[i] as number);
    }
  });
}

/** Lays `count` numbers of an array, from number `first` of the leaf on, at byte `tile`; `first` starts a block. */
function unpackArray(
  runner: Runner,
  { array, unpack }: PackedStream,
  tensor: Tensor,
  first: number,
  count: number,
  tile: number,
): void {
  const loaded = runner.loadedOf(unpack);
  const { frame } = loaded;
  const scales = scalesOf(tensor, array, 0);
  const codes = tensor.owner.address(array, 0, tensor.extent.start + first);
  for (let at = 0; at < count; at += BLOCK) {
    const scale = scales[(first + at) / BLOCK] as number;
    const { zero, steps } = spanOf(scale);
    place(frame, Math.min(BLOCK, count - at), codes + at, tile + 4 * at);
    frame.scalars[0] = zero;
    frame.scalars[1] = 1 / steps;
    frame.scalars[2] = Math.abs(scale);
    loaded.run();
  }
}

/** Keeps what lies at byte `tile` as the array's numbers, where the pass stored any. */
function packArray(
  runner: Runner,
  { array, extremes, pack }: PackedStream,
  tensor: Tensor,
  first: number,
  count: number,
  tile: number,
): void {
  if (pack === undefined) {
    return;
  }
  const loaded = runner.loadedOf(pack);
  const { frame } = loaded;
  const { buffer } = tensor.owner.memory;
  const scales = scalesOf(tensor, array, 0);
  const codes = tensor.owner.address(array, 0, tensor.extent.start + first);
  for (let at = 0; at < count; at += BLOCK) {
    const size = Math.min(BLOCK, count - at);
    const scale = scaleAt(runner, extremes, tile + 4 * at, size);
    scales[(first + at) / BLOCK] = scale;
    if (scale === 0 || Number.isNaN(scale)) {
      new Uint8Array(buffer, codes + at, size).fill(0);
      continue;
    }
    const { zero, steps } = spanOf(scale);
    place(frame, size, tile + 4 * at, codes + at);
    frame.scalars[0] = zero;
    frame.scalars[1] = factorOf(scale);
    if (frame.base.length > 0) {
      frame.scalars[2] = 1 / steps;
      frame.scalars[3] = Math.abs(scale);
      frame.base[0] = first + at;
      frame.key[0] = runner.key;
    }
    loaded.run();
  }
}

/** The scale of the `size` numbers at byte `at`. */
function scaleAt(runner: Runner, extremes: Kernel, at: number, size: number): number {
  const loaded = runner.loadedOf(extremes);
  const { frame } = loaded;
  frame.count[0] = size;
  frame.pointers[0] = at;
  for (let i = 0; i < 2 * PARTIALS; i++) {
    frame.partials[i] = Number.NEGATIVE_INFINITY;
  }
  loaded.run();
  return scaleOf(largestOf(frame.partials, 0), largestOf(frame.partials, PARTIALS) > 0);
}

/** The largest of the partials from `from` on. A maximum is the same in any order: no tree needed. */
function largestOf(partials: Float64Array, from: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + PARTIALS; i++) {
    largest = Math.max(largest, partials[i] as number);
  }
  return largest;
}

function place(frame: Frame, count: number, from: number, to: number): void {
  frame.count[0] = count;
  frame.pointers[0] = from;
  frame.pointers[1] = to;
}
