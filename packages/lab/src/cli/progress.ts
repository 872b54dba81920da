/** Progress of a comparison: a bar an optimizer on a terminal, a line now and then elsewhere. */

import type { Clock } from "@adastra/core";
import cliProgress from "cli-progress";
import type { TrialEvent } from "../protocol.ts";
import type { Terminal } from "./terminal.ts";

export interface ProgressPlan {
  readonly optimizers: readonly string[];
  readonly trials: number;
  readonly seeds: number;
  readonly epochs: number;
  readonly tuningEpochs: number;
}

export interface Progress {
  onEvent(event: TrialEvent): void;
  stop(): void;
}

/** Milliseconds between two lines where there is no terminal. */
const quietMs = 5000;

/**
 * Work is counted in epochs, so that long and short trials weigh as they should.
 *
 * @param started - what the clock said when the command began.
 */
export function createProgress(
  plan: ProgressPlan,
  terminal: Terminal,
  clock: Clock,
  started: number,
): Progress {
  const epochsEach = plan.trials * plan.tuningEpochs + plan.seeds * plan.epochs;
  const epochsAll = epochsEach * plan.optimizers.length;
  const trialsAll = (plan.trials + plan.seeds) * plan.optimizers.length;
  /** Epochs of running and finished trials, by trial. */
  const done = new Map<string, number>();
  const finished = new Map<string, number>();
  let trialsDone = 0;

  const timeLeft = (): string => {
    const share = sum(done.values()) / epochsAll;
    const seconds = ((clock.now() - started) / 1000) * (1 / share - 1);
    return Number.isFinite(seconds) ? `about ${Math.ceil(seconds)} s left` : "starting";
  };
  const show = terminal.isTty
    ? createBars(plan, epochsEach, epochsAll, trialsAll)
    : createLines(
        terminal,
        clock,
        (share) =>
          `${Math.round(100 * share)} %, ${trialsDone} of ${trialsAll} trials, ${timeLeft()}\n`,
      );

  return {
    onEvent: (event) => {
      if (event.kind === "started") {
        return;
      }
      if (event.kind === "point") {
        done.set(event.id, event.point.epoch);
      } else {
        const { spec } = event.result;
        done.set(spec.id, spec.epochs); // a trial that ended early leaves nothing to do
        finished.set(spec.optimizer, (finished.get(spec.optimizer) ?? 0) + 1);
        trialsDone += 1;
      }
      const id = event.kind === "point" ? event.id : event.result.spec.id;
      const [optimizer = ""] = id.split("/");
      const own = [...done].filter(([key]) => key.startsWith(`${optimizer}/`));
      const trialsFinished = finished.get(optimizer) ?? 0;
      show.update({
        optimizer,
        epochs: sum(own.map(([, epochs]) => epochs)),
        status:
          trialsFinished < plan.trials
            ? `tuning ${trialsFinished}/${plan.trials}`
            : `runs ${trialsFinished - plan.trials}/${plan.seeds}`,
        allEpochs: sum(done.values()),
        total: `${trialsDone}/${trialsAll} trials, ${timeLeft()}`,
        firstPoint:
          event.kind === "point"
            ? `first curve point after ${((clock.now() - started) / 1000).toFixed(1)} s: ${optimizer}, step ${event.point.step}, loss ${event.point.trainLoss.toPrecision(3)}\n`
            : undefined,
        share: sum(done.values()) / epochsAll,
      });
    },
    stop: () => show.stop(),
  };
}

interface Update {
  readonly optimizer: string;
  readonly epochs: number;
  readonly status: string;
  readonly allEpochs: number;
  readonly total: string;
  readonly firstPoint: string | undefined;
  readonly share: number;
}

interface Display {
  update(update: Update): void;
  stop(): void;
}

function createBars(
  { optimizers }: ProgressPlan,
  epochsEach: number,
  epochsAll: number,
  trialsAll: number,
): Display {
  const width = Math.max(...optimizers.map((name) => name.length), "total".length);
  const multibar = new cliProgress.MultiBar(
    {
      format: "{name} {bar} {percentage} % {status}",
      hideCursor: true,
      gracefulExit: false, // the command answers Ctrl-C itself
    },
    cliProgress.Presets.shades_classic,
  );
  const bars = new Map(
    optimizers.map((name) => [
      name,
      multibar.create(epochsEach, 0, { name: name.padEnd(width), status: "waiting" }),
    ]),
  );
  const total = multibar.create(epochsAll, 0, {
    name: "total".padEnd(width),
    status: `0/${trialsAll} trials`,
  });
  return {
    update: ({ optimizer, epochs, status, allEpochs, total: totalStatus }) => {
      bars.get(optimizer)?.update(epochs, { status });
      total.update(allEpochs, { status: totalStatus });
    },
    stop: () => multibar.stop(),
  };
}

function createLines(terminal: Terminal, clock: Clock, line: (share: number) => string): Display {
  let last: number | undefined;
  return {
    update: ({ share, firstPoint }) => {
      if (last === undefined && firstPoint !== undefined) {
        last = clock.now();
        terminal.err(firstPoint);
      } else if (last !== undefined && clock.now() - last >= quietMs) {
        last = clock.now();
        terminal.err(line(share));
      }
    },
    stop: () => undefined,
  };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
}
