/** One line on standard error that says how things are: in place on a terminal, now and then elsewhere. */

import type { Clock } from "@adastra/core";
import type { Terminal } from "./terminal.ts";

export interface LiveLine {
  /** Shows what `line` makes, unless one was shown a moment ago. */
  show(line: () => string): void;
  /** Leaves the last line as it is. */
  end(): void;
}

export function createLiveLine(terminal: Terminal, clock: Clock): LiveLine {
  let shown = Number.NEGATIVE_INFINITY;
  return {
    show: (line) => {
      const now = clock.now();
      if (now - shown >= (terminal.isTty ? 200 : 5000)) {
        shown = now;
        terminal.err(terminal.isTty ? `\r\u001b[K${line()}` : `${line()}\n`);
      }
    },
    end: () => {
      if (terminal.isTty) {
        terminal.err("\n");
      }
    },
  };
}
