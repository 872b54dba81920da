/** Documents of the Brown corpus as clients: the next character from those before it. */

import type { Task } from "@adastra/meta";
import type { TokenDocument } from "../data/tokens.ts";
import type { Labels } from "./labelledBatch.ts";

/** `x` is `[examples, context]` characters, `y` the next one of each, `[examples]`. */
export interface TextBatch {
  readonly [name: string]: Labels;
  readonly x: Labels;
  readonly y: Labels;
}

export interface DocumentTaskOptions {
  /** Characters that the next one is told from. */
  readonly context: number;
  /** Characters to tell while training, and those after them to be judged by. */
  readonly train: number;
  readonly test: number;
}

/**
 * A document a client: its first characters to train on, the ones after them to be judged by. Genres differ, so clients do.
 *
 * @throws RangeError for a document that is shorter.
 * @see Caldas et al. 2018 (LEAF), whose Shakespeare is split by speaker in the same way
 */
export function documentClient(
  { name, genre, tokens }: TokenDocument,
  { context, train, test }: DocumentTaskOptions,
): Task<TextBatch> {
  const needed = context + train + test;
  if (tokens.length < needed) {
    throw new RangeError(
      `documentClient: "${name}" must hold ${needed} characters, got ${tokens.length}; ask for fewer`,
    );
  }
  const batchOf = (starts: readonly number[]): TextBatch => ({
    x: {
      shape: [starts.length, context],
      data: Int32Array.from(
        starts.flatMap((start) => Array.from(tokens.subarray(start, start + context))),
      ),
    },
    y: {
      shape: [starts.length],
      data: Int32Array.from(starts, (start) => tokens[start + context] as number),
    },
  });
  const asked = Array.from({ length: test }, (_, i) => train + i);
  return {
    name: `${name}, ${genre}`,
    examples: train,
    batch: batchOf,
    query: () => batchOf(asked),
  };
}
