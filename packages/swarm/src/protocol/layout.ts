/** What the numbers of a run's messages are: agreed before it begins, and told apart by a hash in every frame. */

import type { DType } from "@adastra/core";

export interface Layout {
  readonly dtype: DType;
  /** The model's leaves in their order; `Leaves` will do. */
  readonly leaves: Readonly<Record<string, { readonly shape: readonly number[] }>>;
  /** Vectors in the order in which they travel, each a number for each parameter: `["p"]`, `["p", "utilde"]`. */
  readonly vectors: readonly string[];
  /** Vectors none of whose numbers may be below 0, as second moments; default none. */
  readonly nonNegative?: readonly string[];
}

/** Numbers of one vector. */
export function parametersOf({ leaves }: Layout): number {
  return Object.values(leaves).reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
}

/**
 * Eight bytes as hexadecimal digits: the beginning of the SHA-256 of the layout and of the graph's epoch. Peers whose
 * models or graphs differ do not mix.
 */
export async function layoutId(layout: Layout, epoch: number): Promise<string> {
  const { dtype, leaves, vectors, nonNegative = [] } = layout;
  const shapes = Object.entries(leaves).map(([path, { shape }]) => [path, shape]);
  const text = JSON.stringify([epoch, dtype, shapes, vectors, nonNegative]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest, 0, 8)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
