/** Timers by name, one of each. */

import type { Timers } from "../clock.ts";

export class Alarms {
  private readonly timers: Timers;
  private readonly cancels = new Map<string, () => void>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** Calls `then` once, after so many milliseconds; takes back the alarm of that name. */
  set(name: string, ms: number, then: () => void): void {
    this.clear(name);
    this.cancels.set(
      name,
      this.timers.after(ms, () => {
        this.cancels.delete(name);
        then();
      }),
    );
  }

  clear(name: string): void {
    this.cancels.get(name)?.();
    this.cancels.delete(name);
  }

  clearAll(): void {
    for (const name of this.cancels.keys()) {
      this.clear(name);
    }
  }
}
