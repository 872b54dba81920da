/** Virtual time: events in their order, each as soon as those before it are over. */

import TinyQueue from "tinyqueue";
import type { Timers } from "../clock.ts";

interface Event {
  run: (() => void) | undefined;
}

/** Events of one time, first come, first served: peers alike have many. */
interface Moment {
  readonly at: number;
  readonly events: Event[];
  /** Events that have run. */
  done: number;
}

/**
 * A clock that goes as fast as its events allow; the same events in the same order on every machine.
 *
 * Work that takes real time (a gradient on another thread) is waited for before the next event.
 */
export class VirtualTime implements Timers {
  private readonly queue = new TinyQueue<Moment>([], (a, b) => a.at - b.at);
  private readonly moments = new Map<number, Moment>();
  private readonly running = new Set<Promise<void>>();
  private time = 0;

  now(): number {
    return this.time;
  }

  after(ms: number, then: () => void): () => void {
    const event = this.schedule(this.time + Math.max(0, ms));
    event.run = then;
    return () => {
      event.run = undefined;
    };
  }

  /** Runs work that takes `ms` of virtual time, then calls `then` or `fail`. */
  work(
    ms: number,
    run: () => Promise<void> | void,
    then: () => void,
    fail: (error: unknown) => void,
  ): void {
    const end = this.schedule(this.time + ms);
    let done: Promise<void> | void;
    try {
      done = run();
    } catch (error) {
      end.run = () => fail(error);
      return;
    }
    if (done === undefined) {
      end.run = then;
      return;
    }
    const settled = done.then(
      () => {
        end.run = then;
      },
      (error: unknown) => {
        end.run = () => fail(error);
      },
    );
    this.running.add(settled);
    void settled.finally(() => this.running.delete(settled));
  }

  /** Runs events until there are none, `until` says so, or one throws. */
  async run(until: () => boolean = () => false): Promise<void> {
    while (!until()) {
      if (this.running.size > 0) {
        await Promise.all(this.running);
      }
      const moment = this.queue.peek();
      if (moment === undefined) {
        return;
      }
      const event = moment.events[moment.done++];
      if (event === undefined) {
        this.queue.pop();
        this.moments.delete(moment.at);
        continue;
      }
      this.time = moment.at;
      event.run?.();
    }
  }

  private schedule(at: number): Event {
    const event: Event = { run: undefined };
    const moment = this.moments.get(at);
    if (moment === undefined) {
      const first = { at, events: [event], done: 0 };
      this.moments.set(at, first);
      this.queue.push(first);
    } else {
      moment.events.push(event);
    }
    return event;
  }
}
