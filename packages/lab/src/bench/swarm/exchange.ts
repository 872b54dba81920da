/** One peer's exchange with its neighbours on a ring: over libp2p, and the same bytes over plain TCP. */

import { createServer, connect as netConnect, type Socket } from "node:net";
import {
  type Layout,
  layoutId,
  type Message,
  metropolis,
  ring,
  type Timers,
  type Transport,
} from "@adastra/swarm";
import { identityFromSeed, libp2pTransport, type Roster } from "@adastra/swarm/libp2p";

/** Peers of the ring. */
export const PEERS = 4;

/** Sends a round's values to neighbours and resolves once theirs are there. */
export type Exchange = (values: Float32Array, round: number) => Promise<Map<number, Float32Array>>;

export interface Place {
  readonly self: number;
  readonly parameters: number;
  /** Of every peer, on loopback. */
  readonly ports: readonly number[];
}

const timers: Timers = {
  now: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** What a peer sends in every round: its number shows in each value. */
export function valuesOf(peer: number, parameters: number): Float32Array {
  return Float32Array.from({ length: 2 * parameters }, (_, i) => peer + (i % 1000) / 1024);
}

export async function overLibp2p(place: Place): Promise<[Exchange, Transport]> {
  const { self, parameters, ports } = place;
  const identities = await Promise.all(
    ports.map((_, n) => identityFromSeed(new Uint8Array(32).fill(n + 1))),
  );
  const layout: Layout = {
    dtype: "float32",
    leaves: { w: { shape: [parameters] } },
    vectors: ["p", "utilde"],
  };
  const roster: Roster = {
    run: "0123456789abcdef",
    epoch: 0,
    layout: await layoutId(layout, 0),
    mixing: metropolis(ring(PEERS)),
    peers: identities.map(({ id }, n) => ({ id, addresses: [`/ip4/127.0.0.1/tcp/${ports[n]}`] })),
    config: null,
  };
  const identity = identities[self];
  if (identity === undefined) {
    throw new RangeError(`bench swarm: a peer must be one of ${PEERS}, got ${self}`);
  }
  const transport = await libp2pTransport({
    identity,
    roster,
    layout,
    timers,
    retryMs: [20, 100],
    silenceMs: 600_000,
  });
  const neighbors = roster.mixing.graph.neighbors[self] ?? [];
  const { add, all } = collector(neighbors);
  await new Promise<void>((resolve) => {
    let up = 0;
    transport.listen({
      up: () => {
        up += 1;
        if (up === neighbors.length) {
          resolve();
        }
      },
      message: (from, message) => {
        if (message.kind === "values" && message.payload.form === "dense") {
          add(from, message.payload.values as Float32Array);
        }
      },
    });
  });
  const settled = { session: self, mixed: 0, closed: 0, unknown: 0 };
  const exchange: Exchange = (sent, round) => {
    const payload = { form: "dense", values: sent } as const;
    const message: Message = { kind: "values", round, settled, payload };
    neighbors.forEach((peer) => transport.send(peer, message));
    return all();
  };
  return [exchange, transport];
}

/** TCP copies what it reads into place and checks nothing. */
export async function overTcp({ self, parameters, ports }: Place): Promise<Exchange> {
  const neighbors = ring(PEERS).neighbors[self] ?? [];
  const { add, all } = collector(neighbors);
  const sockets = new Map<number, Socket>();
  await new Promise<void>((resolve) => {
    const take = (peer: number, socket: Socket): void => {
      socket.setNoDelay(true);
      sockets.set(peer, socket);
      socket.on(
        "data",
        receiver(8 * parameters, (got) => add(peer, got)),
      );
      if (sockets.size === neighbors.length) {
        resolve();
      }
    };
    const server = createServer({ highWaterMark: 1 << 20 }, (socket) => {
      socket.once("data", (first) => {
        take(first[0] as number, socket);
        if (first.length > 1) {
          socket.unshift(first.subarray(1));
        }
      });
    });
    server.listen(ports[self], "127.0.0.1");
    const dial = (peer: number): void => {
      const socket = netConnect({ port: ports[peer] as number, host: "127.0.0.1" });
      socket.once("error", () => setTimeout(() => dial(peer), 20));
      socket.once("connect", () => {
        socket.write(Uint8Array.of(self));
        take(peer, socket);
      });
    };
    neighbors.filter((peer) => self < peer).forEach(dial);
  });
  return (sent, round) => {
    const header = new Uint8Array(Uint32Array.of(round, sent.byteLength).buffer);
    const bytes = new Uint8Array(sent.buffer, sent.byteOffset, sent.byteLength);
    for (const socket of sockets.values()) {
      socket.write(header);
      socket.write(bytes);
    }
    return all();
  };
}

/** Collects what neighbours send in a round; theirs may be there before this peer is told to send. */
function collector(neighbors: readonly number[]) {
  const got = new Map<number, Float32Array>();
  let wake: () => void = () => undefined;
  return {
    add: (from: number, values: Float32Array): void => {
      got.set(from, values);
      wake();
    },
    all: async (): Promise<Map<number, Float32Array>> => {
      while (got.size < neighbors.length) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const all = new Map(got);
      got.clear();
      return all;
    },
  };
}

const HEADER = 8;

/** Bytes of a socket, copied into place. */
function receiver(
  total: number,
  deliver: (values: Float32Array) => void,
): (piece: Uint8Array) => void {
  const header = new Uint8Array(HEADER);
  let [filled, offset] = [0, 0];
  let into = new Uint8Array(0);
  return (piece) => {
    for (let at = 0; at < piece.length; ) {
      if (filled < HEADER) {
        const count = Math.min(HEADER - filled, piece.length - at);
        header.set(piece.subarray(at, at + count), filled);
        filled += count;
        at += count;
        into = filled === HEADER ? new Uint8Array(total) : into;
        offset = 0;
      } else {
        const count = Math.min(total - offset, piece.length - at);
        into.set(piece.subarray(at, at + count), offset);
        offset += count;
        at += count;
        if (offset === total) {
          filled = 0;
          deliver(new Float32Array(into.buffer));
        }
      }
    }
  };
}
