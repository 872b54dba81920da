/**
 * What does a round's exchange over libp2p cost, against the same frames over plain TCP?
 *
 *     node bench/dist/swarmTransport.js [parameters, default 1000000] [rounds, default 15] [--json]
 *
 * A ring of four processes on loopback. In a round every peer sends two vectors to both neighbours and has theirs. Rounds
 * alternate between the two; TCP copies what it reads into place and checks nothing. What arrives is compared before timing.
 */

import { fork } from "node:child_process";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
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
import { environment, interleave } from "adastra/bench";

const PEERS = 4;
const HEADER = 8;

const timers: Timers = {
  now: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, peer: { type: "string" } },
  allowPositionals: true,
});
const parameters = Number(positionals[0] ?? 1_000_000);
const rounds = Number(positionals[1] ?? 15);

/** Sends a round's values to neighbours and resolves once theirs are there. */
type Exchange = (values: Float32Array, round: number) => Promise<Map<number, Float32Array>>;

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

async function overLibp2p(self: number, ports: readonly number[]): Promise<[Exchange, Transport]> {
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
    throw new RangeError(`swarmTransport: a peer must be one of ${PEERS}, got ${self}`);
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
    const message: Message = {
      kind: "values",
      round,
      settled,
      payload: { form: "dense", values: sent },
    };
    neighbors.forEach((peer) => transport.send(peer, message));
    return all();
  };
  return [exchange, transport];
}

async function overTcp(self: number, ports: readonly number[]): Promise<Exchange> {
  const neighbors = ring(PEERS).neighbors[self] ?? [];
  const { add, all } = collector(neighbors);
  const sockets = new Map<number, Socket>();
  await new Promise<void>((resolve) => {
    const take = (peer: number, socket: Socket): void => {
      socket.setNoDelay(true);
      sockets.set(peer, socket);
      socket.on(
        "data",
        receiver((got) => add(peer, got)),
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

/** Bytes of a socket, copied into place. */
function receiver(deliver: (values: Float32Array) => void): (piece: Uint8Array) => void {
  const header = new Uint8Array(HEADER);
  const total = 8 * parameters;
  let [filled, offset] = [0, 0];
  let target = new Uint8Array(0);
  return (piece) => {
    for (let at = 0; at < piece.length; ) {
      if (filled < HEADER) {
        const count = Math.min(HEADER - filled, piece.length - at);
        header.set(piece.subarray(at, at + count), filled);
        filled += count;
        at += count;
        target = filled === HEADER ? new Uint8Array(total) : target;
        offset = 0;
      } else {
        const count = Math.min(total - offset, piece.length - at);
        target.set(piece.subarray(at, at + count), offset);
        offset += count;
        at += count;
        if (offset === total) {
          filled = 0;
          deliver(new Float32Array(target.buffer));
        }
      }
    }
  };
}

const valuesOf = (peer: number): Float32Array =>
  Float32Array.from({ length: 2 * parameters }, (_, i) => peer + (i % 1000) / 1024);

type Ask =
  | { readonly ports: readonly number[] }
  | { readonly over: "libp2p" | "tcp"; readonly round: number; readonly compare: boolean };

/** One peer, told by the process that times. */
function child(self: number): void {
  const exchanges: Partial<Record<"libp2p" | "tcp", Exchange>> = {};
  let transport: Transport | undefined;
  const mine = valuesOf(self);
  const answer = async (ask: Ask): Promise<unknown> => {
    if ("ports" in ask) {
      [exchanges.libp2p, transport] = await overLibp2p(self, ask.ports.slice(0, PEERS));
      exchanges.tcp = await overTcp(self, ask.ports.slice(PEERS));
      return "ready";
    }
    const before = transport?.traffic.received ?? 0;
    const cpu = process.cpuUsage();
    const got = await exchanges[ask.over]?.(mine, ask.round);
    const used = process.cpuUsage(cpu);
    const wrong = ask.compare
      ? [...(got ?? [])].filter(([peer, theirs]) => {
          const expected = valuesOf(peer);
          return theirs.length !== expected.length || theirs.some((x, i) => x !== expected[i]);
        }).length
      : 0;
    const received = (transport?.traffic.received ?? 0) - before;
    return { wrong, received, cpuMs: (used.user + used.system) / 1000 };
  };
  process.on("disconnect", () => process.exit());
  process.on("message", (ask: Ask) => {
    void answer(ask).then((reply) => process.send?.(reply));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((s) => new Promise((resolve) => s.once("listening", resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

interface Reply {
  readonly wrong: number;
  readonly received: number;
  readonly cpuMs: number;
}

async function parent(): Promise<void> {
  const args = [String(parameters), String(rounds)];
  const children = Array.from({ length: PEERS }, (_, peer) =>
    fork(fileURLToPath(import.meta.url), [...args, "--peer", String(peer)]),
  );
  const ask = (what: Ask): Promise<unknown[]> =>
    Promise.all(
      children.map(
        (one) =>
          new Promise((resolve) => {
            one.once("message", resolve);
            one.send(what);
          }),
      ),
    );
  await ask({ ports: await freePorts(2 * PEERS) });
  const checks: Record<string, number> = {};
  let bytesPerEdge = Number.NaN;
  for (const over of ["libp2p", "tcp"] as const) {
    const replies = (await ask({ over, round: 0, compare: true })) as Reply[];
    checks[`${over}: values that arrived changed`] = replies.reduce((s, { wrong }) => s + wrong, 0);
    bytesPerEdge = over === "libp2p" ? (replies[0]?.received ?? Number.NaN) / 2 : bytesPerEdge;
  }
  let round = 0;
  const cpu: Record<string, number[]> = { libp2p: [], tcp: [] };
  const contestants = (["libp2p", "tcp"] as const).map((over) => ({
    name: over,
    run: async () => {
      round += 1;
      const start = performance.now();
      const replies = (await ask({ over, round, compare: false })) as Reply[];
      cpu[over]?.push(replies.reduce((sum, { cpuMs }) => sum + cpuMs, 0));
      return performance.now() - start;
    },
  }));
  const measured = await interleave(contestants, { rounds, warmups: 3 });
  const tcp = measured.find(({ name }) => name === "tcp");
  const timings = measured.map(({ name, minMs, medianMs }) => ({
    name,
    minMs,
    medianMs,
    ratio: medianMs / (tcp?.medianMs ?? Number.NaN),
    ratioOfMinima: minMs / (tcp?.minMs ?? Number.NaN),
    cpuMs: cpu[name]?.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN,
  }));
  const bytes = { perEdge: bytesPerEdge, ratio: bytesPerEdge / (8 * parameters) };
  children.forEach((one) => one.disconnect());
  if (values.json) {
    const stamp = environment(new Date(), ["libp2p", "@libp2p/noise", "@libp2p/yamux"]);
    console.log(
      JSON.stringify({ environment: stamp, parameters, checks, bytes, timings }, null, 2),
    );
    return;
  }
  console.log(`ring of ${PEERS}, ${parameters} parameters, both vectors, ms a round:`);
  for (const { name, minMs, medianMs, ratio, cpuMs } of timings) {
    const ms = `median ${medianMs.toFixed(1)}  minimum ${minMs.toFixed(1)}`;
    console.log(`${name.padEnd(7)} ${ms}  x${ratio.toFixed(2)}  CPU of all ${cpuMs.toFixed(0)}`);
  }
  console.log(`bytes a round and edge / (8 P): ${bytes.ratio.toFixed(5)}`);
}

if (values.peer === undefined) {
  await parent();
} else {
  child(Number(values.peer));
}
