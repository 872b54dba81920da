/** Keeps one neighbour connected: dials, and again after a while. */

import type { Timers } from "../../clock.ts";

export interface DialerOptions {
  readonly timers: Timers;
  /** Connects, or fails; gives up when the signal says so. */
  readonly dial: (signal: AbortSignal) => Promise<void>;
  /** A dial that takes longer has failed. */
  readonly timeoutMs: number;
  /** Waits before the first dial anew, doubled with each that brings nothing, up to `maxMs`. */
  readonly minMs: number;
  readonly maxMs: number;
}

export class Dialer {
  private readonly options: DialerOptions;
  /** Dials in a row after which the neighbour said nothing. */
  private fruitless = 0;
  private cancel: () => void = () => undefined;
  private current: AbortController | undefined;
  /** Whether a connection was lost while a dial was ending. */
  private lost = false;
  private stopped = false;

  constructor(options: DialerOptions) {
    this.options = options;
  }

  dial(): void {
    if (this.stopped || this.current !== undefined) {
      return;
    }
    this.cancel();
    const { timers, dial, timeoutMs } = this.options;
    const current = new AbortController();
    this.current = current;
    this.lost = false;
    this.cancel = timers.after(timeoutMs, () => current.abort());
    this.fruitless += 1;
    dial(current.signal).then(
      () => this.over(false),
      () => this.over(true),
    );
  }

  /** The connection is gone: dials anew, in a while. */
  again(): void {
    if (this.stopped || this.current !== undefined) {
      this.lost = true;
      return;
    }
    const { timers, minMs, maxMs } = this.options;
    this.cancel();
    const waits = Math.min(maxMs, minMs * 2 ** Math.max(0, this.fruitless - 1));
    this.cancel = timers.after(waits, () => this.dial());
  }

  /** The neighbour said something: the next dial comes soon. */
  heard(): void {
    this.fruitless = 0;
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
    this.current?.abort();
  }

  private over(failed: boolean): void {
    this.cancel();
    this.current = undefined;
    if (failed || this.lost) {
      this.again();
    }
  }
}
