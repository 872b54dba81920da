/** What `replicas` asks of a batch and of a loss. */

import { sizeOf } from "@adastra/core";
import type { InputData } from "./backends/executable.ts";
import { type BackendName, inNode } from "./prepare.ts";
import type { BatchArray, BatchArrays, InputSlot, Signature } from "./signature.ts";
import type { Origin } from "./trace/origin.ts";

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

/** @throws RangeError for an aux value that is no scalar: means over copies say nothing of rows. */
export function requireScalars(
  aux: readonly { readonly name: string; readonly shape: readonly number[] }[],
  replicas: number,
): void {
  const large = replicas === 1 ? undefined : aux.find(({ shape }) => sizeOf(shape) !== 1);
  if (large !== undefined) {
    throw new RangeError(
      `compile: aux values with \`replicas\` must be scalars, got "${large.name}" of shape [${large.shape.join(", ")}]; take its mean, or leave \`replicas\` out`,
    );
  }
}

/**
 * The first origin that `find` has in a copy's part of the inputs, by its place in the whole batch.
 *
 * @param part - what one copy takes.
 */
export async function inParts(
  part: Signature,
  inputs: readonly InputData[],
  replicas: number,
  find: (inputs: readonly InputData[]) => Promise<Origin | undefined>,
): Promise<Origin | undefined> {
  const slots = [...part.params, ...part.batch, ...part.state];
  for (let replica = 0; replica < replicas; replica++) {
    const origin = await find(
      inputs.map((data, i) => {
        const size = sizeOf((slots[i] as InputSlot).shape);
        const from = data.length === size ? 0 : replica * size;
        return data.subarray(from, from + size);
      }),
    );
    if (origin !== undefined) {
      const slot = part.batch.find(({ name }) => origin.where === "batch" && name === origin.name);
      const before = slot === undefined ? 0 : replica * sizeOf(slot.shape);
      return { ...origin, index: before + origin.index };
    }
  }
  return undefined;
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
