/** The thread of a pool: opens the problem once, then runs the trials it is sent, one at a time. */

import { performance } from "node:perf_hooks";
import { parentPort, workerData } from "node:worker_threads";
import { findProblem } from "../problems/catalogue.ts";
import type { TrialSpec } from "../protocol.ts";
import type { WorkerInput, WorkerReply } from "./pool.ts";
import { runTrial } from "./trial.ts";

// What `createPool` starts threads with.
const { problem: name, data, stop } = workerData as WorkerInput;
const flag = new Int32Array(stop);
const signal = {
  get aborted(): boolean {
    return Atomics.load(flag, 0) !== 0;
  },
};
const clock = { now: () => performance.now() };
const reply = (message: WorkerReply): void => parentPort?.postMessage(message);

const problem = findProblem(name);
const opening = problem.open(data);
// A problem that cannot be opened fails each trial sent here, where the rejection is awaited.
opening.catch(() => undefined);

async function run(spec: TrialSpec): Promise<void> {
  try {
    const open = await opening;
    const result = await runTrial(spec, { problem, open, clock, onEvent: reply, signal });
    reply({ kind: "finished", result });
  } catch (error) {
    reply({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
}

parentPort?.on("message", (spec: TrialSpec) => void run(spec));
