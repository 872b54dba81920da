/** Data by rows, and the order in which an epoch takes them. */

import type { Random } from "@adastra/core";
import type { BatchArray, BatchArrays } from "../signature.ts";
import { requireThat } from "./checks.ts";

/** Where batches come from: arrays in memory, files, a generator. */
export interface DataSource<B extends BatchArrays = BatchArrays> {
  /** Rows in all. */
  readonly count: number;
  /**
   * The batch of these rows: every array has `rows.length` as its first extent. It may be the same arrays each time,
   * written again.
   *
   * @param random - For augmentation; determined by the seed, the epoch and the place in it, so that a resumed run
   *   draws what an unbroken one would.
   */
  batch(rows: Uint32Array, random: Random): B | Promise<B>;
}

/** Arrays whose first axis is the rows, such as `{ x: { shape: [60000, 784], data }, y: { shape: [60000], data } }`. */
export type Data<B extends BatchArrays> = B | DataSource<B>;

/** What takes rows out of arrays in memory, which may be shared memory: a batch is copied into arrays of its own. */
export function openData<B extends BatchArrays>(name: string, data: Data<B>): DataSource<B> {
  const source = isSource(data) ? data : inMemory(name, data);
  const { count } = source;
  const ok = Number.isSafeInteger(count) && count >= 1;
  requireThat(ok, "fit", `\`${name}\` must hold at least one row`, count);
  return source;
}

function isSource<B extends BatchArrays>(data: Data<B>): data is DataSource<B> {
  return typeof (data as DataSource<B>).batch === "function";
}

function inMemory<B extends BatchArrays>(name: string, arrays: B): DataSource<B> {
  const entries = Object.entries(arrays);
  const [first] = entries;
  requireThat(first !== undefined, "fit", `\`${name}\` must hold at least one array`, "none");
  const count = first[1].shape[0] ?? 0;
  for (const [key, { shape, data }] of entries) {
    const rows = shape[0] ?? 0;
    const what = `arrays of \`${name}\``;
    requireThat(
      rows === count,
      "fit",
      `${what} must have one number of rows`,
      `${count} in "${first[0]}" and ${rows} in "${key}"`,
    );
    const elements = shape.reduce((product, extent) => product * extent, 1);
    requireThat(
      data.length === elements,
      "fit",
      `${what} must hold as many numbers as their shape, "${key}" ${elements}`,
      data.length,
    );
  }
  // A validation set has batches of two sizes.
  const batches = new Map<number, B>();
  return {
    count,
    batch: (rows) => {
      let batch = batches.get(rows.length);
      if (batch === undefined) {
        // The same names, each with an array of its kind.
        batch = Object.fromEntries(
          entries.map(([key, array]) => [key, emptyLike(array, rows.length)]),
        ) as unknown as B;
        batches.set(rows.length, batch);
      }
      for (const [key, { data }] of entries) {
        gather(data, count, rows, (batch[key] as BatchArray).data);
      }
      return batch;
    },
  };
}

function emptyLike({ shape, data }: BatchArray, rows: number): BatchArray {
  const inner = shape.slice(1);
  const size = rows * inner.reduce((product, extent) => product * extent, 1);
  return {
    shape: [rows, ...inner],
    data: data instanceof Int32Array ? new Int32Array(size) : new Float32Array(size),
  };
}

function gather(
  from: BatchArray["data"],
  count: number,
  rows: Uint32Array,
  to: BatchArray["data"],
): void {
  const size = from.length / count;
  rows.forEach((row, i) => {
    to.set(from.subarray(row * size, (row + 1) * size), i * size);
  });
}

/** 0 to `count` - 1. */
export function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** 0 to `count` - 1 in random order (Fisher & Yates). */
export function shuffled(count: number, random: Random): Uint32Array {
  const order = inOrder(count);
  for (let last = count - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    const kept = order[last] as number;
    order[last] = order[other] as number;
    order[other] = kept;
  }
  return order;
}
