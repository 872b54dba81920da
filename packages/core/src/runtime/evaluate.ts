/** Parameters to evaluate a model with, where they are not those that train. */

import { numbersAt, TILE, WARMUP_ELEMENTS } from "../arena.ts";
import type { NumericArray } from "../contracts.ts";
import { unpackAll } from "./packing.ts";
import type { PassCall, Runner } from "./parts.ts";

/**
 * Makes a phase's only store, piece by piece into a scratch area of the memory, and copies it out.
 *
 * @param scratch - byte offset of WARMUP_ELEMENTS elements that nobody else uses.
 */
export function evaluate(
  runner: Runner,
  { owner, phase, pass, first }: PassCall,
  scratch: number,
): NumericArray {
  const { kernel, streams, scalars, packed = [] } = pass.steady;
  const loaded = runner.loadedOf(kernel);
  const { frame } = loaded;
  const values = first.valuesOf(phase);
  const result = first.view(0, 0).slice();
  const most = packed.length > 0 ? TILE : WARMUP_ELEMENTS;
  for (let from = 0; from < result.length; from += most) {
    const count = Math.min(most, result.length - from);
    frame.count[0] = count;
    streams.forEach((stream, i) => {
      const isResult = "array" in stream && stream.array < 0;
      frame.pointers[i] = isResult
        ? scratch
        : owner.pointer(stream, first.count, first.extent.start + from);
    });
    unpackAll(runner, packed, first, from, count);
    packed.forEach(({ stream }, i) => {
      frame.pointers[stream] = runner.tiles[i] as number;
    });
    scalars.forEach((slot, i) => {
      frame.scalars[i] = values.numbers[slot] as number;
    });
    loaded.run();
    result.set(numbersAt(owner.memory, owner.dtype, scratch, count), from);
  }
  return result;
}
