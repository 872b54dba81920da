/** Frames that wait for a neighbour: bounded, whatever it does. */

import type { Message } from "../../protocol/message.ts";

/** A frame in pieces. */
export interface Outgoing {
  readonly kind: Message["kind"];
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
}

/** Bytes of messages without values that may wait. */
const SMALL_BYTES = 1 << 20;

/**
 * Frames in the order in which they came. Newer values take the place of those that wait, as do snapshots: what a slow
 * neighbour gets is late, not old, and no more than one of each waits. Small messages beyond 1 MiB are dropped.
 */
export class Outbox {
  private waiting: Outgoing[] = [];
  private small = 0;

  /** Whether the frame was taken. */
  add(frame: Outgoing): boolean {
    if (carriesValues(frame)) {
      this.waiting = this.waiting.filter(({ kind }) => kind !== frame.kind);
    } else if (this.small + frame.bytes > SMALL_BYTES) {
      return false;
    } else {
      this.small += frame.bytes;
    }
    this.waiting.push(frame);
    return true;
  }

  next(): Outgoing | undefined {
    return this.remove(1)[0];
  }

  /** The frames in front that take no more than so many bytes together. */
  takeSmall(most: number): readonly Outgoing[] {
    let [count, bytes] = [0, 0];
    for (const frame of this.waiting) {
      bytes += frame.bytes;
      if (bytes > most) {
        break;
      }
      count += 1;
    }
    return this.remove(count);
  }

  private remove(count: number): Outgoing[] {
    const taken = this.waiting.splice(0, count);
    for (const frame of taken) {
      this.small -= carriesValues(frame) ? 0 : frame.bytes;
    }
    return taken;
  }
}

const carriesValues = ({ kind }: Outgoing): boolean => kind === "values" || kind === "snapshot";
