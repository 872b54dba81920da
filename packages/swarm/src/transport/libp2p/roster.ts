/** Who takes part in a run and how: what an invitation says. */

import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { fromMatrix, type Mixing, toMatrix } from "../../mixing/mixing.ts";
import type { Peer } from "../../protocol/message.ts";

export interface Roster {
  /** 16 hexadecimal digits, drawn anew for each run. */
  readonly run: string;
  /** Counts the graphs of a run; frames of another are refused. */
  readonly epoch: number;
  /** `layoutId` of the layout and the epoch. */
  readonly layout: string;
  readonly mixing: Mixing;
  /** In the order of the graph. */
  readonly peers: readonly RosterPeer[];
  /** What else peers must agree on, the method and its rates; JSON. */
  readonly config: unknown;
}

export interface RosterPeer {
  /** Its peer id. */
  readonly id: string;
  /** Where it listens, as multiaddrs ("/ip4/192.0.2.1/tcp/4001", "/dns4/…/tcp/443/wss"); none for one that only dials. */
  readonly addresses: readonly string[];
}

/** Whether `self` is the end of an edge that dials the other: the lower of two that listen. */
export function dials({ peers }: Roster, self: Peer, other: Peer): boolean {
  const listens = (peer: Peer): boolean => (peers[peer]?.addresses.length ?? 0) > 0;
  return listens(other) && (self < other || !listens(self));
}

/**
 * A roster out of what may be anything.
 *
 * @throws RangeError naming what is missing or out of range.
 */
export function requireRoster(where: string, value: unknown): Roster {
  const { run, epoch, layout, mixing, peers, config } = record(where, "the roster", value);
  for (const [name, id] of Object.entries({ run, layout })) {
    need(
      where,
      typeof id === "string" && /^[0-9a-f]{16}$/.test(id),
      `\`${name}\` must be 16 hexadecimal digits`,
      id,
    );
  }
  need(
    where,
    Number.isSafeInteger(epoch) && (epoch as number) >= 0,
    "`epoch` must be an integer of at least 0",
    epoch,
  );
  need(where, Array.isArray(peers), "`peers` must be a list", peers);
  const list = (peers as readonly unknown[]).map((peer) => requirePeer(where, peer));
  const twice = list.find(({ id }, i) => list.findIndex((other) => other.id === id) !== i);
  need(where, twice === undefined, "every peer must have an id of its own", twice?.id);
  const roster: Roster = {
    run: run as string,
    epoch: epoch as number,
    layout: layout as string,
    mixing: requireMixing(where, mixing, list.length),
    peers: list,
    config: config ?? null,
  };
  roster.mixing.graph.neighbors.forEach((neighbors, a) => {
    const lone = neighbors.find((b) => !dials(roster, a, b) && !dials(roster, b, a));
    need(
      where,
      lone === undefined,
      "one end of every edge must have an address",
      `none at ${a} and ${lone}`,
    );
  });
  return roster;
}

function requirePeer(where: string, value: unknown): RosterPeer {
  const { id, addresses } = record(where, "a peer", value);
  need(
    where,
    typeof id === "string" && isEd25519(id),
    "`id` must be the peer id of an Ed25519 key",
    id,
  );
  need(where, Array.isArray(addresses), "`addresses` must be a list", addresses);
  const wrong = (addresses as readonly unknown[]).find((address) => !isAddress(address));
  need(where, wrong === undefined, "an address must be a multiaddr without a peer id", wrong);
  return { id: id as string, addresses: [...(addresses as readonly string[])] };
}

function isEd25519(id: string): boolean {
  try {
    return peerIdFromString(id).type === "Ed25519";
  } catch {
    return false;
  }
}

function isAddress(address: unknown): boolean {
  try {
    const parts = typeof address === "string" ? multiaddr(address).getComponents() : [];
    return parts.length > 0 && parts.every(({ name }) => name !== "p2p");
  } catch {
    return false;
  }
}

function requireMixing(where: string, value: unknown, peers: number): Mixing {
  const { graph, own, shares } = record(where, "`mixing`", value);
  const { name, neighbors } = record(where, "`mixing.graph`", graph);
  const isRow = (row: unknown): row is readonly number[] =>
    Array.isArray(row) && row.every(Number.isFinite);
  const rows = [neighbors, shares].every(
    (list) => Array.isArray(list) && list.length === peers && list.every(isRow),
  );
  need(
    where,
    rows && isRow(own) && own.length === peers && typeof name === "string",
    `\`mixing\` must have a row for each of ${peers} peers`,
    name,
  );
  const given: Mixing = {
    graph: { name: name as string, peers, neighbors: neighbors as Mixing["shares"] },
    own: own as readonly number[],
    shares: shares as Mixing["shares"],
  };
  const checked = fromMatrix(toMatrix(given));
  const same = JSON.stringify(checked.graph.neighbors) === JSON.stringify(neighbors);
  need(where, same, "neighbours must ascend, each with a share", name);
  return { ...checked, graph: { ...checked.graph, name: name as string } };
}

function record(where: string, what: string, value: unknown): Readonly<Record<string, unknown>> {
  need(where, typeof value === "object" && value !== null, `${what} must be an object`, value);
  return value as Readonly<Record<string, unknown>>;
}

function need(where: string, ok: boolean, expected: string, got: unknown): void {
  if (!ok) {
    throw new RangeError(`${where}: ${expected}, got ${JSON.stringify(got)}`);
  }
}
