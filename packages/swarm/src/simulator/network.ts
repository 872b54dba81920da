/** A network in one process: messages take virtual time and meet the faults that are asked for. */

import type { Random } from "@adastra/core";
import type { Graph } from "../graph/graphs.ts";
import type { Message, Peer } from "../protocol/message.ts";
import { bytesOf } from "../protocol/size.ts";
import type { Listener, Traffic, Transport } from "../transport/transport.ts";
import type { VirtualTime } from "./virtualTime.ts";

export interface NetworkOptions {
  /** Of every message, default 1 ms. */
  readonly delayMs?: number;
  /** Mean of an exponential addition to it; messages overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Bytes a millisecond that a message takes at each end of a link; default no limit. */
  readonly bytesPerMs?: number;
  /** Probability that a message is lost, of every link or by link. Default 0. */
  readonly loss?: number | ((from: Peer, to: Peer) => number);
  /** Probability that a message arrives twice. Default 0. */
  readonly duplication?: number;
  /** Cuts between peers: messages that are sent while they last, or would arrive, are lost. */
  readonly partitions?: readonly Partition[];
  /** Changes what a peer sends, as a liar does; messages are not changed in place. */
  readonly lie?: (from: Peer, message: Message, random: Random) => Message;
}

export interface Partition {
  readonly fromMs: number;
  readonly toMs: number;
  /** Peers that only reach each other. */
  readonly peers: readonly Peer[];
}

/** Peers of one network, each with a transport. */
export class Network {
  private readonly time: VirtualTime;
  private readonly random: Random;
  private readonly graph: Graph;
  private readonly options: Required<Omit<NetworkOptions, "lie">> & Pick<NetworkOptions, "lie">;
  private readonly endpoints: (Endpoint | undefined)[] = [];

  /** @throws RangeError for an option out of range. */
  constructor(
    time: VirtualTime,
    random: Random,
    graph: Graph,
    {
      delayMs = 1,
      jitterMs = 0,
      bytesPerMs = Number.POSITIVE_INFINITY,
      loss = 0,
      duplication = 0,
      partitions = [],
      lie,
    }: NetworkOptions = {},
  ) {
    for (const [name, value] of Object.entries({ delayMs, jitterMs })) {
      if (!(value >= 0)) {
        throw new RangeError(`Network: \`${name}\` must be at least 0, got ${value}`);
      }
    }
    if (!(bytesPerMs > 0)) {
      throw new RangeError(`Network: \`bytesPerMs\` must be greater than 0, got ${bytesPerMs}`);
    }
    for (const [name, value] of Object.entries({ loss, duplication })) {
      if (typeof value === "number" && !(value >= 0 && value <= 1)) {
        throw new RangeError(`Network: \`${name}\` must be in [0, 1], got ${value}`);
      }
    }
    this.time = time;
    this.random = random;
    this.graph = graph;
    this.options = {
      delayMs,
      jitterMs,
      bytesPerMs,
      loss,
      duplication,
      partitions,
      ...(lie && { lie }),
    };
  }

  /** The transport of a peer to its neighbours; a peer that comes back gets a new one, and its old one is closed. */
  connect(peer: Peer): Transport {
    this.endpoints[peer]?.shut();
    const endpoint = new Endpoint(
      peer,
      (to, message) => this.carry(endpoint, to, message),
      () => {
        if (this.endpoints[peer] === endpoint) {
          this.endpoints[peer] = undefined;
        }
        this.tell(peer, "down");
      },
    );
    this.endpoints[peer] = endpoint;
    this.time.after(0, () => this.tell(peer, "up"));
    return endpoint;
  }

  private tell(peer: Peer, what: "up" | "down"): void {
    for (const neighbor of this.graph.neighbors[peer] ?? []) {
      const other = this.endpoints[neighbor];
      this.time.after(this.options.delayMs, () => other?.listener?.[what]?.(peer));
    }
  }

  private carry(from: Endpoint, to: Peer, original: Message): void {
    const { lie, loss, duplication, delayMs, jitterMs, bytesPerMs } = this.options;
    const message = lie?.(from.self, original, this.random) ?? original;
    const bytes = bytesOf(message);
    from.sent(bytes);
    const lost = typeof loss === "number" ? loss : loss(from.self, to);
    const copies = duplication > 0 && this.random.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (lost > 0 && this.random.next() < lost) {
        continue;
      }
      const jitter = jitterMs > 0 ? -jitterMs * Math.log(1 - this.random.next()) : 0;
      const arrives = delayMs + jitter + from.transmit(this.time.now(), bytes / bytesPerMs);
      if (this.isCut(from.self, to, this.time.now())) {
        continue;
      }
      this.time.after(arrives, () => {
        const receiver = this.endpoints[to];
        if (receiver !== undefined && !this.isCut(from.self, to, this.time.now())) {
          receiver.arrive(from.self, message, bytes);
        }
      });
    }
  }

  private isCut(a: Peer, b: Peer, now: number): boolean {
    return this.options.partitions.some(
      ({ fromMs, toMs, peers }) =>
        now >= fromMs && now < toMs && peers.includes(a) !== peers.includes(b),
    );
  }
}

class Endpoint implements Transport {
  readonly self: Peer;
  listener: Listener | undefined;
  private readonly carry: (to: Peer, message: Message) => void;
  private readonly closed: () => void;
  private open = true;
  private counts = { sent: 0, received: 0 };
  /** When its link is free again. */
  private free = 0;

  constructor(self: Peer, carry: (to: Peer, message: Message) => void, closed: () => void) {
    this.self = self;
    this.carry = carry;
    this.closed = closed;
  }

  get traffic(): Traffic {
    return { ...this.counts, refused: {} };
  }

  send(to: Peer, message: Message): void {
    if (to === this.self) {
      throw new RangeError(`send: a message must go to another peer, got ${to} from itself`);
    }
    if (this.open) {
      this.carry(to, message);
    }
  }

  listen(listener: Listener): void {
    this.listener = listener;
  }

  close(): Promise<void> {
    if (this.open) {
      this.shut();
      this.closed();
    }
    return Promise.resolve();
  }

  /** Nothing goes or comes any more, and nobody is told. */
  shut(): void {
    this.open = false;
    this.listener = undefined;
  }

  sent(bytes: number): void {
    this.counts.sent += bytes;
  }

  /** Milliseconds until what is sent now has left. */
  transmit(now: number, ms: number): number {
    this.free = Math.max(this.free, now) + ms;
    return this.free - now;
  }

  arrive(from: Peer, message: Message, bytes: number): void {
    if (this.open) {
      this.counts.received += bytes;
      this.listener?.message(from, message);
    }
  }
}
