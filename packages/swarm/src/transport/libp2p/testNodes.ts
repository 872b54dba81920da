/** Nodes on loopback for tests. */

import { createServer } from "node:net";
import type { Timers } from "../../clock.ts";
import { complete, type Graph } from "../../graph/graphs.ts";
import { metropolis } from "../../mixing/mixing.ts";
import { type Layout, layoutId } from "../../protocol/layout.ts";
import type { Transport } from "../transport.ts";
import { type Identity, identityFromSeed } from "./identity.ts";
import { type Libp2pTransportOptions, libp2pTransport } from "./libp2pTransport.ts";
import type { Roster } from "./roster.ts";

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

export const layoutOf = (parameters: number): Layout => ({
  dtype: "float32",
  leaves: { w: { shape: [parameters] } },
  vectors: ["p", "utilde"],
});

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const testIdentity = (n: number): Promise<Identity> =>
  identityFromSeed(new Uint8Array(32).fill(n + 1));

export interface TestRun {
  readonly roster: Roster;
  readonly identities: readonly Identity[];
  readonly layout: Layout;
  readonly ports: readonly number[];
}

/** A run of peers on free ports, by default all neighbours of each other; `path` ends their addresses. */
export async function testRun(
  peers: number,
  layout: Layout,
  graph?: Graph,
  path = "",
): Promise<TestRun> {
  const [ports, identities, id] = await Promise.all([
    freePorts(peers),
    Promise.all(Array.from({ length: peers }, (_, n) => testIdentity(n))),
    layoutId(layout, 0),
  ]);
  const roster: Roster = {
    run: "0123456789abcdef",
    epoch: 0,
    layout: id,
    mixing: metropolis(graph ?? complete(peers)),
    peers: identities.map((identity, n) => ({
      id: identity.id,
      addresses: [`/ip4/127.0.0.1/tcp/${ports[n]}${path}`],
    })),
    config: null,
  };
  return { roster, identities, layout, ports };
}

/** One peer of a run. */
export function startNode(
  { roster, identities, layout }: TestRun,
  peer: number,
  more: Partial<Libp2pTransportOptions> = {},
): Promise<Transport> {
  const identity = identities[peer] as Identity;
  return libp2pTransport({ identity, roster, layout, timers: realTimers, ...more });
}

/** Resolves once `condition` holds; the test's own time limit ends it where it never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
