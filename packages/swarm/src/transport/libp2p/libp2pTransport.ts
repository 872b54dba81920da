/**
 * The transport of a run over libp2p: Noise proves who is at the other end and encrypts, yamux carries streams, and one
 * stream a neighbour carries frames both ways.
 *
 *     roster ──► gate       who may connect
 *            ──► dialers    one for each neighbour that this end dials
 *            ──► links      one stream a neighbour; the newest counts
 */

import type { Connection, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { peerIdFromString } from "@libp2p/peer-id";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Timers } from "../../clock.ts";
import { encodeFrame, type Wire, wireOf } from "../../protocol/frame.ts";
import { type Layout, layoutId } from "../../protocol/layout.ts";
import type { Message, Peer } from "../../protocol/message.ts";
import { bytesOf } from "../../protocol/size.ts";
import type { Listener, Traffic, Transport } from "../transport.ts";
import { Dialer } from "./dialer.ts";
import { gate } from "./gate.ts";
import type { Identity } from "./identity.ts";
import { Link } from "./link.ts";
import { provideWithResolvers } from "./promise.ts";
import { dials, type Roster, requireRoster } from "./roster.ts";
import { transports } from "./transports.node.ts";

/** The protocol of a stream between neighbours. */
export const PROTOCOL = "/adastra/1";

export interface Libp2pTransportOptions {
  /** One of the roster's peers. */
  readonly identity: Identity;
  /** Of `readInvitation`. */
  readonly roster: Roster;
  /** The layout that the roster names. */
  readonly layout: Layout;
  readonly timers: Timers;
  /** Multiaddrs to listen at, where they are others than the roster tells: "/ip4/0.0.0.0/tcp/4001" behind a router. */
  readonly listen?: readonly string[];
  /** Connections that have not proved who they are, default 64: the oldest gives way. */
  readonly maxPending?: number;
  /** How long a connection may take to prove it, default 5000 ms. */
  readonly pendingMs?: number;
  /** How long a dial may take, default 5000 ms. */
  readonly dialMs?: number;
  /** Waits between dials of a neighbour that is away: doubled from the first, 100 ms, to the second, 5000 ms. */
  readonly retryMs?: readonly [number, number];
  /**
   * A neighbour that sends nothing for so long is dialled anew, default 15 s: a cut network closes no connection. Peers give
   * a sign of life every second.
   */
  readonly silenceMs?: number;
}

const WINDOW_BYTES = 1 << 20;

/** What is left of a run's messages to send when the transport closes. */
const CLOSE_MS = 500;

/**
 * Listens, and connects with the neighbours of the roster's graph for as long as it is open.
 *
 * Delivery is as `Transport` says: on a connection in order and without loss, except that newer values replace those that
 * still wait. Peers that are not in the roster, or whose key is not the one that the roster names, get no stream. Bytes that
 * are no frame end the stream they came by; `traffic.refused` counts them by what was wrong, with "uninvited" for peers,
 * "identity" for neighbours of another key, and "pending" for connections that gave way before they said who they are.
 *
 * @throws RangeError where the identity is not in the roster, or the layout is not the one that it names.
 */
export async function libp2pTransport(options: Libp2pTransportOptions): Promise<Transport> {
  const roster = requireRoster("libp2pTransport", options.roster);
  const { identity, layout } = options;
  const self = roster.peers.findIndex(({ id }) => id === identity.id);
  if (self < 0) {
    throw new RangeError(
      `libp2pTransport: \`identity\` must be a peer of the roster, got ${identity.id}; ask the founder for an invitation with it`,
    );
  }
  const id = await layoutId(layout, roster.epoch);
  if (id !== roster.layout) {
    throw new RangeError(
      `libp2pTransport: \`layout\` must be the roster's, ${roster.layout}, got ${id}; build the model that the founder built`,
    );
  }
  const node = new Node(self, roster, wireOf(roster.run, layout, id), options);
  await node.start();
  return node;
}

/** What is known of a neighbour's connection. */
interface Neighbor {
  link?: Link;
  readonly dialer: Dialer | undefined;
  /** Takes back the check for silence. */
  cancel: () => void;
  heard: number;
}

class Node implements Transport {
  readonly self: Peer;
  private readonly roster: Roster;
  private readonly wire: Wire;
  private readonly timers: Timers;
  private readonly options: Libp2pTransportOptions;
  private readonly peerOf: ReadonlyMap<string, Peer>;
  private readonly neighbors = new Map<Peer, Neighbor>();
  private readonly counts = { sent: 0, received: 0 };
  private readonly refusals: Record<string, number> = {};
  private listener: Listener | undefined;
  private libp2p: Libp2p | undefined;
  private closing: Promise<void> | undefined;

  constructor(self: Peer, roster: Roster, wire: Wire, options: Libp2pTransportOptions) {
    this.self = self;
    this.roster = roster;
    this.wire = wire;
    this.timers = options.timers;
    this.options = options;
    this.peerOf = new Map(roster.peers.map((peer, i) => [peer.id, i]));
    const { dialMs = 5000, retryMs: [minMs, maxMs] = [100, 5000] } = options;
    for (const peer of roster.mixing.graph.neighbors[self] ?? []) {
      const dialer = dials(roster, self, peer)
        ? new Dialer({
            timers: this.timers,
            timeoutMs: dialMs,
            minMs,
            maxMs,
            dial: (signal) => this.dial(peer, signal),
          })
        : undefined;
      this.neighbors.set(peer, { dialer, cancel: () => undefined, heard: 0 });
    }
  }

  get traffic(): Traffic {
    return { ...this.counts, refused: { ...this.refusals } };
  }

  async start(): Promise<void> {
    const { identity, maxPending = 64, pendingMs = 5000, listen } = this.options;
    provideWithResolvers();
    const libp2p = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: [...(listen ?? this.roster.peers[this.self]?.addresses ?? [])] },
      transports: transports(),
      connectionEncrypters: [noise()],
      streamMuxers: [
        yamux({
          maxInboundStreams: 8,
          maxOutboundStreams: 8,
          // What may be under way before the other end answers; yamux raises it where the network is slow to.
          streamOptions: { initialStreamWindowSize: WINDOW_BYTES },
        }),
      ],
      connectionGater: gate({
        allowed: new Set(this.roster.peers.map(({ id }) => id)),
        maxPending,
        refused: (why) => this.refused(why),
      }),
      connectionManager: {
        inboundUpgradeTimeout: pendingMs,
        // The gate bounds them, by a rule that a flood cannot use to keep peers out.
        maxIncomingPendingConnections: Number.POSITIVE_INFINITY,
        inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
        reconnectRetries: 0,
      },
      // Its ping is a protocol that peers do not speak; silence is noticed here.
      connectionMonitor: { enabled: false },
    });
    this.libp2p = libp2p;
    await libp2p.handle(PROTOCOL, (stream, connection) => this.accept(stream, connection), {
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
    });
    for (const { dialer } of this.neighbors.values()) {
      dialer?.dial();
    }
  }

  send(to: Peer, message: Message): void {
    if (to === this.self) {
      throw new RangeError(`send: a message must go to another peer, got ${to} from itself`);
    }
    const link = this.neighbors.get(to)?.link;
    if (link !== undefined && this.closing === undefined) {
      const pieces = encodeFrame(message, this.wire);
      link.send({ kind: message.kind, pieces, bytes: bytesOf(message) });
    }
  }

  listen(listener: Listener): void {
    this.listener = listener;
    for (const [peer, { link }] of this.neighbors) {
      if (link !== undefined) {
        // Not before the caller has what it listens with.
        queueMicrotask(() => this.neighbors.get(peer)?.link === link && this.listener?.up?.(peer));
      }
    }
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    this.listener = undefined;
    const links: Promise<void>[] = [];
    for (const { dialer, link, cancel } of this.neighbors.values()) {
      dialer?.stop();
      cancel();
      if (link !== undefined) {
        links.push(link.flushed());
      }
    }
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.timers.after(CLOSE_MS, resolve);
    });
    await Promise.race([Promise.all(links), late]);
    cancel();
    await this.libp2p?.stop();
  }

  private refused(what: string): void {
    this.refusals[what] = (this.refusals[what] ?? 0) + 1;
  }

  private async dial(peer: Peer, signal: AbortSignal): Promise<void> {
    const { id, addresses } = this.roster.peers[peer] as Roster["peers"][number];
    const libp2p = this.libp2p as Libp2p;
    const targets = addresses.map((address) => multiaddr(`${address}/p2p/${id}`));
    try {
      this.adopt(peer, await libp2p.dialProtocol(targets, PROTOCOL, { signal }));
    } catch (error) {
      if (isWrongIdentity(error)) {
        this.refused("identity");
      }
      // A connection that gives no stream may be dead: the next dial is to make a new one.
      await libp2p.hangUp(peerIdFromString(id), { signal: AbortSignal.abort() });
      throw error;
    }
  }

  private accept(stream: Stream, { remotePeer }: Connection): void {
    const peer = this.peerOf.get(remotePeer.toString());
    if (peer === undefined || !this.neighbors.has(peer)) {
      this.refused("uninvited");
      stream.abort(new Error("not a neighbour"));
      return;
    }
    if (stream.status === "open" && this.closing === undefined) {
      this.adopt(peer, stream);
    }
  }

  /** The newest stream counts: an older one may be of a process that is gone. */
  private adopt(peer: Peer, stream: Stream): void {
    const neighbor = this.neighbors.get(peer) as Neighbor;
    if (this.closing !== undefined || stream.status !== "open") {
      stream.abort(new Error("closed"));
      throw new Error("closed while it was opened");
    }
    neighbor.link?.abort(new Error("replaced by a newer stream"));
    const link = new Link(stream, this.wire, {
      message: (message) => {
        neighbor.dialer?.heard();
        this.listener?.message(peer, message);
      },
      refused: (fault) => this.refused(fault),
      sent: (bytes) => {
        this.counts.sent += bytes;
      },
      received: (bytes) => {
        this.counts.received += bytes;
        neighbor.heard = this.timers.now();
      },
      closed: () => this.lost(peer, neighbor, link),
    });
    neighbor.link = link;
    neighbor.heard = this.timers.now();
    this.listener?.up?.(peer);
    this.watch(neighbor, link);
  }

  private lost(peer: Peer, neighbor: Neighbor, link: Link): void {
    if (neighbor.link !== link) {
      return;
    }
    delete neighbor.link;
    neighbor.cancel();
    if (this.closing === undefined) {
      this.listener?.down?.(peer);
      neighbor.dialer?.again();
    }
  }

  /** Ends a link by which nothing comes. */
  private watch(neighbor: Neighbor, link: Link): void {
    const { silenceMs = 15_000 } = this.options;
    neighbor.cancel();
    neighbor.cancel = this.timers.after(silenceMs, () => {
      if (this.timers.now() - neighbor.heard >= silenceMs) {
        link.abort(new Error("the neighbour is silent"));
      } else {
        this.watch(neighbor, link);
      }
    });
  }
}

/** Whether another key answered than the one that was dialled. */
function isWrongIdentity(error: unknown): boolean {
  const errors = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  return errors.some((one) => one instanceof Error && /identity key/.test(one.message));
}
