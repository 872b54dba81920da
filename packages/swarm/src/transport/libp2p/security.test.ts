import { connect, type Socket } from "node:net";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import { afterEach, describe, expect, it } from "vitest";
import { path } from "../../graph/graphs.ts";
import { encodeFrame, wireOf } from "../../protocol/frame.ts";
import type { Message, Peer } from "../../protocol/message.ts";
import type { Transport } from "../transport.ts";
import { generateIdentity, type Identity } from "./identity.ts";
import { PROTOCOL } from "./libp2pTransport.ts";
import { layoutOf, startNode, type TestRun, testIdentity, testRun, until } from "./testNodes.ts";

const closing: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function start(run: TestRun, peer: Peer, more = {}): Promise<Transport> {
  const transport = await startNode(run, peer, more);
  closing.push(() => transport.close());
  return transport;
}

/** Messages and events in the order in which they came. */
function hear(transport: Transport): string[] {
  const heard: string[] = [];
  transport.listen({
    message: (from, message) => heard.push(`${message.kind} of ${from}`),
    up: (peer) => heard.push(`up ${peer}`),
    down: (peer) => heard.push(`down ${peer}`),
  });
  return heard;
}

/** A node of libp2p that keeps to no rule of ours. */
async function stranger(identity: Identity): Promise<Libp2p> {
  const node = await createLibp2p({
    privateKey: identity.privateKey,
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
  });
  closing.push(() => node.stop());
  return node;
}

const addressOf = ({ roster }: TestRun, peer: Peer) => {
  const { id, addresses } = roster.peers[peer] as TestRun["roster"]["peers"][number];
  return multiaddr(`${addresses[0]}/p2p/${id}`);
};

/** The run with a peer that nobody dials: a dial that gets no stream ends the connection that it came by. */
function onlyDialing({ roster, ...run }: TestRun, peer: Peer): TestRun {
  const peers = roster.peers.map((each, i) => (i === peer ? { ...each, addresses: [] } : each));
  return { ...run, roster: { ...roster, peers } };
}

const beat: Message = {
  kind: "beat",
  round: 1,
  settled: { session: 1, mixed: 0, closed: 0, unknown: 0 },
};

describe("a peer that was not invited", () => {
  it("gets no stream, and is counted", async () => {
    const run = await testRun(2, layoutOf(4));
    const host = await start(run, 0);
    const heard = hear(host);
    const node = await stranger(await generateIdentity());
    const opened = node.dialProtocol(addressOf(run, 0), PROTOCOL).then(
      async (stream) => {
        // The dialling end may be done before the other end has looked at its key; it is then cut off.
        await until(() => stream.status !== "open");
      },
      () => undefined,
    );
    await opened;
    await until(() => host.traffic.refused["uninvited"] !== undefined);
    expect(node.getConnections().filter(({ status }) => status === "open")).toEqual([]);
    expect(heard).toEqual([]);
    expect(host.traffic.received).toBe(0);
  });

  it("gets none either where it is in the roster and no neighbour", async () => {
    const run = await testRun(3, layoutOf(4), path(3));
    const host = await start(run, 0);
    const heard = hear(host);
    const node = await stranger(run.identities[2] as Identity);
    const stream = await node.dialProtocol(addressOf(run, 0), PROTOCOL);
    await until(() => stream.status !== "open" && host.traffic.refused["uninvited"] === 1);
    expect(heard).toEqual([]);
  });
});

it("a neighbour that answers with another key than the roster's is not talked to", async () => {
  const run = await testRun(2, layoutOf(4));
  const other = await testIdentity(77);
  // Peer 1 listens where the roster says, with a key that the roster does not name.
  const peers = run.roster.peers.map((peer, n) => (n === 1 ? { ...peer, id: other.id } : peer));
  const false1: TestRun = {
    ...run,
    roster: { ...run.roster, peers },
    identities: [run.identities[0] as Identity, other],
  };
  const impostor = await start(false1, 1);
  const host = await start(run, 0, { retryMs: [5, 5] });
  const [heard, heardThere] = [hear(host), hear(impostor)];
  await until(() => (host.traffic.refused["identity"] ?? 0) >= 2);
  expect([heard, heardThere]).toEqual([[], []]);
  expect([host.traffic.sent, host.traffic.received]).toEqual([0, 0]);
});

describe("bytes that are no frame", () => {
  const wireOfRun = ({ roster, layout }: TestRun) => wireOf(roster.run, layout, roster.layout);

  it.each([
    ["magic", (): Uint8Array => new Uint8Array(64).fill(0xab)],
    [
      "run",
      (run: TestRun): Uint8Array =>
        encodeFrame(
          { kind: "fetch" },
          wireOf("f".repeat(16), run.layout, run.roster.layout),
        )[0] as Uint8Array,
    ],
    [
      "layout",
      (run: TestRun): Uint8Array =>
        encodeFrame(
          { kind: "fetch" },
          wireOf(run.roster.run, run.layout, "f".repeat(16)),
        )[0] as Uint8Array,
    ],
  ])("end the stream they came by and nothing else: another %s", async (fault, bytes) => {
    const run = onlyDialing(await testRun(3, layoutOf(4)), 2);
    const [host, honest] = [await start(run, 0), await start(run, 1)];
    const [heard] = [hear(host), hear(honest)];
    await until(() => heard.includes("up 1"));
    const node = await stranger(run.identities[2] as Identity);
    const connection = await node.dial(addressOf(run, 0));
    const stream = await connection.newStream(PROTOCOL);
    stream.send(bytes(run));
    await until(() => stream.status !== "open" && host.traffic.refused[fault] === 1);
    expect(heard).toEqual(["up 1", "up 2", "down 2"]);
    // The connection stands, a stream with frames is taken, and so are those of others.
    expect(connection.status).toBe("open");
    const second = await connection.newStream(PROTOCOL);
    encodeFrame(beat, wireOfRun(run)).forEach((piece) => second.send(piece));
    honest.send(0, beat);
    await until(() => heard.includes("beat of 2") && heard.includes("beat of 1"));
    expect(host.traffic.refused).toEqual({ [fault]: 1 });
  });

  it("on the raw port end that socket, and time ends one that says nothing", async () => {
    const run = await testRun(2, layoutOf(4));
    const host = await start(run, 0, { pendingMs: 200 });
    const sockets = [
      Uint8Array.from("GET / HTTP/1.1\r\n\r\n".repeat(100), (c) => c.charCodeAt(0)),
      new Uint8Array(1 << 16).fill(7),
      undefined,
    ].map((bytes) => {
      const socket = connect(run.ports[0] as number, "127.0.0.1");
      socket.on("error", () => undefined);
      closing.push(() => socket.destroy());
      if (bytes !== undefined) {
        socket.write(bytes);
      }
      return socket;
    });
    await until(() => sockets.every(({ closed }) => closed));
    expect(host.traffic.received).toBe(0);
  });

  it("such as NaN in a frame that is in order cost that message only", async () => {
    const run = await testRun(2, layoutOf(4));
    const [host, neighbour] = [await start(run, 0), await start(run, 1)];
    const heard = hear(host);
    hear(neighbour);
    await until(() => heard.includes("up 1"));
    const values = new Float32Array(8).fill(Number.NaN);
    neighbour.send(0, { kind: "snapshot", round: 1, payload: { form: "dense", values } });
    neighbour.send(0, beat);
    await until(() => heard.includes("beat of 1"));
    expect(heard).toEqual(["up 1", "beat of 1"]);
    expect(host.traffic.refused).toEqual({ notFinite: 1 });
  });
});

it("500 sockets that say nothing neither keep honest peers apart nor fill memory", async () => {
  const run = await testRun(2, layoutOf(5000));
  const host = await start(run, 1, { maxPending: 32, pendingMs: 60_000 });
  const heard = hear(host);
  const open = new Set<Socket>();
  const flood = Array.from({ length: 500 }, () => {
    const socket = connect(run.ports[1] as number, "127.0.0.1");
    socket.on("connect", () => open.add(socket));
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    closing.push(() => socket.destroy());
    return socket;
  });
  await until(() => flood.every(({ connecting }) => !connecting));
  // The oldest have given way; the bound stands while nothing has timed out.
  await until(() => open.size <= 32);
  expect(host.traffic.refused["pending"]).toBe(500 - 32);
  // An honest peer dials into the full house.
  const other = await start(run, 0);
  const heardThere = hear(other);
  await until(() => heard.includes("up 0") && heardThere.includes("up 1"));
  const payload = { form: "dense", values: new Float32Array(10_000).fill(1) } as const;
  for (let round = 1; round <= 20; round++) {
    other.send(1, { kind: "values", round, settled: beat.settled, payload });
    await until(() => heard.length === 1 + round);
  }
  expect(heard.slice(1)).toEqual(Array.from({ length: 20 }, () => "values of 0"));
  expect(heardThere).toEqual(["up 1"]);
});
