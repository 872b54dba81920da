import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { complete, fromEdges, path, randomRegular, ring, star, torus } from "../graph/graphs.ts";
import {
  fromMatrix,
  lambda,
  lazy,
  type Mixing,
  maxDegree,
  metropolis,
  periodicity,
  spectralGap,
  toMatrix,
} from "./mixing.ts";

const MIXINGS: fc.Arbitrary<Mixing> = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: 2, max: 20 }).map(ring),
      fc.integer({ min: 2, max: 20 }).map(path),
      fc.integer({ min: 2, max: 20 }).map(star),
      fc.integer({ min: 2, max: 12 }).map(complete),
      fc
        .tuple(fc.integer({ min: 5, max: 20 }), fc.nat())
        .map(([n, seed]) => randomRegular(n, 4, mulberry32(seed))),
    ),
    fc.constantFrom(metropolis, maxDegree),
    fc.boolean(),
  )
  .map(([graph, weigh, isLazy]) => (isLazy ? lazy(weigh(graph)) : weigh(graph)));

const mixOnce = (W: number[][], x: number[]): number[] =>
  W.map((row) => row.reduce((sum, share, j) => sum + share * (x[j] as number), 0));

const mean = (x: readonly number[]): number => x.reduce((sum, each) => sum + each, 0) / x.length;

const distance = (x: readonly number[]): number => {
  const middle = mean(x);
  return Math.hypot(...x.map((each) => each - middle));
};

describe("any mixing matrix", () => {
  test("is doubly stochastic to 1e-12 and read back as it is", () => {
    fc.assert(
      fc.property(MIXINGS, (mixing) => {
        const W = toMatrix(mixing);
        for (const [i, row] of W.entries()) {
          // Sums of at most 20 shares.
          expect(Math.abs(row.reduce((sum, share) => sum + share, 0) - 1)).toBeLessThan(1e-12);
          const column = W.reduce((sum, other) => sum + (other[i] as number), 0);
          expect(Math.abs(column - 1)).toBeLessThan(1e-12);
        }
        expect(toMatrix(fromMatrix(W))).toEqual(W);
      }),
    );
  });

  test("keeps the mean and brings peers together by λ at least", () => {
    fc.assert(
      fc.property(MIXINGS, fc.nat(), (mixing, seed) => {
        const random = mulberry32(seed);
        const x = Array.from({ length: mixing.graph.peers }, () => random.normal());
        const after = mixOnce(toMatrix(mixing), x);
        // Rounding of at most 20 sums of numbers near 1.
        expect(Math.abs(mean(after) - mean(x))).toBeLessThan(1e-14);
        expect(distance(after)).toBeLessThanOrEqual(
          lambda(mixing) * distance(x) * (1 + 1e-9) + 1e-14,
        );
      }),
    );
  });
});

describe("λ", () => {
  test.each([
    ["ring of 4", metropolis(ring(4)), 1 / 3],
    ["ring of 5", metropolis(ring(5)), 0.539345],
    ["complete of 7", metropolis(complete(7)), 0],
    ["two peers", metropolis(ring(2)), 0],
    // Eigenvalues (1 + 2 cos(2πk/N))/3 of a ring.
    ["ring of 12", metropolis(ring(12)), (1 + 2 * Math.cos(Math.PI / 6)) / 3],
    ["lazy ring of 12", lazy(metropolis(ring(12))), (2 + Math.cos(Math.PI / 6)) / 3],
    ["torus of 3 x 3", maxDegree(torus(3, 3)), 0.4],
  ])("of a %s", (_name, mixing, expected) => {
    // 0.539345 has six digits.
    expect(lambda(mixing)).toBeCloseTo(expected, 6);
    expect(spectralGap(mixing)).toBeCloseTo(1 - expected, 6);
  });
});

describe("periodicity", () => {
  const swap = [
    [0, 1],
    [1, 0],
  ];

  test("is named where mixing swaps two groups for ever, and lazy weights heal it", () => {
    expect(periodicity(fromMatrix(swap))).toMatch("bipartite");
    expect(lambda(fromMatrix(swap))).toBeCloseTo(1, 12);
    expect(periodicity(lazy(fromMatrix(swap)))).toBeUndefined();
  });

  test("is nothing of metropolis weights", () => {
    fc.assert(fc.property(MIXINGS, (mixing) => periodicity(mixing) === undefined));
  });
});

describe("refuses", () => {
  test.each([
    [
      () =>
        metropolis(
          fromEdges(4, [
            [0, 1],
            [2, 3],
          ]),
        ),
      "metropolis: the graph must connect all peers, got 4 peers in parts that never exchange; add edges",
    ],
    [
      () =>
        fromMatrix([
          [0.5, 0.5],
          [0.5, 0.4],
        ]),
      "fromMatrix: W must be doubly stochastic, got a sum of 0.9 in row 1, off by 1.0e-1; use metropolis weights",
    ],
    [
      () =>
        fromMatrix([
          [0.6, 0.4, 0],
          [0.2, 0.4, 0.4],
          [0, 0.4, 0.6],
        ]),
      "fromMatrix: W must be doubly stochastic, got a sum of 0.8 in column 0, off by 2.0e-1; use metropolis weights",
    ],
    [
      () =>
        fromMatrix([
          [1.2, -0.2],
          [-0.2, 1.2],
        ]),
      "fromMatrix: shares must be in [0, 1], got 1.2 in row 0, column 0; use metropolis weights",
    ],
    [
      () => fromMatrix([[Number.NaN]]),
      "fromMatrix: shares must be in [0, 1], got NaN in row 0, column 0; use metropolis weights",
    ],
    [
      () =>
        fromMatrix([
          [1, 0],
          [1, 0],
        ]),
      "fromMatrix: an edge must be used by both of its ends, got 0 from 0 to 1 and 1 back; use metropolis weights",
    ],
    [
      () =>
        fromMatrix([
          [1, 0],
          [0, 1],
        ]),
      "fromMatrix: the graph must connect all peers, got 2 peers in parts that never exchange; add edges",
    ],
    [() => fromMatrix([[1, 0]]), "fromMatrix: W must be square, got 2 numbers in row 0 of 1"],
  ])("%s", (make, message) => {
    expect(make).toThrow(new RangeError(message));
  });
});
