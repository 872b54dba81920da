/** The worker's side. */

import type { EpochReport, StepReport } from "../fit/report.ts";
import { type FromWorker, type Report, type ToWorker, toSent } from "./messages.ts";
import { pack } from "./transfer.ts";

/** What a training function is given; all but `data` are options of `fit`. */
export interface TrainingContext<Data> {
  readonly data: Data;
  /** Sends the report, and waits while training is paused. */
  readonly onStep: (report: StepReport) => Promise<void>;
  readonly onEpoch: (report: EpochReport) => void;
  /** Aborted by `stop()`. */
  readonly signal: AbortSignal;
}

/** How a worker talks to its owner. */
interface Port {
  post(message: FromWorker, buffers: ArrayBuffer[]): void;
  listen(onMessage: (message: ToWorker) => void): void;
}

/**
 * Serves a training function to the owner of this worker, who calls `startTraining`.
 *
 * @param train - Its result is sent back: typed arrays that fill their buffer are moved, others copied.
 * @throws Error unless called in a worker.
 * @example
 * serveTraining<Data>(({ data, ...hooks }) => fit(loss, { ...hooks, data, optimizer, batchSize: 64, epochs: 10, random }));
 */
export function serveTraining<Data>(train: (context: TrainingContext<Data>) => unknown): void {
  const port = ownPort();
  const controller = new AbortController();
  const reports: Report[] = [];
  let isBusy = false;
  let isPaused = false;
  let isWaiting = false;
  let wake: () => void = () => undefined;

  const send = (message: FromWorker, buffers: ArrayBuffer[] = []): void =>
    port.post(message, buffers);
  const flush = (isDue = !isBusy): void => {
    if (isDue && reports.length > 0) {
      isBusy = true;
      send({ kind: "reports", reports: reports.splice(0) });
    }
  };
  const pauses = async (): Promise<void> => {
    await turn();
    while (isPaused && !controller.signal.aborted) {
      flush(true);
      send({ kind: "paused" });
      isWaiting = true;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      isWaiting = false;
    }
  };
  const run = async (data: Data): Promise<void> => {
    try {
      const result = await train({
        data,
        onStep: async (report) => {
          reports.push({ kind: "step", report });
          flush();
          await pauses();
        },
        onEpoch: (report) => {
          reports.push({ kind: "epoch", report });
          flush();
        },
        signal: controller.signal,
      });
      const { value, buffers } = pack(result);
      flush(true);
      send({ kind: "done", result: value }, buffers);
    } catch (error) {
      flush(true);
      send({ kind: "failed", error: toSent(error) });
    }
  };
  port.listen((message) => {
    switch (message.kind) {
      case "start":
        void run(message.data as Data); // what the caller says is sent
        break;
      case "seen":
        isBusy = false;
        flush();
        break;
      case "pause":
        isPaused = true;
        if (isWaiting) {
          send({ kind: "paused" });
        }
        break;
      case "resume":
        isPaused = false;
        wake();
        break;
      case "stop":
        controller.abort();
        wake();
        break;
      default:
        message satisfies never;
    }
  });
  send({ kind: "ready" });
}

/** What is used of a browser's worker scope. */
interface WorkerScope {
  readonly document?: unknown;
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
}

/** The port of Node, which a page's bundle must not import, or of a browser. */
function ownPort(): Port {
  const { process } = globalThis as { process?: Partial<typeof globalThis.process> };
  const port = process?.getBuiltinModule?.("worker_threads").parentPort;
  if (port !== undefined && port !== null) {
    return {
      post: (message, buffers) => port.postMessage(message, buffers),
      listen: (onMessage) => port.on("message", onMessage),
    };
  }
  const scope = globalThis as unknown as WorkerScope;
  const isWorker =
    port === undefined && scope.document === undefined && typeof scope.postMessage === "function";
  if (!isWorker) {
    throw new Error(
      "serveTraining: must be called in a worker, got the main thread; start its module with new Worker(...)",
    );
  }
  return {
    post: (message, buffers) => scope.postMessage(message, buffers),
    listen: (onMessage) =>
      scope.addEventListener("message", ({ data }) => onMessage(data as ToWorker)),
  };
}

/** A browser's; Node's types say less. */
interface Channel {
  readonly port1: { onmessage: () => void; close(): void };
  readonly port2: { postMessage(message: undefined): void };
}

/** Lets messages in that have arrived: not every backend leaves the thread by itself between steps. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel() as unknown as Channel;
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
