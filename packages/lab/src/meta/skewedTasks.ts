/** Clients that hold digits of two labels alone: MNIST by label skew. */

import { mulberry32 } from "@adastra/core";
import type { Task } from "@adastra/meta";
import { batchFiller, emptyBatch, type ImageSet, inOrder, shuffle } from "../data/images.ts";
import type { LabelledBatch } from "./labelledBatch.ts";

export interface SkewOptions {
  readonly clients: number;
  /** Images of a client to train on, and to judge by. */
  readonly train: number;
  readonly test: number;
}

/** Which images a client has; a property of the problem. */
const seed = 20_170_411;

/**
 * Each client draws two labels, then its images from those of these labels that no client has yet: no image is at two
 * clients, or in a client's training and test.
 *
 * @throws RangeError for more images than there are of a label.
 * @see McMahan et al. 2017, section 3: most clients have examples of two digits alone
 */
export function skewedClients(
  set: ImageSet,
  { clients, train, test }: SkewOptions,
): readonly Task<LabelledBatch>[] {
  const random = mulberry32(seed);
  const left = Array.from({ length: 10 }, (): number[] => []);
  for (const image of shuffle(inOrder(set.count), random)) {
    left[set.labels[image] as number]?.push(image);
  }
  const fill = batchFiller(set);
  const batchOf = (images: Uint32Array): LabelledBatch => {
    const batch = { ...emptyBatch(set, images.length) };
    fill(batch, images, 0);
    return batch;
  };
  return Array.from({ length: clients }, (_, client): Task<LabelledBatch> => {
    const labels = shuffle(inOrder(10), random).slice(0, 2);
    const images = new Uint32Array(train + test).map((_, i) => {
      const image = left[labels[i % 2] as number]?.pop();
      if (image === undefined) {
        throw new RangeError(
          `skewedClients: ${clients} clients must have ${train + test} images each, got no more of label ${labels[i % 2]}; ask for fewer`,
        );
      }
      return image;
    });
    const [own, asked] = [images.slice(0, train), images.slice(train)];
    return {
      name: `client ${client}, digits ${[...labels].join(" and ")}`,
      examples: train,
      batch: (indices) => batchOf(Uint32Array.from(indices, (index) => own[index] as number)),
      query: () => batchOf(asked),
    };
  });
}
