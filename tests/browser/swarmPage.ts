/** One peer of a small run: the same in Node and in a page. */

import { createTrainer, damsgrad, PeerLoop, type Timers } from "../../packages/swarm/src/index.ts";
import {
  identityFromSeed,
  libp2pTransport,
  readInvitation,
} from "../../packages/swarm/src/transport/libp2p/index.ts";

const timers: Timers = {
  now: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** Parameters, and what peers have of each: the model of all is at the mean of their targets, 1. */
export const SIZE = 500;
export const targetOf = (peer: number): number => peer;

export interface Part {
  readonly params: readonly number[];
  readonly rounds: number;
  readonly mixed: number;
  readonly refused: Readonly<Record<string, number>>;
}

/** Takes part as peer `self` to the run's last round. */
export async function takePart(
  invitation: string,
  founder: string,
  self: number,
  rounds: number,
): Promise<Part> {
  const roster = await readInvitation(invitation, founder);
  const identity = await identityFromSeed(new Uint8Array(32).fill(self + 1));
  const trainer = createTrainer({
    method: damsgrad({ eps: 1e-2 }),
    params: { w: { shape: [SIZE], data: new Float32Array(SIZE).fill(-1) } },
    learningRate: 0.02,
    gradient: ({ w }, { w: gradient }) => {
      gradient?.data.set(Float32Array.from(w?.data ?? [], (x) => x - targetOf(self)));
      return 0;
    },
  });
  const layout = {
    dtype: trainer.dtype,
    leaves: { w: { shape: [SIZE] } },
    vectors: ["p", "utilde"],
  };
  const transport = await libp2pTransport({
    identity,
    roster,
    layout,
    timers,
    retryMs: [20, 200],
  });
  const counts = { rounds: 0, mixed: 0 };
  await new Promise<void>((resolve, reject) => {
    new PeerLoop({
      transport,
      timers,
      trainer,
      mixing: roster.mixing,
      rounds,
      session: self + 1,
      // However busy the machine is, a round waits for both neighbours.
      gatherMs: 100_000,
      heartbeatMs: 20_000,
      deadline: { firstMs: 60_000, leastMs: 60_000, mostMs: 60_000 },
      onRound: ({ mixed }) => {
        counts.rounds += 1;
        counts.mixed += mixed;
      },
      onEnd: (error) => (error === undefined ? resolve() : reject(error as Error)),
    }).start();
  });
  const { refused } = transport.traffic;
  await transport.close();
  return { params: Array.from(trainer.optimizer.params["w"]?.data ?? []), ...counts, refused };
}
