/** Graphs by the words of the command line. */

import type { Random } from "@adastra/core";
import {
  complete,
  erdosRenyi,
  exponential,
  type Graph,
  hypercube,
  path,
  randomRegular,
  ring,
  star,
  torus,
} from "@adastra/swarm";

/** What `parseGraph` reads, for help. */
export const graphWords =
  "ring, path, star, complete, exponential, hypercube, torus, erdos-renyi:P with a probability, random-regular:D with a degree";

/**
 * A graph of so many peers from its word; a torus is as square as the number allows.
 *
 * @throws RangeError for an unknown word or a number that the graph cannot have, after `where`.
 */
export function parseGraph(where: string, word: string, peers: number, random: Random): Graph {
  const [name = "", number] = word.split(":");
  const make = GRAPHS[name];
  const value = number === undefined || number === "" ? Number.NaN : Number(number);
  if (make === undefined || Number.isNaN(value) === name.includes("-")) {
    throw new RangeError(`${where} must be one of ${graphWords}, got "${word}"`);
  }
  return make(peers, value, random, where);
}

const GRAPHS: Readonly<
  Record<string, (peers: number, value: number, random: Random, where: string) => Graph>
> = {
  ring,
  path,
  star,
  complete,
  exponential,
  hypercube: (peers, _value, _random, where) => {
    const dimensions = Math.log2(peers);
    if (!Number.isInteger(dimensions)) {
      throw new RangeError(`${where}: a hypercube must have a power of two of peers, got ${peers}`);
    }
    return hypercube(dimensions);
  },
  torus: (peers) => {
    let rows = Math.floor(Math.sqrt(peers));
    while (peers % rows !== 0) {
      rows -= 1;
    }
    return torus(rows, peers / rows);
  },
  "erdos-renyi": erdosRenyi,
  "random-regular": randomRegular,
};
