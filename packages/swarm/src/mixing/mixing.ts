/**
 * Mixing matrices: what share of its neighbours' values a peer takes.
 *
 *     xᵢ ← Σⱼ Wᵢⱼ xⱼ,   rows and columns of W sum to 1, Wᵢⱼ ≥ 0, Wᵢⱼ = 0 unless i = j or neighbours
 *
 * λ = max(|λ₂|, |λ_N|) of W is what is left of the distance from the mean after one round; 1 − λ is the spectral gap.
 *
 * @see Chen, Karimi, Zhao & Li 2023, Assumption A4, https://arxiv.org/abs/2109.03194
 */

import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { type Graph, isBipartite, isConnected } from "../graph/graphs.ts";
import type { Peer } from "../protocol/message.ts";

/** W by its rows: the peer's own share, and those of its neighbours in the order of the graph. */
export interface Mixing {
  readonly graph: Graph;
  readonly own: readonly number[];
  readonly shares: readonly (readonly number[])[];
}

/** How far a sum of a row or column may be off 1. */
const TOLERANCE = 1e-12;

/**
 * Metropolis weights: Wᵢⱼ = 1/(1 + max(dᵢ, dⱼ)), each peer's own the rest. Every peer knows them from its own degree and its
 * neighbours'.
 *
 * @throws RangeError for a graph that is not connected.
 * @see Xiao & Boyd 2004, Section 4.2, https://web.stanford.edu/~boyd/papers/fastavg.html
 */
export function metropolis(graph: Graph): Mixing {
  const degree = (i: Peer): number => graph.neighbors[i]?.length ?? 0;
  return symmetric("metropolis", graph, (i, j) => 1 / (1 + Math.max(degree(i), degree(j))));
}

/** Maximum-degree weights: Wᵢⱼ = 1/(1 + d_max) on every edge. @throws RangeError for a graph that is not connected. */
export function maxDegree(graph: Graph): Mixing {
  const most = Math.max(...graph.neighbors.map((row) => row.length));
  return symmetric("maxDegree", graph, () => 1 / (1 + most));
}

/** (I + W)/2: no eigenvalue below 0, so that no graph is periodic. */
export function lazy({ graph, own, shares }: Mixing): Mixing {
  return {
    graph,
    own: own.map((share) => (1 + share) / 2),
    shares: shares.map((row) => row.map((share) => share / 2)),
  };
}

/**
 * W as given, N rows of N.
 *
 * @throws RangeError for a matrix that is not square or not doubly stochastic to 1e-12, naming row or column and by how much
 * it is off, and for one that does not connect the peers.
 */
export function fromMatrix(matrix: readonly (readonly number[])[]): Mixing {
  const peers = matrix.length;
  const where = "fromMatrix";
  for (const [i, row] of matrix.entries()) {
    if (row.length !== peers) {
      throw new RangeError(
        `${where}: W must be square, got ${row.length} numbers in row ${i} of ${peers}`,
      );
    }
    const bad = row.findIndex((share) => !(share >= 0 && share <= 1 + TOLERANCE));
    if (bad >= 0) {
      throw new RangeError(
        `${where}: shares must be in [0, 1], got ${row[bad]} in row ${i}, column ${bad}; use metropolis weights`,
      );
    }
    const lone = row.findIndex((share, j) => share > 0 !== (matrix[j]?.[i] ?? 0) > 0);
    if (lone >= 0) {
      throw new RangeError(
        `${where}: an edge must be used by both of its ends, got ${row[lone]} from ${i} to ${lone} and ${matrix[lone]?.[i]} back; use metropolis weights`,
      );
    }
  }
  const neighbors = matrix.map((row, i) =>
    row.flatMap((share, j) => (share > 0 && i !== j ? [j] : [])),
  );
  const mixing: Mixing = {
    graph: { name: "matrix", peers, neighbors },
    own: matrix.map((row, i) => row[i] as number),
    shares: matrix.map((row, i) => (neighbors[i] ?? []).map((j) => row[j] as number)),
  };
  requireConnected(where, mixing.graph);
  requireDoublyStochastic(where, mixing);
  return mixing;
}

/** W in full, N rows of N. */
export function toMatrix({ graph, own, shares }: Mixing): number[][] {
  return graph.neighbors.map((neighbors, i) => {
    const row = Array.from({ length: graph.peers }, () => 0);
    row[i] = own[i] as number;
    neighbors.forEach((j, k) => {
      row[j] = shares[i]?.[k] as number;
    });
    return row;
  });
}

/**
 * Why mixing does not bring peers together, where it does not: it swaps two groups for ever. Undefined for any other.
 *
 * That is so exactly where the graph is bipartite and no peer keeps a share of its own.
 */
export function periodicity({ graph, own }: Mixing): string | undefined {
  return own.every((share) => share === 0) && isBipartite(graph)
    ? "the graph is bipartite and no peer keeps a share of its own values, so that mixing swaps them for ever: take lazy() weights"
    : undefined;
}

/** λ = max(|λ₂|, |λ_N|), by the eigenvalues of W; for N peers O(N³), a second for 500. */
export function lambda(mixing: Mixing): number {
  const { realEigenvalues, imaginaryEigenvalues } = new EigenvalueDecomposition(
    new Matrix(toMatrix(mixing)),
  );
  const sizes = realEigenvalues.map((re, i) => Math.hypot(re, imaginaryEigenvalues[i] ?? 0));
  // The eigenvalue 1 of the mean is one of them.
  const largest = sizes.indexOf(Math.max(...sizes));
  return Math.max(0, ...sizes.filter((_, i) => i !== largest));
}

/** 1 − λ: the share of the distance from the mean that a round takes away at least. */
export function spectralGap(mixing: Mixing): number {
  return 1 - lambda(mixing);
}

function symmetric(where: string, graph: Graph, share: (i: Peer, j: Peer) => number): Mixing {
  requireConnected(where, graph);
  const shares = graph.neighbors.map((row, i) => row.map((j) => share(i, j)));
  const own = shares.map((row) => 1 - row.reduce((sum, each) => sum + each, 0));
  return { graph, own, shares };
}

function requireConnected(where: string, graph: Graph): void {
  if (!isConnected(graph)) {
    throw new RangeError(
      `${where}: the graph must connect all peers, got ${graph.peers} peers in parts that never exchange; add edges`,
    );
  }
}

function requireDoublyStochastic(where: string, mixing: Mixing): void {
  const { graph, own, shares } = mixing;
  const columns = [...own];
  for (const [i, row] of shares.entries()) {
    const sum = row.reduce((total, share) => total + share, own[i] as number);
    requireOne(where, "row", i, sum);
    row.forEach((share, k) => {
      const j = graph.neighbors[i]?.[k] as Peer;
      columns[j] = (columns[j] as number) + share;
    });
  }
  columns.forEach((sum, j) => {
    requireOne(where, "column", j, sum);
  });
}

function requireOne(where: string, what: "row" | "column", index: number, sum: number): void {
  if (!(Math.abs(sum - 1) <= TOLERANCE)) {
    throw new RangeError(
      `${where}: W must be doubly stochastic, got a sum of ${sum} in ${what} ${index}, off by ${Math.abs(sum - 1).toExponential(1)}; use metropolis weights`,
    );
  }
}
