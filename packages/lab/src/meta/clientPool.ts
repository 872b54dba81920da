/** Clients of meta-training in processes of their own: each draws the task it is told of, trains on it and gives the result. */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Client, Place, Start, TaskResult } from "@adastra/meta";
import { compiledScript } from "../compiledScript.ts";
import type { MetaRun } from "./run.ts";

/** What a process is asked, and its answer. */
export interface ClientJob {
  readonly place: Place;
  readonly start: Start;
}
export type ClientReply = { readonly result: TaskResult } | { readonly failed: string };

export interface ClientPool {
  /** Trains where a process is free; the others wait in the order they came. */
  readonly client: (place: Place) => Client;
  close(): void;
}

interface Waiting extends ClientJob {
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: Error) => void;
  /** Processes that ended over it. */
  attempts: number;
}

interface Slot {
  process: ChildProcess | undefined;
  job: Waiting | undefined;
}

/** A client is a function of its start, so one that dies is asked again, elsewhere; twice in a row is no accident. */
const ATTEMPTS = 2;

const SCRIPT = fileURLToPath(compiledScript(import.meta.url, "./clientProcess.js"));

/**
 * Starts processes that open the run's problem and train on tasks as the run says.
 *
 * @param script - what a process runs; the package's own by default.
 */
export function createClientPool(
  run: MetaRun,
  processes: number,
  script: string = SCRIPT,
): ClientPool {
  const waiting: Waiting[] = [];
  let closed = false;

  const spawn = (slot: Slot): ChildProcess => {
    const child = fork(script, [JSON.stringify(run)], { serialization: "advanced", execArgv: [] });
    child.on("message", (reply: ClientReply) => {
      const { job } = slot;
      slot.job = undefined;
      if ("result" in reply) {
        job?.resolve(reply.result);
      } else {
        job?.reject(new Error(reply.failed));
      }
      next(slot);
    });
    const ended = (how: string): void => {
      const { job } = slot;
      if (slot.process !== child || closed) {
        return; // said already, or wanted
      }
      slot.process = undefined;
      slot.job = undefined;
      if (job === undefined) {
        return;
      }
      job.attempts += 1;
      if (job.attempts < ATTEMPTS) {
        waiting.unshift(job);
      } else {
        job.reject(
          new Error(
            `meta train: a client's process must train to the end, got ${how} twice at task ${job.place.index} of round ${job.place.round}; take fewer --workers`,
          ),
        );
      }
      next(slot);
    };
    child.once("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
    child.on("error", ({ message }) => ended(message));
    return child;
  };
  const next = (slot: Slot): void => {
    const job = waiting.shift();
    if (job !== undefined) {
      slot.job = job;
      slot.process ??= spawn(slot);
      const { place, start } = job;
      slot.process.send({ place, start } satisfies ClientJob);
    }
  };
  // They load the engine while the caller still reads its folder.
  const slots = Array.from({ length: processes }, (): Slot => {
    const slot: Slot = { process: undefined, job: undefined };
    slot.process = spawn(slot);
    return slot;
  });
  return {
    client: (place) => (start) =>
      new Promise((resolve, reject) => {
        waiting.push({ place, start, resolve, reject, attempts: 0 });
        const idle = slots.find(({ job }) => job === undefined);
        if (idle !== undefined) {
          next(idle);
        }
      }),
    close: () => {
      closed = true;
      for (const { process: child } of slots) {
        child?.kill();
      }
    },
  };
}
