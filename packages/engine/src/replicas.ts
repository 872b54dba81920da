/** What `replicas` asks of a batch and of a loss. */

import type { InputData } from "./backends/executable.ts";
import { type BackendName, inNode } from "./prepare.ts";
import type { BatchArray, BatchArrays } from "./signature.ts";

/** @throws RangeError for a number of copies that is none, or a backend that has none. */
export function requireReplicas(replicas: number, backend: BackendName | "auto" = "cpu"): void {
  if (!(Number.isSafeInteger(replicas) && replicas >= 1)) {
    throw new RangeError(`compile: \`replicas\` must be an integer of at least 1, got ${replicas}`);
  }
  if (replicas > 1 && (backend !== "cpu" || !inNode())) {
    throw new RangeError(
      `compile: \`replicas\` above 1 must run on backend "cpu" in Node, got ${inNode() ? `"${backend}"` : "a browser"}; leave \`replicas\` out`,
    );
  }
}

/**
 * The example of one copy: its part of every array's rows.
 *
 * @throws RangeError for rows that the copies cannot share out evenly.
 */
export function partOfRows<B extends BatchArrays>(example: B, replicas: number): B {
  const part = ([name, { shape, data }]: [string, BatchArray]): [string, BatchArray] => {
    const [rows = 0, ...inner] = shape;
    if (rows % replicas !== 0 || rows === 0) {
      throw new RangeError(
        `compile: batch "${name}" must have rows for ${replicas} \`replicas\` alike, got ${rows}; take a multiple`,
      );
    }
    return [
      name,
      { shape: [rows / replicas, ...inner], data: data.subarray(0, data.length / replicas) },
    ];
  };
  // The same names, each with an array of its kind.
  return Object.fromEntries(Object.entries(example).map(part)) as unknown as B;
}

/** Inputs of one copy; `by` says which have rows to share out. */
export function partOfInputs(
  inputs: readonly InputData[],
  isRows: (index: number) => boolean,
  replica: number,
  replicas: number,
): InputData[] {
  return inputs.map((data, i) => {
    const size = data.length / replicas;
    return isRows(i) ? data.subarray(replica * size, (replica + 1) * size) : data;
  });
}

/**
 * Batch norm sees the rows of a copy and moves a loss a little; a sum over rows is off by the number of copies.
 *
 * @throws RangeError where the mean of the parts' losses is not that of the whole, or nearly.
 */
export function requireMeanOfRows(mean: number, whole: number, replicas: number): void {
  if (Math.abs(mean - whole) > Math.abs(whole) / 4) {
    throw new RangeError(
      `run: a loss with \`replicas\` must be a mean over the rows of the batch, got ${mean} as the mean of ${replicas} parts and ${whole} for the whole; divide by the rows, or leave \`replicas\` out`,
    );
  }
}
