import { mulberry32 } from "@adastra/core";
import { afterEach, describe, expect, it } from "vitest";
import { complete } from "../graph/graphs.ts";
import { INT8_BLOCK, type Message, type Payload, type Peer } from "../protocol/message.ts";
import { Network } from "../simulator/network.ts";
import { VirtualTime } from "../simulator/virtualTime.ts";
import { layoutOf, startNode, testRun, until } from "./libp2p/testNodes.ts";
import type { Transport } from "./transport.ts";

/** Peers that are all neighbours of each other, over one kind of transport. */
interface Swarm {
  readonly transports: readonly Transport[];
  /** Lets time pass until a condition holds. */
  until(condition: () => boolean): Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly start: (peers: number, parameters: number) => Promise<Swarm>;
}

const kinds: readonly Kind[] = [
  {
    name: "the simulator",
    start: (peers) => {
      const time = new VirtualTime();
      const network = new Network(time, mulberry32(1), complete(peers));
      const transports = Array.from({ length: peers }, (_, peer) => network.connect(peer));
      return Promise.resolve({
        transports,
        until: async (condition) => {
          await time.run(condition);
          expect(condition()).toBe(true);
        },
      });
    },
  },
  {
    name: "libp2p over TCP",
    start: async (peers, parameters) => {
      const run = await testRun(peers, layoutOf(parameters));
      const starts = Array.from({ length: peers }, (_, peer) => startNode(run, peer));
      return { transports: await Promise.all(starts), until };
    },
  },
  {
    // As a page dials a process.
    name: "libp2p over WebSocket",
    start: async (peers, parameters) => {
      const run = await testRun(peers, layoutOf(parameters), undefined, "/ws");
      const starts = Array.from({ length: peers }, (_, peer) => startNode(run, peer));
      return { transports: await Promise.all(starts), until };
    },
  },
];

/** What a peer's listener was told. */
interface Heard {
  readonly messages: (readonly [Peer, Message])[];
  readonly events: string[];
}

function hear(transport: Transport): Heard {
  const heard: Heard = { messages: [], events: [] };
  transport.listen({
    message: (from, message) => heard.messages.push([from, message]),
    up: (peer) => heard.events.push(`up ${peer}`),
    down: (peer) => heard.events.push(`down ${peer}`),
  });
  return heard;
}

describe.each(kinds)("a transport: $name", ({ start }) => {
  let open: readonly Transport[] = [];

  afterEach(async () => {
    await Promise.all(open.map((transport) => transport.close()));
  });

  /** Peers that listen and have all found each other. */
  async function connected(peers: number, parameters = 150) {
    const swarm = await start(peers, parameters);
    open = swarm.transports;
    const heard = open.map(hear);
    await swarm.until(() => heard.every(({ events }) => events.length >= peers - 1));
    return { ...swarm, heard, a: open[0] as Transport, b: open[1] as Transport };
  }

  it("tells each peer of the others, once", async () => {
    const { heard } = await connected(3);
    expect(heard.map(({ events }) => [...events].sort())).toEqual([
      ["up 1", "up 2"],
      ["up 0", "up 2"],
      ["up 0", "up 1"],
    ]);
  });

  const numbers = 300;
  const floats = Float32Array.from({ length: numbers }, (_, i) => Math.fround(Math.sin(i) * 1e3));
  const payloads: Readonly<Record<string, Payload>> = {
    dense: { form: "dense", values: floats },
    bf16: { form: "bf16", values: Uint16Array.from(floats, (_, i) => i) },
    int8: {
      form: "int8",
      scales: new Float32Array(Math.ceil(numbers / INT8_BLOCK)).fill(0.5),
      values: Int8Array.from(floats, (_, i) => (i % 255) - 127),
    },
    sparse: {
      form: "sparse",
      base: 4,
      length: numbers,
      indices: Uint32Array.of(0, 7, 299),
      values: Float32Array.of(1, -2, 0.25),
    },
  };
  const settled = { session: 4294967295, mixed: 3, closed: 4, unknown: 2 };

  it.each(Object.keys(payloads))(
    "brings %s values and snapshots whole, from whom they are",
    async (form) => {
      const { a, heard, ...swarm } = await connected(3);
      const payload = payloads[form] as Payload;
      const sent: Message[] = [
        { kind: "values", round: 5, settled, payload },
        { kind: "snapshot", round: 4294967295, payload },
      ];
      for (const message of sent) {
        a.send(1, message);
        open[2]?.send(1, message);
        await swarm.until(() => heard[1]?.messages.length === 2 * (sent.indexOf(message) + 1));
      }
      const of = (peer: Peer): Message[] =>
        (heard[1]?.messages ?? []).flatMap(([from, message]) => (from === peer ? [message] : []));
      expect([of(0), of(2)]).toEqual([sent, sent]);
      expect([heard[0]?.messages, heard[2]?.messages]).toEqual([[], []]);
    },
  );

  it("brings every other kind of message", async () => {
    const { a, heard, ...swarm } = await connected(2);
    const sent: Message[] = [
      { kind: "have", round: 7 },
      { kind: "beat", round: 8, settled },
      { kind: "fetch" },
      { kind: "leave" },
    ];
    sent.forEach((message) => a.send(1, message));
    await swarm.until(() => heard[1]?.messages.length === 4);
    expect(heard[1]?.messages).toEqual(sent.map((message) => [0, message]));
  });

  it("loses none of many small messages, and keeps their order", async () => {
    const { a, b, heard, ...swarm } = await connected(2);
    const rounds = Array.from({ length: 5000 }, (_, round) => round);
    for (const round of rounds) {
      a.send(1, { kind: "have", round });
      b.send(0, { kind: "beat", round, settled });
    }
    const got = (peer: Peer): number => heard[peer]?.messages.length ?? 0;
    await swarm.until(() => got(0) === rounds.length && got(1) === rounds.length);
    for (const peer of [0, 1]) {
      expect(heard[peer]?.messages.map(([, m]) => "round" in m && m.round)).toEqual(rounds);
    }
  });

  it("brings 5,000,000 numbers both ways at once, and what is sent after them", async () => {
    const { a, b, heard, ...swarm } = await connected(2, 2_500_000);
    const values = Float32Array.from({ length: 5_000_000 }, (_, i) => Math.fround(i * 1e-3));
    const message: Message = {
      kind: "values",
      round: 1,
      settled,
      payload: { form: "dense", values },
    };
    for (const [from, to] of [
      [a, 1],
      [b, 0],
    ] as const) {
      from.send(to, message);
      from.send(to, { kind: "have", round: 1 });
    }
    await swarm.until(() => heard.every(({ messages }) => messages.length === 2));
    for (const { messages } of heard) {
      const first = messages[0]?.[1];
      const got = first?.kind === "values" ? first.payload.values : new Float32Array(0);
      // Equality of arrays as memory: `toEqual` takes seconds for so many.
      expect(Buffer.compare(Buffer.from(got.buffer), Buffer.from(values.buffer))).toBe(0);
      expect(messages[1]?.[1]).toEqual({ kind: "have", round: 1 });
    }
  });

  it("counts the bytes of frames at both ends", async () => {
    const { a, b, heard, ...swarm } = await connected(2);
    a.send(1, { kind: "values", round: 1, settled, payload: payloads["dense"] as Payload });
    await swarm.until(() => heard[1]?.messages.length === 1);
    const bytes = 40 + 16 + 4 * numbers;
    expect([a.traffic, b.traffic]).toEqual([
      { sent: bytes, received: 0, refused: {} },
      { sent: 0, received: bytes, refused: {} },
    ]);
  });

  it("tells the others of a peer that closes, and is closed for good", async () => {
    const { a, b, heard, ...swarm } = await connected(3);
    a.send(1, { kind: "leave" });
    await a.close();
    await a.close();
    await swarm.until(() => [1, 2].every((peer) => heard[peer]?.events.includes("down 0")));
    expect(heard[1]?.messages).toEqual([[0, { kind: "leave" }]]);
    const before = structuredClone(heard[0]);
    a.send(1, { kind: "fetch" });
    b.send(0, { kind: "fetch" });
    b.send(2, { kind: "fetch" });
    open[2]?.send(1, { kind: "fetch" });
    await swarm.until(() => heard[2]?.messages.length === 1 && heard[1]?.messages.length === 2);
    expect(heard[0]).toEqual(before);
    expect(heard[1]?.messages[1]).toEqual([2, { kind: "fetch" }]);
  });

  it("refuses a message to itself, and drops one to a peer that is none", async () => {
    const { a, b, heard, ...swarm } = await connected(2);
    expect(() => a.send(0, { kind: "fetch" })).toThrow(
      new RangeError("send: a message must go to another peer, got 0 from itself"),
    );
    a.send(9, { kind: "fetch" });
    b.send(0, { kind: "fetch" });
    await swarm.until(() => heard[0]?.messages.length === 1);
    expect(heard[1]?.messages).toEqual([]);
  });
});
