/** How messages get from peer to peer: the simulator and libp2p are one interface, held to one suite of tests. */

import type { Message, Peer } from "../protocol/message.ts";

/**
 * Carries messages between the peers of one run.
 *
 * Delivery: best effort. A message may be lost, late, doubled or overtaken; it arrives whole and unchanged or not at all,
 * from the peer that sent it, with this run's id and layout. What is broken never reaches the listener.
 */
export interface Transport {
  /** This peer's place in the roster. */
  readonly self: Peer;
  /**
   * Sends a message, or drops it where the neighbour is away or its queue is full; the arrays in it must not change
   * afterwards.
   */
  send(to: Peer, message: Message): void;
  /** Takes what arrives from now on; called once. */
  listen(listener: Listener): void;
  /** Bytes so far, frames with their headers. */
  readonly traffic: Traffic;
  /** Ends every connection; nothing arrives afterwards. */
  close(): Promise<void>;
}

export interface Listener {
  message(from: Peer, message: Message): void;
  /** A neighbour can be reached: at first, and again after `down`. */
  up?(peer: Peer): void;
  /** A neighbour's connection is gone. */
  down?(peer: Peer): void;
}

export interface Traffic {
  readonly sent: number;
  readonly received: number;
  /** Frames and messages that were refused, by what was wrong with them. */
  readonly refused: Readonly<Record<string, number>>;
}
