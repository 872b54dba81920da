/** What holds of every method whatever the network does: the mean of ũ, the mean of x, equality of equals. */

import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  complete,
  type Edge,
  erdosRenyi,
  fromEdges,
  type Graph,
  path,
  ring,
  star,
  torus,
} from "../graph/graphs.ts";
import { damsgrad } from "../methods/dAmsgrad.ts";
import { dpsgd } from "../methods/dPsgd.ts";
import { lambda, metropolis } from "../mixing/mixing.ts";
import type { Peer } from "../protocol/message.ts";
import { gap, METHODS, meanOf, runTest, SIZE, vectorOf } from "./testRuns.ts";

const TRACKING = METHODS.filter(([, make]) => make().exchanged.includes("utilde"));

const GRAPHS: fc.Arbitrary<Graph> = fc.oneof(
  fc.integer({ min: 2, max: 8 }).map(ring),
  fc.integer({ min: 2, max: 6 }).map(path),
  fc.integer({ min: 2, max: 7 }).map(star),
  fc.constant(torus(3, 3)),
  fc.nat().map((seed) => erdosRenyi(8, 0.5, mulberry32(seed))),
);

/** A network at its worst, which still lets something through. */
const NETWORKS = fc.record({
  seed: fc.nat(),
  loss: fc.double({ min: 0, max: 0.4, noNaN: true }),
  duplication: fc.double({ min: 0, max: 0.4, noNaN: true }),
  jitterMs: fc.constantFrom(0, 2, 20),
});

/** Long enough for signs of life to settle what was left open: eight in a row are lost once in 1,500 at 40 %. */
const lingerMs = 20_000;

/** Last words that come while a gradient is on its way: one in a hundred of such networks has them. */
const SETTLED_IN_A_GRADIENT = [7, 207, 272].map(
  (seed): [Graph, { seed: number; loss: number; duplication: number; jitterMs: number }] => [
    fromEdges(8, [
      ...[1, 3, 5, 7].map((peer): Edge => [0, peer]),
      ...[3, 5, 7].map((peer): Edge => [1, peer]),
      ...[5, 7].map((peer): Edge => [2, peer]),
      [3, 6],
      [4, 6],
      [5, 6],
    ]),
    // As good as never: numbers are drawn all the same.
    { seed, loss: Number.MIN_VALUE, duplication: Number.MIN_VALUE, jitterMs: 20 },
  ],
);

const random = (peer: Peer, size = SIZE): Float64Array => {
  const draws = mulberry32(peer + 100);
  return Float64Array.from({ length: size }, () => draws.normal());
};

describe.each(TRACKING)("%s", (_name, make) => {
  test("mean of ũ is mean of v̂, on any graph and any network", async () => {
    await fc.assert(
      fc.asyncProperty(GRAPHS, NETWORKS, async (graph, { seed, ...network }) => {
        const { trainers } = await runTest({
          mixing: metropolis(graph),
          method: make(),
          rounds: 15,
          seed,
          network,
          lingerMs,
        });
        // 15 rounds of sums of at most 9 numbers near 1, in float64.
        expect(gap(meanOf(trainers, "utilde"), meanOf(trainers, "vhat"))).toBeLessThan(1e-13);
      }),
      { numRuns: 15, examples: SETTLED_IN_A_GRADIENT },
    );
  });
});

describe("mixing", () => {
  /** Nothing but mixing. */
  const still = (_peer: Peer, _x: ArrayLike<number>, g: Float32Array | Float64Array): void => {
    g.fill(0);
  };

  test("keeps the mean on any network", async () => {
    await fc.assert(
      fc.asyncProperty(GRAPHS, NETWORKS, async (graph, { seed, ...network }) => {
        const { trainers } = await runTest({
          mixing: metropolis(graph),
          method: dpsgd(),
          rounds: 30,
          seed,
          network,
          lingerMs,
          start: random,
          gradient: still,
        });
        const starts = graph.neighbors.map((_, peer) => random(peer));
        const mean = Array.from({ length: SIZE }, (_, i) =>
          starts.reduce((sum, start) => sum + (start[i] as number) / starts.length, 0),
        );
        // 30 rounds of sums of at most 9 numbers near 1, in float64.
        expect(gap(meanOf(trainers, "p"), mean)).toBeLessThan(1e-13);
      }),
      { numRuns: 40 },
    );
  });

  test("brings peers together by λ a round at least", async () => {
    await fc.assert(
      fc.asyncProperty(GRAPHS, async (graph) => {
        const mixing = metropolis(graph);
        const rounds = 10;
        const { trainers } = await runTest({
          mixing,
          method: dpsgd(),
          rounds,
          start: (peer) => random(peer, 1),
          gradient: still,
        });
        const spread = (values: readonly number[]): number => {
          const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
          return Math.hypot(...values.map((value) => value - mean));
        };
        const before = spread(graph.neighbors.map((_, peer) => random(peer, 1)[0] as number));
        const after = spread(trainers.map((trainer) => vectorOf(trainer, "p")[0] as number));
        // Rounding of ten rounds.
        expect(after).toBeLessThanOrEqual(lambda(mixing) ** rounds * before * (1 + 1e-9) + 1e-14);
      }),
      { numRuns: 30 },
    );
  });

  test.each(["float32", "float64"] as const)(
    "300 rounds in %s, a fifth of what goes one way lost: the mean drifts by less than 1e-6",
    async (dtype) => {
      const mixing = metropolis(ring(8));
      const { trainers, peers } = await runTest({
        mixing,
        method: dpsgd(),
        rounds: 300,
        dtype,
        lingerMs,
        network: { loss: (from, to) => (from < to ? 0.2 : 0) },
        start: (peer) => random(peer).map((value) => Math.fround(value)),
        gradient: still,
      });
      const mean = Array.from({ length: SIZE }, (_, i) =>
        mixing.graph.neighbors.reduce(
          (sum, _row, peer) => sum + Math.fround(random(peer)[i] as number) / 8,
          0,
        ),
      );
      expect(gap(meanOf(trainers, "p"), mean)).toBeLessThan(1e-6);
      const total = (what: "mixed" | "dropped" | "unknown" | "late"): number =>
        peers.reduce((sum, peer) => sum + peer[what], 0);
      // Loss did what it was there for: rounds were dropped, last words lost, and some of those rounds counted late.
      expect(total("dropped")).toBeGreaterThan(100);
      expect(total("unknown")).toBeGreaterThan(100);
      expect(total("late")).toBeGreaterThan(20);
      expect(total("mixed")).toBeGreaterThan(2000);
    },
  );
});

describe.each(METHODS)("equals under %s", (_name, make) => {
  const same = (_peer: Peer, x: ArrayLike<number>, g: Float32Array | Float64Array): void => {
    for (let i = 0; i < g.length; i++) {
      g[i] = 3 * (x[i] as number) - i;
    }
  };

  test("identical peers stay identical, to the bit", async () => {
    const { trainers } = await runTest({
      mixing: metropolis(ring(5)),
      method: make(),
      rounds: 40,
      gradient: same,
    });
    const [first, ...others] = trainers.map((trainer) => vectorOf(trainer, "p"));
    expect(others).toEqual(others.map(() => first));
  });

  test("everybody with everybody and the same gradients is one peer alone", async () => {
    const run = async (peers: number): Promise<number[]> => {
      const { trainers } = await runTest({
        mixing: metropolis(complete(peers)),
        method: make(),
        rounds: 40,
        gradient: same,
      });
      return vectorOf(trainers[0]!, "p");
    };
    expect(await run(4)).toEqual(await run(1));
  });
});

test("one peer of the delayed form is not AMSGrad: its first step divides by √ε", async () => {
  const { trainers } = await runTest({
    mixing: metropolis(ring(1)),
    method: damsgrad({ b1: 0.9, eps: 1e-6 }),
    rounds: 1,
    learningRate: 0.01,
    start: () => [0],
    gradient: (_peer, _x, g) => g.fill(2),
  });
  // α (1 − β₁) g / √ε; rounding of a few operations.
  expect(vectorOf(trainers[0]!, "p")[0]).toBeCloseTo((-0.01 * 0.1 * 2) / 1e-3, 12);
});
