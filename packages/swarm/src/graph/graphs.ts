/** Who exchanges with whom: undirected graphs on peers 0 … N − 1. */

import type { Random } from "@adastra/core";
import type { Peer } from "../protocol/message.ts";

/** An undirected graph without loops. */
export interface Graph {
  readonly name: string;
  /** N. */
  readonly peers: number;
  /** Neighbours of each peer, ascending. */
  readonly neighbors: readonly (readonly Peer[])[];
}

/** Both ends of an edge. */
export type Edge = readonly [Peer, Peer];

/**
 * A graph from its edges, in any order; an edge that stands twice counts once.
 *
 * @throws RangeError for fewer than one peer, an end that is no peer, or an edge from a peer to itself.
 */
export function fromEdges(peers: number, edges: Iterable<Edge>, name = "edges"): Graph {
  requireSize(name, "peers", peers, 1);
  const sets = Array.from({ length: peers }, () => new Set<Peer>());
  for (const [a, b] of edges) {
    const [first, second] = [sets[a], sets[b]];
    if (first === undefined || second === undefined || a === b) {
      throw new RangeError(
        `fromEdges: an edge must join two peers out of 0 to ${peers - 1}, got ${a} and ${b}; leave it out`,
      );
    }
    first.add(b);
    second.add(a);
  }
  return { name, peers, neighbors: sets.map((set) => [...set].sort((a, b) => a - b)) };
}

/** Every edge once, the smaller end first, in ascending order. */
export function edgesOf({ neighbors }: Graph): Edge[] {
  return neighbors.flatMap((row, a) => row.filter((b) => a < b).map((b): Edge => [a, b]));
}

/** Peers in a circle; two peers are one edge, one peer is none. */
export function ring(peers: number): Graph {
  requireSize("ring", "peers", peers, 1);
  return circulant("ring", peers, [1]);
}

/** Peers in a line. */
export function path(peers: number): Graph {
  requireSize("path", "peers", peers, 1);
  return fromEdges(
    peers,
    range(peers - 1).map((a): Edge => [a, a + 1]),
    "path",
  );
}

/** A grid whose rows and columns are rings. */
export function torus(rows: number, columns: number): Graph {
  requireSize("torus", "rows", rows, 1);
  requireSize("torus", "columns", columns, 1);
  const at = (row: number, column: number): Peer => (row % rows) * columns + (column % columns);
  const edges = range(rows).flatMap((row) =>
    range(columns).flatMap((column): Edge[] => [
      [at(row, column), at(row, column + 1)],
      [at(row, column), at(row + 1, column)],
    ]),
  );
  return fromEdges(rows * columns, edges.filter(joins), "torus");
}

/** Peer 0 in the middle: the server of federated averaging. */
export function star(peers: number): Graph {
  requireSize("star", "peers", peers, 1);
  return fromEdges(
    peers,
    range(peers - 1).map((a): Edge => [0, a + 1]),
    "star",
  );
}

/** Everybody with everybody. */
export function complete(peers: number): Graph {
  requireSize("complete", "peers", peers, 1);
  const edges = range(peers).flatMap((a) => range(a).map((b): Edge => [b, a]));
  return fromEdges(peers, edges, "complete");
}

/** Each peer with those 1, 2, 4, … places away on the circle, in both directions: ⌈log₂ N⌉ hops from anywhere to anywhere. */
export function exponential(peers: number): Graph {
  requireSize("exponential", "peers", peers, 1);
  const hops = range(32).map((i) => 2 ** i);
  return circulant(
    "exponential",
    peers,
    hops.filter((hop) => hop < peers),
  );
}

/** Each peer with those whose number differs in one bit; 2^dimensions peers. */
export function hypercube(dimensions: number): Graph {
  requireSize("hypercube", "dimensions", dimensions, 0);
  const peers = 2 ** dimensions;
  const edges = range(peers).flatMap((a) =>
    range(dimensions).map((bit): Edge => [a, a ^ (1 << bit)]),
  );
  return fromEdges(peers, edges, "hypercube");
}

/** Tries to draw a graph that holds together, before giving up. */
const DRAWS = 1000;

/**
 * Each of the N(N − 1)/2 edges with the probability given; drawn anew until the graph is connected.
 *
 * @throws RangeError for a probability out of [0, 1], or one too small to draw a connected graph in 1,000 tries.
 */
export function erdosRenyi(peers: number, probability: number, random: Random): Graph {
  requireSize("erdosRenyi", "peers", peers, 1);
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(
      `erdosRenyi: \`probability\` must be in [0, 1], got ${probability}; 2 ln(peers)/peers usually connects`,
    );
  }
  const draw = (): Graph => {
    const edges = range(peers).flatMap((a) =>
      range(a).flatMap((b): Edge[] => (random.next() < probability ? [[b, a]] : [])),
    );
    return fromEdges(peers, edges, "erdosRenyi");
  };
  return firstConnected("erdosRenyi", draw, "`probability`", probability);
}

/**
 * Every peer with the same number of neighbours, drawn by pairing stubs until pairs make a simple, connected graph.
 *
 * @throws RangeError where no such graph exists: `degree` below 1 or not below `peers`, or both odd; and for degree 1 with
 * more than two peers, which never connects.
 */
export function randomRegular(peers: number, degree: number, random: Random): Graph {
  requireSize("randomRegular", "peers", peers, 2);
  requireSize("randomRegular", "degree", degree, 1);
  if (degree >= peers || (peers * degree) % 2 !== 0) {
    throw new RangeError(
      `randomRegular: \`degree\` must be below \`peers\` and one of both even, got ${degree} and ${peers}; add a peer`,
    );
  }
  return firstConnected(
    "randomRegular",
    () => pairStubs(peers, degree, random),
    "`degree`",
    degree,
  );
}

/** Stubs paired one by one, each with a random other that makes a new edge (Steger & Wormald 1999); undefined at a dead end. */
function pairStubs(peers: number, degree: number, random: Random): Graph | undefined {
  const stubs = range(peers * degree).map((i) => i % peers);
  const taken = new Set<number>();
  const edges: Edge[] = [];
  const key = (a: Peer, b: Peer): number => Math.min(a, b) * peers + Math.max(a, b);
  let misses = 0;
  while (stubs.length > 0) {
    const [i, j] = [random.integer(stubs.length), random.integer(stubs.length)];
    const [a, b] = [stubs[i] as Peer, stubs[j] as Peer];
    if (a === b || taken.has(key(a, b))) {
      misses += 1;
      if (misses > 100 + 10 * stubs.length) {
        return undefined;
      }
      continue;
    }
    misses = 0;
    taken.add(key(a, b));
    edges.push([a, b]);
    for (const index of [Math.max(i, j), Math.min(i, j)]) {
      stubs[index] = stubs[stubs.length - 1] as Peer;
      stubs.pop();
    }
  }
  return fromEdges(peers, edges, "randomRegular");
}

function firstConnected(
  where: string,
  draw: () => Graph | undefined,
  option: string,
  value: number,
): Graph {
  for (let i = 0; i < DRAWS; i++) {
    const graph = draw();
    if (graph !== undefined && isConnected(graph)) {
      return graph;
    }
  }
  throw new RangeError(
    `${where}: ${option} must be large enough to draw a connected graph in ${DRAWS} tries, got ${value}; raise it`,
  );
}

/** Whether every peer reaches every other. */
export function isConnected(graph: Graph): boolean {
  return colour(graph).reached === graph.peers;
}

/** Whether peers fall into two groups that only exchange with each other; of a connected graph. */
export function isBipartite(graph: Graph): boolean {
  return colour(graph).alternates;
}

/** Walks from peer 0 in breadth, colouring by the parity of the distance. */
function colour({ neighbors, peers }: Graph): { reached: number; alternates: boolean } {
  const colours = new Int8Array(peers).fill(-1);
  const queue: Peer[] = [0];
  colours[0] = 0;
  let alternates = true;
  for (let head = 0; head < queue.length; head++) {
    const a = queue[head] as Peer;
    for (const b of neighbors[a] ?? []) {
      if (colours[b] === -1) {
        colours[b] = 1 - (colours[a] as number);
        queue.push(b);
      } else if (colours[b] === colours[a]) {
        alternates = false;
      }
    }
  }
  return { reached: queue.length, alternates };
}

/** Each peer with those at the distances given on the circle. */
function circulant(name: string, peers: number, distances: readonly number[]): Graph {
  const edges = range(peers).flatMap((a) =>
    distances.map((distance): Edge => [a, (a + distance) % peers]),
  );
  return fromEdges(peers, edges.filter(joins), name);
}

const joins = ([a, b]: Edge): boolean => a !== b;

const range = (length: number): number[] => Array.from({ length }, (_, i) => i);

function requireSize(where: string, name: string, value: number, least: number): void {
  if (!(Number.isSafeInteger(value) && value >= least)) {
    throw new RangeError(
      `${where}: \`${name}\` must be an integer of at least ${least}, got ${value}`,
    );
  }
}
