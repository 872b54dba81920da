/** Worker threads that run trials: one trial a thread at a time, the others wait in the order they came. */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Problem } from "../problems/problem.ts";
import type { CurvePoint, TrialEvent, TrialResult, TrialSpec } from "../protocol.ts";

/** Whatever runs trials: threads, or this thread. */
export interface TrialPool {
  /** Resolves to the result, whatever happens to the trial: a trial that cannot run has status `failed`. */
  run(spec: TrialSpec, onEvent: (event: TrialEvent) => void): Promise<TrialResult>;
  /** Stops the running trials before their next step and the waiting ones before their first. */
  interrupt(): void;
  /** Ends the threads. */
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly problem: Problem;
  /** Threads; as many as cores where absent. */
  readonly workers?: number;
  /** The module that threads run; the package's own where absent. */
  readonly script?: URL;
}

/** What a thread is started with. */
export interface WorkerInput {
  readonly problem: string;
  readonly data: unknown;
  /** One Int32; not 0 once trials should stop. */
  readonly stop: SharedArrayBuffer;
}

/** What a thread answers: events, or that the trial threw. */
export type WorkerReply = TrialEvent | { readonly kind: "failed"; readonly reason: string };

interface Job {
  readonly spec: TrialSpec;
  readonly onEvent: (event: TrialEvent) => void;
  readonly resolve: (result: TrialResult) => void;
  readonly points: CurvePoint[];
}

interface Slot {
  worker: Worker | undefined;
  job: Job | undefined;
}

/**
 * Reads the problem's data once and starts threads that share it.
 *
 * A thread that crashes fails the trial it ran and is replaced before the next one.
 *
 * @throws Error when the problem's data cannot be read.
 */
export function createPool({
  problem,
  workers = availableParallelism(),
  script = new URL("./worker.js", import.meta.url),
}: PoolOptions): TrialPool {
  const stop = new SharedArrayBuffer(4);
  const flag = new Int32Array(stop);
  const workerData: WorkerInput = { problem: problem.info.name, data: problem.load(), stop };
  const waiting: Job[] = [];

  const settle = (slot: Slot, result: TrialResult): void => {
    const { job } = slot;
    slot.job = undefined;
    job?.onEvent({ kind: "finished", result });
    job?.resolve(result);
    next(slot);
  };

  const spawn = (slot: Slot): Worker => {
    const worker = new Worker(script, { workerData });
    let crash: unknown;
    worker.on("message", (reply: WorkerReply) => {
      const { job } = slot;
      if (job === undefined) {
        return;
      }
      if (reply.kind === "finished") {
        settle(slot, reply.result);
      } else if (reply.kind === "failed") {
        settle(slot, unfinished(job, "failed", reply.reason));
      } else {
        if (reply.kind === "point") {
          job.points.push(reply.point);
        }
        job.onEvent(reply);
      }
    });
    worker.on("error", (error) => {
      crash = error;
    });
    worker.on("exit", (code) => {
      slot.worker = undefined;
      if (slot.job !== undefined) {
        const cause = crash instanceof Error ? crash.message : `exit code ${code}`;
        settle(
          slot,
          unfinished(slot.job, "failed", `worker of "${slot.job.spec.id}" ended: ${cause}`),
        );
      }
    });
    return worker;
  };

  const next = (slot: Slot): void => {
    while (waiting.length > 0 && Atomics.load(flag, 0) !== 0) {
      const job = waiting.shift() as Job;
      job.resolve(unfinished(job, "interrupted"));
    }
    const job = waiting.shift();
    if (job !== undefined) {
      slot.job = job;
      slot.worker ??= spawn(slot);
      slot.worker.postMessage(job.spec);
    }
  };

  // Threads start now, so that they load the engine while the caller still plans.
  const slots = Array.from({ length: workers }, (): Slot => {
    const slot: Slot = { worker: undefined, job: undefined };
    slot.worker = spawn(slot);
    return slot;
  });

  return {
    run: (spec, onEvent) =>
      new Promise((resolve) => {
        waiting.push({ spec, onEvent, resolve, points: [] });
        const idle = slots.find((slot) => slot.job === undefined);
        if (idle !== undefined) {
          next(idle);
        }
      }),
    interrupt: () => {
      Atomics.store(flag, 0, 1);
      for (const job of waiting.splice(0)) {
        job.resolve(unfinished(job, "interrupted"));
      }
    },
    close: async () => {
      await Promise.all(slots.flatMap(({ worker }) => (worker ? [worker.terminate()] : [])));
    },
  };
}

/** The result of a trial that did not come back by itself; the points it reported are kept. */
export function unfinished(
  { spec, points }: Pick<Job, "spec" | "points">,
  status: "failed" | "interrupted",
  reason?: string,
): TrialResult {
  return {
    spec,
    status,
    points,
    lastMetric: null,
    bestMetric: null,
    trainSeconds: points.at(-1)?.seconds ?? 0,
    evaluateSeconds: 0,
    ...(reason !== undefined && { reason }),
  };
}
