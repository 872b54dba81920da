/** What `adastra swarm` needs of the world around it. */

import type { Clock } from "@adastra/core";
import type { Terminal } from "./terminal.ts";

export interface SwarmWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** For a run's id and a start of a peer. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Registers what Ctrl-C does from now on; returns what takes it back. */
  readonly onInterrupt: (handler: () => void) => () => void;
}
