/** A pool without threads: trials run one after another on the caller's. */

import type { Clock } from "@adastra/core";
import type { Problem } from "../problems/problem.ts";
import type { CurvePoint, TrialEvent } from "../protocol.ts";
import { type TrialPool, unfinished } from "./pool.ts";
import { runTrial } from "./trial.ts";

/** Runs trials on this thread; for tests and debuggers, since engines block while they compute. */
export function createInlinePool(problem: Problem, clock: Clock): TrialPool {
  const signal = { aborted: false };
  const opening = Promise.resolve().then(() => problem.open(problem.load()));
  let last: Promise<unknown> = opening.catch(() => undefined);
  return {
    run: (spec, onEvent) => {
      const result = last.then(async () => {
        const points: CurvePoint[] = [];
        const watch = (event: TrialEvent): void => {
          if (event.kind === "point") {
            points.push(event.point);
          }
          onEvent(event);
        };
        if (signal.aborted) {
          return unfinished({ spec, points }, "interrupted");
        }
        try {
          const open = await opening;
          return await runTrial(spec, { problem, open, clock, onEvent: watch, signal });
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          return unfinished({ spec, points }, "failed", reason);
        }
      });
      last = result.then((finished) => onEvent({ kind: "finished", result: finished }));
      return result;
    },
    interrupt: () => {
      signal.aborted = true;
    },
    close: () => Promise.resolve(),
  };
}
