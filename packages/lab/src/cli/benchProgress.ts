/** Progress of a measurement: a bar with the time left on a terminal, a line now and then elsewhere. */

import type { Clock } from "@adastra/core";
import cliProgress from "cli-progress";
import type { Terminal } from "./terminal.ts";

export interface BenchProgress {
  /** Takes the share done, from 0 to 1, and what is being done. */
  readonly update: (share: number, doing: string) => void;
  /** May be called again. */
  readonly stop: () => void;
}

/** Milliseconds between two lines where there is no terminal. */
const QUIET_MS = 5000;

export function createBenchProgress(terminal: Terminal, clock: Clock): BenchProgress {
  const started = clock.now();
  const left = (share: number): string => {
    const seconds = ((clock.now() - started) / 1000) * (1 / share - 1);
    return Number.isFinite(seconds) ? `about ${Math.ceil(seconds)} s left` : "starting";
  };
  if (!terminal.isTty) {
    let last = Number.NEGATIVE_INFINITY;
    return {
      update: (share, doing) => {
        if (clock.now() - last >= QUIET_MS) {
          last = clock.now();
          terminal.err(`${Math.round(100 * share)} %, ${doing}, ${left(share)}\n`);
        }
      },
      stop: () => undefined,
    };
  }
  const bar = new cliProgress.SingleBar(
    {
      format: "{bar} {percentage} % {doing}, {left}",
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // the command answers Ctrl-C itself
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(1000, 0, { doing: "preparing", left: "starting" });
  return {
    update: (share, doing) => bar.update(Math.round(1000 * share), { doing, left: left(share) }),
    stop: () => bar.stop(),
  };
}
