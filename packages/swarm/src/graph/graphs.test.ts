import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  complete,
  edgesOf,
  erdosRenyi,
  exponential,
  fromEdges,
  type Graph,
  hypercube,
  isBipartite,
  isConnected,
  path,
  randomRegular,
  ring,
  star,
  torus,
} from "./graphs.ts";

const degrees = ({ neighbors }: Graph): number[] => neighbors.map(({ length }) => length);

/** Any graph of any family, with up to 64 peers. */
const GRAPHS: fc.Arbitrary<Graph> = fc.oneof(
  fc.integer({ min: 1, max: 40 }).map(ring),
  fc.integer({ min: 1, max: 40 }).map(path),
  fc.integer({ min: 1, max: 40 }).map(star),
  fc.integer({ min: 1, max: 20 }).map(complete),
  fc.integer({ min: 1, max: 40 }).map(exponential),
  fc.integer({ min: 0, max: 6 }).map(hypercube),
  fc
    .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
    .map(([r, c]) => torus(r, c)),
  fc
    .tuple(fc.integer({ min: 2, max: 30 }), fc.nat())
    .map(([n, seed]) => erdosRenyi(n, Math.min(1, (3 * Math.log(n + 1)) / n), mulberry32(seed))),
  fc
    .tuple(fc.integer({ min: 5, max: 30 }), fc.constantFrom(2, 4), fc.nat())
    .map(([n, degree, seed]) => randomRegular(n, degree, mulberry32(seed))),
);

describe("any graph", () => {
  test("is connected, undirected, without loops, its neighbours ascending", () => {
    fc.assert(
      fc.property(GRAPHS, (graph) => {
        expect(isConnected(graph)).toBe(true);
        graph.neighbors.forEach((row, a) => {
          expect(row).toEqual([...new Set(row)].sort((x, y) => x - y));
          for (const b of row) {
            expect(b).not.toBe(a);
            expect(graph.neighbors[b]).toContain(a);
          }
        });
        expect(fromEdges(graph.peers, edgesOf(graph), graph.name)).toEqual(graph);
      }),
    );
  });
});

describe("degrees", () => {
  test.each([
    ["ring of 5", ring(5), [2, 2, 2, 2, 2]],
    ["ring of 2", ring(2), [1, 1]],
    ["ring of 1", ring(1), [0]],
    ["path of 4", path(4), [1, 2, 2, 1]],
    ["star of 4", star(4), [3, 1, 1, 1]],
    ["complete of 4", complete(4), [3, 3, 3, 3]],
    ["torus of 3 x 3", torus(3, 3), Array<number>(9).fill(4)],
    ["torus of 2 x 3", torus(2, 3), Array<number>(6).fill(3)],
    ["hypercube of 3 dimensions", hypercube(3), Array<number>(8).fill(3)],
    // 1, 2, 4 and 8 away in both directions; 8 away is the same peer in both.
    ["exponential of 16", exponential(16), Array<number>(16).fill(7)],
  ])("of a %s", (_name, graph, expected) => {
    expect(degrees(graph)).toEqual(expected);
  });

  test("of a random regular graph are all the one asked for", () => {
    fc.assert(
      fc.property(fc.constantFrom(2, 3, 4, 7), fc.nat(), (degree, seed) => {
        expect(new Set(degrees(randomRegular(20, degree, mulberry32(seed))))).toEqual(
          new Set([degree]),
        );
      }),
    );
  });

  test("of an Erdős-Rényi graph are (N − 1) p in the mean", () => {
    const random = mulberry32(1);
    const counts = Array.from({ length: 200 }, () => edgesOf(erdosRenyi(30, 0.3, random)).length);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    // 130.5 edges; one graph's count has a standard deviation of 9.6, the mean of 200 one of 0.7.
    expect(Math.abs(mean - 0.3 * 435)).toBeLessThan(3);
  });
});

test("the same seed draws the same graph", () => {
  expect(randomRegular(50, 4, mulberry32(7))).toEqual(randomRegular(50, 4, mulberry32(7)));
  expect(randomRegular(50, 4, mulberry32(7))).not.toEqual(randomRegular(50, 4, mulberry32(8)));
});

test("tells graphs of two groups from others", () => {
  const two = [ring(6), path(5), star(9), hypercube(4), torus(4, 2)];
  const one = [ring(5), complete(3), torus(3, 4), exponential(8)];
  expect(two.map(isBipartite)).toEqual(two.map(() => true));
  expect(one.map(isBipartite)).toEqual(one.map(() => false));
});

describe("refuses", () => {
  test.each([
    [() => ring(0), "ring: `peers` must be an integer of at least 1, got 0"],
    [() => ring(2.5), "ring: `peers` must be an integer of at least 1, got 2.5"],
    [() => hypercube(-1), "hypercube: `dimensions` must be an integer of at least 0, got -1"],
    [
      () => fromEdges(3, [[0, 3]]),
      "fromEdges: an edge must join two peers out of 0 to 2, got 0 and 3; leave it out",
    ],
    [
      () => fromEdges(3, [[1, 1]]),
      "fromEdges: an edge must join two peers out of 0 to 2, got 1 and 1; leave it out",
    ],
    [
      () => erdosRenyi(5, 1.5, mulberry32(0)),
      "erdosRenyi: `probability` must be in [0, 1], got 1.5; 2 ln(peers)/peers usually connects",
    ],
    [
      () => erdosRenyi(50, 0.01, mulberry32(0)),
      "erdosRenyi: `probability` must be large enough to draw a connected graph in 1000 tries, got 0.01; raise it",
    ],
    [
      () => randomRegular(5, 3, mulberry32(0)),
      "randomRegular: `degree` must be below `peers` and one of both even, got 3 and 5; add a peer",
    ],
    [
      () => randomRegular(4, 1, mulberry32(0)),
      "randomRegular: `degree` must be large enough to draw a connected graph in 1000 tries, got 1; raise it",
    ],
  ])("%s", (make, message) => {
    expect(make).toThrow(new RangeError(message));
  });
});
