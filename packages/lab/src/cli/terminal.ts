/** What commands need of the world around them, so that tests can stand in for it. */

/** Where a command prints. */
export interface Terminal {
  /** Results, on standard output. */
  readonly out: (text: string) => void;
  /** Progress and complaints, on standard error. */
  readonly err: (text: string) => void;
  /** Whether standard error is a terminal that bars can be drawn on. */
  readonly isTty: boolean;
}

/** A command line that cannot be run as written; nothing has been done. */
export class UsageError extends Error {
  readonly code = "USAGE";
}

export const exitCodes = {
  ok: 0,
  /** A trial failed, a check did not hold, or a result could not be written. */
  failed: 1,
  usage: 2,
  /** Stopped by Ctrl-C, with what was finished shown and kept: 128 + SIGINT. */
  interrupted: 130,
} as const;
