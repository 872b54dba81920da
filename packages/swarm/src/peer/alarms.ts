/** Timers by name, one of each. */

import type { Timers } from "../clock.ts";

export class Alarms {
  private readonly timers: Timers;
  /** Names stay when their alarm is over: there are few, and they come again. */
  private readonly cancels = new Map<string, (() => void) | undefined>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** Calls `then` once, after so many milliseconds; takes back the alarm of that name. */
  set(name: string, ms: number, then: () => void): void {
    this.clear(name);
    this.cancels.set(
      name,
      this.timers.after(ms, () => {
        this.cancels.set(name, undefined);
        then();
      }),
    );
  }

  clear(name: string): void {
    const cancel = this.cancels.get(name);
    if (cancel !== undefined) {
      this.cancels.set(name, undefined);
      cancel();
    }
  }

  clearAll(): void {
    for (const name of this.cancels.keys()) {
      this.clear(name);
    }
  }
}
