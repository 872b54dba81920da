import type { Clock } from "@adastra/core";
import type { Timers } from "@adastra/swarm";

/** Timers of the system, over a clock that is given. */
export function systemTimers(clock: Clock): Timers {
  return {
    now: () => clock.now(),
    after: (ms, then) => {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
  };
}
