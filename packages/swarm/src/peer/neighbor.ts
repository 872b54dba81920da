/** What a peer knows of a neighbour, and whether its rounds wait for it. */

import type { Message, Round } from "../protocol/message.ts";
import type { Edge } from "./edge.ts";

type ValuesMessage = Extract<Message, { kind: "values" }>;

/** Signs of life in a row that are missed by who fell silent. */
const SILENT_BEATS = 3;

export class Neighbor {
  readonly edge: Edge;
  /** Whether it was ever heard of. */
  seen = false;
  awaited = true;
  left = false;
  /** The latest round it was seen at. */
  round: Round = 0;
  /** The last round that it said it had mixed when it sent values. */
  mixed: Round = 0;
  /** Values of a round that this peer has not begun. */
  early: ValuesMessage | undefined;
  /** What it was sent of the round that runs. */
  sent: ValuesMessage | undefined;
  private heardAt: number;
  /** Rounds in a row that did not count. */
  private missed = 0;

  constructor(edge: Edge, now: number) {
    this.edge = edge;
    this.heardAt = now;
  }

  hear(now: number): void {
    this.heardAt = now;
    this.seen = true;
  }

  isSilent(now: number, heartbeatMs: number): boolean {
    return now - this.heardAt >= SILENT_BEATS * heartbeatMs;
  }

  /** It can be reached. */
  found(now: number): void {
    this.heardAt = now;
    this.missed = 0;
    this.awaited = !this.left;
  }

  /** Its connection is gone. */
  lose(): void {
    this.awaited = false;
    this.heardAt = Number.NEGATIVE_INFINITY;
  }

  /** It goes for good. */
  leave(): void {
    this.left = true;
    this.awaited = false;
    this.edge.forget();
  }

  /** It is at a round; who keeps up with this peer's own is awaited again. */
  seenAt(round: Round, own: Round): void {
    this.round = Math.max(this.round, round);
    if (!this.awaited && !this.left && round >= own) {
      this.awaited = true;
      this.missed = 0;
    }
  }

  /** A round of its edge is over; after `misses` in a row that did not count it is not awaited. */
  tookPart(counted: boolean, misses: number): void {
    this.missed = counted ? 0 : this.missed + 1;
    if (this.missed >= misses) {
      this.awaited = false;
    }
  }
}
