import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import type { Message } from "../../protocol/message.ts";
import type { Transport } from "../transport.ts";
import { freePorts, layoutOf, startNode, testRun, until } from "./testNodes.ts";

/** Passes connections on, and counts what goes through: TCP's payload, all of libp2p's own included. */
class Relay {
  there = 0;
  back = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(port: number, target: number) {
    this.server = createServer((near) => {
      const far = connect(target, "127.0.0.1");
      this.join(near, far, (bytes) => {
        this.there += bytes;
      });
      this.join(far, near, (bytes) => {
        this.back += bytes;
      });
    });
    this.server.listen(port, "127.0.0.1");
  }

  private join(from: Socket, to: Socket, count: (bytes: number) => void): void {
    this.sockets.add(from);
    from.on("data", ({ length }) => count(length));
    from.on("error", () => to.destroy());
    from.pipe(to);
  }

  close(): void {
    this.sockets.forEach((socket) => socket.destroy());
    this.server.close();
  }
}

let relay: Relay | undefined;
let nodes: readonly Transport[] = [];

afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()));
  relay?.close();
});

it("a round of both vectors takes at most 1.02 times their bytes on the wire, each way", async () => {
  const parameters = 100_000;
  const run = await testRun(2, layoutOf(parameters));
  const [hidden = 0] = await freePorts(1);
  // Peer 0 dials the address of the roster, behind which the relay stands.
  relay = new Relay(run.ports[1] as number, hidden);
  nodes = await Promise.all([
    startNode(run, 0),
    startNode(run, 1, { listen: [`/ip4/127.0.0.1/tcp/${hidden}`] }),
  ]);
  const got = [0, 0];
  let up = 0;
  nodes.forEach((node, peer) =>
    node.listen({
      message: () => {
        got[peer] = (got[peer] ?? 0) + 1;
      },
      up: () => {
        up += 1;
      },
    }),
  );
  await until(() => up === 2);
  const settled = { session: 1, mixed: 0, closed: 0, unknown: 0 };
  const payload = { form: "dense", values: new Float32Array(2 * parameters) } as const;
  const exchange = async (round: number): Promise<void> => {
    const values: Message = { kind: "values", round, settled, payload };
    nodes.forEach((node, peer) => node.send(1 - peer, values));
    await until(() => got.every((count) => count === 2 * round - 1));
    nodes.forEach((node, peer) => node.send(1 - peer, { kind: "have", round }));
    await until(() => got.every((count) => count === 2 * round));
  };
  const before = { there: relay.there, back: relay.back };
  const rounds = 5;
  for (let round = 1; round <= rounds; round++) {
    await exchange(round);
  }
  const most = 1.02 * 8 * parameters * rounds;
  expect(relay.there - before.there).toBeLessThan(most);
  expect(relay.back - before.back).toBeLessThan(most);
  expect(relay.there - before.there).toBeGreaterThan(8 * parameters * rounds);
});
