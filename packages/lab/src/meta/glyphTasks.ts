/** Few-shot tasks of HanziStrokes: tell N characters apart from K drawings of each. */

import { mulberry32 } from "@adastra/core";
import { shuffled, type Task, type TaskSource } from "@adastra/meta";
import { drawGlyph, glyphSize } from "../data/glyphs.ts";
import type { HanziCharacter } from "../data/hanzi.ts";
import type { LabelledBatch } from "./labelledBatch.ts";

export interface GlyphTaskOptions {
  readonly characters: readonly HanziCharacter[];
  /** N. */
  readonly ways: number;
  /** K: drawings of each character to train on. */
  readonly shots: number;
  /** Drawings of each character to judge by. */
  readonly queries: number;
}

/** Drawings of a character that there are, as of Omniglot; which ones, is a property of the data set. */
const drawings = 20;
const pixels = glyphSize ** 2;

/**
 * Tasks of `ways` characters, relabelled 0 to N − 1. Support and query are different drawings; `batch` numbers examples
 * drawing by drawing, so that N in a row are one of each character.
 *
 * @throws RangeError for more characters or drawings than there are.
 */
export function glyphTasks({
  characters,
  ways,
  shots,
  queries,
}: GlyphTaskOptions): TaskSource<LabelledBatch> {
  if (!(ways >= 2 && ways <= characters.length)) {
    throw new RangeError(
      `glyphTasks: \`ways\` must be from 2 to the ${characters.length} characters there are, got ${ways}`,
    );
  }
  if (!(shots >= 1 && queries >= 1 && shots + queries <= drawings)) {
    throw new RangeError(
      `glyphTasks: \`shots\` and \`queries\` must be at least 1 and together at most ${drawings}, got ${shots} and ${queries}`,
    );
  }
  const drawn = new Map<HanziCharacter, Float32Array>();
  const drawingsOf = (character: HanziCharacter): Float32Array => {
    const known = drawn.get(character);
    if (known !== undefined) {
      return known;
    }
    const made = new Float32Array(drawings * pixels);
    for (let i = 0; i < drawings; i++) {
      const random = mulberry32(0).fork(`${character.character} ${i}`);
      drawGlyph(character.strokes, random, made, i * pixels);
    }
    drawn.set(character, made);
    return made;
  };
  return {
    sample: (count, random) =>
      Array.from({ length: count }, (): Task<LabelledBatch> => {
        const chosen = shuffled(characters.length, random)
          .slice(0, ways)
          .map((index) => characters[index] as HanziCharacter);
        const orders = chosen.map(() => shuffled(drawings, random));
        const batchOf = (indices: readonly number[], from: number): LabelledBatch => {
          const x = new Float32Array(indices.length * pixels);
          const y = Int32Array.from(indices, (index) => index % ways);
          indices.forEach((index, row) => {
            const way = index % ways;
            const drawing = orders[way]?.[from + Math.floor(index / ways)] ?? 0;
            const all = drawingsOf(chosen[way] as HanziCharacter);
            x.set(all.subarray(drawing * pixels, (drawing + 1) * pixels), row * pixels);
          });
          return {
            x: { shape: [indices.length, pixels], data: x },
            y: { shape: [indices.length], data: y },
          };
        };
        const queried = Array.from({ length: ways * queries }, (_, i) => i);
        return {
          name: chosen.map(({ character }) => character).join(""),
          examples: ways * shots,
          batch: (indices) => batchOf(indices, 0),
          query: () => batchOf(queried, shots),
        };
      }),
  };
}

/** Share of the query that the nearest support drawing, pixel by pixel, labels right: the floor of every learner. */
export function nearestNeighbour(task: Task<LabelledBatch>): number {
  const support = task.batch(Array.from({ length: task.examples }, (_, i) => i));
  const asked = task.query();
  let right = 0;
  asked.y.data.forEach((label, row) => {
    let nearest = { distance: Number.POSITIVE_INFINITY, label: -1 };
    support.y.data.forEach((known, other) => {
      let distance = 0;
      for (let i = 0; i < pixels; i++) {
        const a = asked.x.data[row * pixels + i] as number;
        const b = support.x.data[other * pixels + i] as number;
        distance += (a - b) ** 2;
      }
      if (distance < nearest.distance) {
        nearest = { distance, label: known };
      }
    });
    right += Number(nearest.label === label);
  });
  return right / asked.y.data.length;
}
