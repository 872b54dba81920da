/** Time as peers see it: real, or virtual in the simulator. */

import type { Clock } from "@adastra/core";

/** A clock that calls back. */
export interface Timers extends Clock {
  /** Calls `then` once, after so many milliseconds; returns what takes that back. */
  after(ms: number, then: () => void): () => void;
}
