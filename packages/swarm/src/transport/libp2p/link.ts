/** One stream to a neighbour, both ways: frames out as fast as it takes them, messages in. */

import type { Stream, StreamMessageEvent } from "@libp2p/interface";
import type { Wire } from "../../protocol/frame.ts";
import { FrameError, frameDecoder } from "../../protocol/frameDecoder.ts";
import type { Message } from "../../protocol/message.ts";
import { Outbox, type Outgoing } from "./outbox.ts";

/** What is handed to the stream at once; a multiple of it waits in libp2p at most. */
const CHUNK_BYTES = 256 * 1024;

export interface LinkEvents {
  message(message: Message): void;
  /** Bytes or a message that were refused, by what was wrong. */
  refused(fault: string): void;
  sent(bytes: number): void;
  received(bytes: number): void;
  /** The stream is gone, for whatever reason; once. */
  closed(): void;
}

export class Link {
  private readonly stream: Stream;
  private readonly events: LinkEvents;
  private readonly outbox = new Outbox();
  /** What is left of the frame that is being sent. */
  private chunks: Iterator<Uint8Array> | undefined;
  private pumping = false;
  private open = true;
  private full = false;
  private emptied: (() => void) | undefined;

  constructor(stream: Stream, wire: Wire, events: LinkEvents) {
    this.stream = stream;
    this.events = events;
    const decode = frameDecoder(
      wire,
      (message) => this.open && events.message(message),
      (fault) => events.refused(fault),
    );
    stream.addEventListener("message", ({ data }: StreamMessageEvent) => {
      if (this.open) {
        this.take(decode, data instanceof Uint8Array ? [data] : data);
      }
    });
    stream.addEventListener("drain", () => {
      this.full = false;
      this.pump();
    });
    stream.addEventListener("close", () => this.end());
    stream.addEventListener("remoteCloseWrite", () => this.abort(new Error("the neighbour left")));
  }

  send(frame: Outgoing): void {
    if (this.open) {
      this.outbox.add(frame);
      this.pumpSoon();
    }
  }

  /** Resolves once everything is with the stream, or it is gone. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.emptied = resolve;
      this.pump();
      if (!this.open) {
        resolve();
      }
    });
  }

  abort(reason: Error): void {
    this.stream.abort(reason);
    this.end();
  }

  private take(decode: (bytes: Uint8Array) => void, pieces: Iterable<Uint8Array>): void {
    try {
      for (const piece of pieces) {
        this.events.received(piece.byteLength);
        decode(piece);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) {
        throw error;
      }
      this.events.refused(error.fault);
      this.abort(error);
    }
  }

  private end(): void {
    if (this.open) {
      this.open = false;
      this.emptied?.();
      this.events.closed();
    }
  }

  /** At the end of the turn: small frames sent in one turn leave together. */
  private pumpSoon(): void {
    if (!this.pumping && !this.full) {
      this.pumping = true;
      queueMicrotask(() => {
        this.pumping = false;
        this.pump();
      });
    }
  }

  /** Sends until the stream is full or nothing is left; a drain inside `send` does not begin a second one. */
  private pump(): void {
    if (this.pumping) {
      return;
    }
    this.pumping = true;
    try {
      while (this.open && !this.full) {
        const chunk = this.nextChunk();
        if (chunk === undefined) {
          this.emptied?.();
          break;
        }
        this.events.sent(chunk.byteLength);
        // Before the call: a drain within it must not be overwritten.
        this.full = true;
        this.full = !this.stream.send(chunk) && this.full;
      }
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.pumping = false;
    }
  }

  private nextChunk(): Uint8Array | undefined {
    for (;;) {
      const chunk = this.chunks?.next();
      if (chunk !== undefined && chunk.done !== true) {
        return chunk.value;
      }
      this.chunks = undefined;
      const small = this.outbox.takeSmall(CHUNK_BYTES / 4);
      if (small.length > 0) {
        return joined(small.flatMap(({ pieces }) => pieces));
      }
      const frame = this.outbox.next();
      if (frame === undefined) {
        return undefined;
      }
      this.chunks = chunksOf(frame);
    }
  }
}

/** A large frame as views of its arrays. */
function* chunksOf({ pieces }: Outgoing): Generator<Uint8Array> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; at += CHUNK_BYTES) {
      yield piece.subarray(at, at + CHUNK_BYTES);
    }
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
