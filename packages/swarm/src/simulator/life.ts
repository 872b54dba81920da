/** One life of a simulated peer: what it is called back with reaches it while it lives, and late where it was paused. */

import type { Timers } from "../clock.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import type { VirtualTime } from "./virtualTime.ts";

export class Life implements Timers {
  readonly transport: Transport;
  private readonly time: VirtualTime;
  private readonly network: Transport;
  private lives = true;
  private pausedUntil = 0;

  constructor(time: VirtualTime, network: Transport) {
    this.time = time;
    this.network = network;
    this.transport = {
      self: network.self,
      get traffic() {
        return network.traffic;
      },
      send: (to, message) => network.send(to, message),
      listen: (listener) => network.listen(this.guardedListener(listener)),
      close: () => network.close(),
    };
  }

  now(): number {
    return this.time.now();
  }

  after(ms: number, then: () => void): () => void {
    return this.time.after(ms, this.guarded(then));
  }

  /** Runs work that takes `ms`. */
  work(
    ms: number,
    work: () => Promise<void> | void,
    then: () => void,
    fail: (error: unknown) => void,
  ): void {
    this.time.work(ms, work, this.guarded(then), fail);
  }

  /** Stands still from now on for `ms`. */
  pause(ms: number): void {
    this.pausedUntil = this.time.now() + ms;
  }

  /** Dies. */
  end(): void {
    this.lives = false;
    void this.network.close();
  }

  private guarded(then: () => void): () => void {
    const run = (): void => {
      const left = this.pausedUntil - this.time.now();
      if (left > 0 && this.lives) {
        this.time.after(left, run);
      } else if (this.lives) {
        then();
      }
    };
    return run;
  }

  /** Whether what calls back gets through at once. */
  private get isAwake(): boolean {
    return this.lives && this.pausedUntil <= this.time.now();
  }

  private guardedListener(listener: Listener): Listener {
    return {
      message: (from, what) => {
        if (this.isAwake) {
          listener.message(from, what);
        } else {
          this.guarded(() => listener.message(from, what))();
        }
      },
      up: (peer) => this.guarded(() => listener.up?.(peer))(),
      down: (peer) => this.guarded(() => listener.down?.(peer))(),
    };
  }
}
