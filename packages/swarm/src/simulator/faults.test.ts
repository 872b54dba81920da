import { describe, expect, test } from "vitest";
import { complete, ring } from "../graph/graphs.ts";
import { damsgrad } from "../methods/dAmsgrad.ts";
import { dpsgd } from "../methods/dPsgd.ts";
import { metropolis } from "../mixing/mixing.ts";
import type { Message } from "../protocol/message.ts";
import { gap, meanOf, runTest, vectorOf } from "./testRuns.ts";

const mixing = metropolis(ring(6));
const method = damsgrad({ eps: 1e-2 });
const rounds = 200;
/** Of an undisturbed round: 10 ms of work, or 5 and the exchange. */
const roundMs = 10;

describe("a peer that", () => {
  test("dies holds up its neighbours once, for the deadline", async () => {
    const { peers, ms } = await runTest({
      mixing,
      method,
      rounds,
      faults: [{ kind: "crash", peer: 2, atMs: 500 }],
    });
    expect(peers[2]?.rounds).toBeLessThan(60);
    for (const [peer, { longestStallMs, rounds: taken }] of peers.entries()) {
      if (peer !== 2) {
        expect(taken).toBe(rounds);
        // The connection is gone after a millisecond: nobody waits for the deadline.
        expect(longestStallMs).toBeLessThan(3 * roundMs + 10);
      }
    }
    expect(ms).toBeLessThan(rounds * roundMs * 1.2 + 1000);
  });

  test("returns from its checkpoint enters at the round that its neighbours are at", async () => {
    const { peers, trainers } = await runTest({
      mixing,
      method,
      rounds,
      faults: [{ kind: "crash", peer: 2, atMs: 500, forMs: 300 }],
    });
    // About 30 rounds away, and those since the checkpoint once more.
    expect(peers[2]?.rounds).toBeGreaterThan(rounds - 50);
    expect(peers[2]?.rounds).toBeLessThan(rounds);
    const apart = gap(vectorOf(trainers[2]!, "p"), meanOf(trainers, "p"));
    const others = gap(vectorOf(trainers[5]!, "p"), meanOf(trainers, "p"));
    // As far from the mean as a peer that was always there, whose distance is that of its own gradients.
    expect(apart).toBeLessThan(4 * others);
  });

  test("returns without anything takes values and round from a neighbour", async () => {
    const { peers, trainers } = await runTest({
      mixing,
      method,
      rounds,
      faults: [{ kind: "crash", peer: 2, atMs: 500, forMs: 300, returns: "neighbor" }],
    });
    expect(peers[2]?.rounds).toBeGreaterThan(rounds - 50);
    expect(gap(vectorOf(trainers[2]!, "p"), meanOf(trainers, "p"))).toBeLessThan(1);
  });

  test("stands still is waited for by its deadline and comes back", async () => {
    const { peers } = await runTest({
      mixing,
      method,
      faults: [{ kind: "pause", peer: 3, atMs: 600, forMs: 20_000 }],
      rounds: 3000,
    });
    for (const [peer, { longestStallMs }] of peers.entries()) {
      if (peer !== 3) {
        // Three times the median round.
        expect(longestStallMs).toBeLessThan(5 * roundMs);
      }
    }
    expect(peers[3]?.rounds).toBeGreaterThan(900);
  });

  test("is ten times slower slows nobody down much", async () => {
    const { peers, ms } = await runTest({
      mixing,
      method,
      rounds: 500,
      computeMs: (peer) => (peer === 1 ? 10 * roundMs : roundMs),
    });
    expect(ms).toBeLessThan(500 * roundMs * 3);
    expect(peers[1]?.mixed).toBeGreaterThan(20);
    expect(peers.filter(({ rounds: taken }) => taken === 500)).toHaveLength(5);
  });
});

test("a network in two halves trains on in both and grows together again", async () => {
  const distances: number[] = [];
  const { peers } = await runTest({
    mixing,
    method,
    rounds: 1500,
    network: { partitions: [{ fromMs: 2000, toMs: 8000, peers: [0, 1, 2] }] },
    onRound: ({ peer, atMs, distance }) => {
      // The edge between the halves that peer 2 has.
      if (peer === 2 && atMs > 9500) {
        distances.push(distance);
      }
    },
  });
  for (const { rounds: taken, longestStallMs } of peers) {
    // Some rounds fewer where one half jumped to the other's round.
    expect(taken).toBeGreaterThan(1300);
    expect(longestStallMs).toBeLessThan(5 * roundMs);
  }
  expect(distances.every((distance) => distance < 0.5)).toBe(true);
});

describe("a liar", () => {
  const honest = [1, 2, 3, 4];
  const lie = (from: number, message: Message): Message =>
    from === 0 && message.kind === "values"
      ? { ...message, payload: { form: "dense", values: new Float64Array(6).fill(1000) } }
      : message;
  const far = async (clip?: number): Promise<number> => {
    const { trainers } = await runTest({
      mixing: metropolis(complete(5)),
      method: dpsgd(),
      learningRate: 0.05,
      rounds: 200,
      network: { lie },
      ...(clip !== undefined && { clip }),
    });
    return Math.max(...honest.flatMap((peer) => vectorOf(trainers[peer]!, "p").map(Math.abs)));
  };

  test("ends nobody by a snapshot that nobody asked for, nor one of changes to nothing", async () => {
    const snapshot = (_from: number, message: Message): Message =>
      message.kind === "have" || message.kind === "snapshot"
        ? {
            kind: "snapshot",
            round: 150,
            payload: {
              form: "sparse",
              base: 1,
              length: 6,
              indices: new Uint32Array(0),
              values: new Float32Array(0),
            },
          }
        : message;
    const { peers } = await runTest({
      mixing,
      method: dpsgd(),
      rounds: 50,
      network: { lie: (from, message) => (from === 0 ? snapshot(from, message) : message) },
      faults: [{ kind: "crash", peer: 1, atMs: 100, forMs: 50, returns: "neighbor" }],
    });
    // Peer 1 has another neighbour to take values from.
    expect(peers.map(({ rounds: taken }) => taken > 20)).toEqual(peers.map(() => true));
  });

  test("moves everybody as far as it likes without clipping, and little with it", async () => {
    expect(await far()).toBeGreaterThan(500);
    // It pushes by 0.02 a round against gradients of size 0.05.
    expect(await far(0.02)).toBeLessThan(5);
  });
});

test("the same seed is the same run, another seed another, on a network that draws", async () => {
  const run = async (seed: number): Promise<number[]> => {
    const { trainers } = await runTest({
      mixing,
      method,
      rounds: 50,
      seed,
      network: { loss: 0.2, jitterMs: 3, duplication: 0.1 },
    });
    return trainers.flatMap((trainer) => vectorOf(trainer, "p"));
  };
  expect(await run(1)).toEqual(await run(1));
  expect(await run(1)).not.toEqual(await run(2));
});

describe("refuses", () => {
  test.each([
    [{ network: { loss: 2 } }, "Network: `loss` must be in [0, 1], got 2"],
    [{ network: { delayMs: -1 } }, "Network: `delayMs` must be at least 0, got -1"],
    [{ network: { bytesPerMs: 0 } }, "Network: `bytesPerMs` must be greater than 0, got 0"],
    [{ clip: 0 }, "PeerLoop: `clip` must be greater than 0, got 0"],
    [{ consensusStep: 0 }, "PeerLoop: `consensusStep` must be in (0, 1], got 0"],
    [
      { compression: { topK: 0 } },
      'PeerLoop: `compression` must be "none", "bf16", "int8" or { topK } with a share in (0, 1], got {"topK":0}',
    ],
    [
      { faults: [{ kind: "crash" as const, peer: 9, atMs: 0 }] },
      "simulate: a fault must happen to a peer of the graph at a time of at least 0, got peer 9 at 0 ms",
    ],
    [{ localSteps: 0 }, "createTrainer: `localSteps` must be an integer of at least 1, got 0"],
  ])("%j", async (options, message) => {
    const run = async (): Promise<unknown> => runTest({ mixing, method, rounds: 1, ...options });
    await expect(run()).rejects.toThrow(new RangeError(message));
  });
});
