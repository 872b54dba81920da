/** The owner's side: a page or program that must not freeze. */

import type { EpochReport, StepReport } from "../fit/report.ts";
import { type FromWorker, fromSent, type Report, type ToWorker } from "./messages.ts";
import { pack } from "./transfer.ts";

/** A `Worker` of `node:worker_threads`. */
export interface NodeWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  on(event: "message" | "messageerror" | "error", listener: (value: unknown) => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  terminate(): unknown;
}

/** A `Worker` of a browser. */
export interface WebWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(
    type: "message" | "messageerror",
    listener: (event: { readonly data: unknown }) => void,
  ): void;
  addEventListener(type: "error", listener: (event: { readonly message: string }) => void): void;
  terminate(): void;
}

export interface TrainingOptions<Data> {
  /** What the training function gets: anything that can be sent. Arrays are copied, on shared memory shared. */
  readonly data: Data;
  /** Move the arrays of `data` instead of copying them: they are empty here afterwards. Default false. */
  readonly transfer?: boolean;
  /** After each step; training does not wait for it, but no report is left out. */
  readonly onStep?: (report: StepReport) => void;
  readonly onEpoch?: (report: EpochReport) => void;
}

export interface Training<Result> {
  /** What the training function returned; rejects with what it threw, if `data` cannot be sent, or if the worker dies. */
  readonly result: Promise<Result>;
  /** Halts after the step that is being taken; resolves when it does, or when there is nothing left to halt. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends training after the step that is being taken: `fit` resolves with status `"aborted"`. */
  stop(): void;
  /** Ends the worker at once; `result` rejects. */
  terminate(): void;
}

/**
 * Starts the training function that a worker serves; this thread only receives reports.
 *
 * The worker's module is an entry of its own and calls `serveTraining`: functions, such as a model and its loss, cannot be
 * sent. Write `new Worker(new URL(...), ...)` where you call this, so that bundlers find the module. The worker ends with its
 * training; the arrays of its result are moved, not copied.
 *
 * @param worker - Of `node:worker_threads`, or of a browser, of type `"module"`.
 * @example
 * const worker = new Worker(new URL("./train.js", import.meta.url), { type: "module" });
 * const training = startTraining<Data, FitResult>(worker, { data, onStep: ({ loss }) => show(loss) });
 * const { params, history } = await training.result;
 */
export function startTraining<Data, Result>(
  worker: NodeWorker | WebWorker,
  { data, transfer = false, onStep, onEpoch }: TrainingOptions<Data>,
): Training<Result> {
  const parcel = transfer ? pack(data) : { value: data, buffers: [] };
  // A browser drops messages to a module that has not come to listen yet.
  let waiting: ToWorker[] | undefined = [];
  const post = (message: ToWorker): void => {
    if (waiting === undefined) {
      worker.postMessage(message, []);
    } else {
      waiting.push(message);
    }
  };
  const tell = (reports: readonly Report[]): void => {
    for (const each of reports) {
      if (each.kind === "step") {
        onStep?.(each.report);
      } else {
        onEpoch?.(each.report);
      }
    }
  };
  let isOver = false;
  let halts: (() => void)[] = [];
  const halted = (): void => {
    for (const resolve of halts) {
      resolve();
    }
    halts = [];
  };

  let end: (how: () => void) => void = () => undefined;
  let fail: (reason: Error) => void = () => undefined;
  const result = new Promise<Result>((resolve, reject) => {
    end = (how) => {
      if (!isOver) {
        isOver = true;
        how();
        halted();
        void worker.terminate();
      }
    };
    fail = (reason) => end(() => reject(reason));
    listen(worker, fail, (message) => {
      try {
        switch (message.kind) {
          case "ready":
            worker.postMessage({ kind: "start", data: parcel.value }, parcel.buffers);
            for (const early of waiting ?? []) {
              worker.postMessage(early, []);
            }
            waiting = undefined;
            break;
          case "paused":
            halted();
            break;
          case "reports":
            tell(message.reports);
            post({ kind: "seen" });
            break;
          case "done":
            end(() => resolve(message.result as Result)); // what the caller says the function returns
            break;
          case "failed":
            fail(fromSent(message.error));
            break;
          default:
            message satisfies never;
        }
      } catch (error) {
        fail(error as Error);
      }
    });
  });
  return {
    result,
    pause: () =>
      new Promise((resolve) => {
        if (isOver) {
          resolve();
        } else {
          halts.push(resolve);
          post({ kind: "pause" });
        }
      }),
    resume: () => post({ kind: "resume" }),
    stop: () => post({ kind: "stop" }),
    terminate: () => fail(new Error("startTraining: the worker was terminated")),
  };
}

function listen(
  worker: NodeWorker | WebWorker,
  fail: (reason: Error) => void,
  onMessage: (message: FromWorker) => void,
): void {
  const unreadable = (): void =>
    fail(
      new Error("startTraining: the worker must send what can be read here, got something else"),
    );
  // A worker that serves sends nothing else.
  if ("addEventListener" in worker) {
    worker.addEventListener("message", ({ data }) => onMessage(data as FromWorker));
    worker.addEventListener("messageerror", unreadable);
    worker.addEventListener("error", ({ message }) =>
      fail(new Error(`startTraining: the worker must load and run, got "${message}"`)),
    );
    return;
  }
  worker.on("message", (message) => onMessage(message as FromWorker));
  worker.on("messageerror", unreadable);
  worker.on("error", (error) => {
    const message = error instanceof Error ? error.message : String(error);
    fail(
      new Error(`startTraining: the worker must load and run, got "${message}"`, { cause: error }),
    );
  });
  worker.on("exit", (code) =>
    fail(new Error(`startTraining: the worker must return a result, got exit code ${code}`)),
  );
}
