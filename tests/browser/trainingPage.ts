/** A page that has a worker train, and counts its own frames meanwhile. */

import type { FitResult } from "@adastra/engine";
import { startTraining, type WebWorker } from "@adastra/engine/worker";

export interface Outcome {
  readonly status: FitResult["status"];
  readonly losses: readonly number[];
  readonly reports: number;
  readonly parameters: readonly number[];
  /** Timers that fired between the first and the last report. */
  readonly ticks: number;
  /** Of what was moved to the worker. */
  readonly lengthHere: number;
}

export async function trainInWorker(script: string): Promise<Outcome> {
  const x = Float32Array.from({ length: 64 }, (_, i) => i / 32 - 1);
  const y = x.map((value) => 3 * value + 1);
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 0);
  let reports = 0;
  const { Worker } = globalThis as unknown as {
    Worker: new (url: string, options: { type: "module" }) => WebWorker;
  };
  const training = startTraining<object, FitResult>(new Worker(script, { type: "module" }), {
    data: { x: { shape: [64, 1], data: x }, y: { shape: [64, 1], data: y } },
    transfer: true,
    onStep: () => {
      reports += 1;
    },
  });
  const { status, history, params } = await training.result;
  clearInterval(timer);
  return {
    status,
    losses: history.map(({ train }) => train["loss"] ?? Number.NaN),
    reports,
    parameters: Object.values(params).flatMap(({ data }) => [...data]),
    ticks,
    lengthHere: x.length,
  };
}

Object.assign(globalThis, { trainInWorker });
