/** How a thread is started in Node and in browsers; the modules and constructors are the caller's. */

import type { StartedThread } from "./threads.ts";
import { WORKER_SOURCE } from "./worker.ts";

interface NodeWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
  unref(): void;
}

/**
 * Starts a thread of Node.
 *
 * @param Worker - that of `node:worker_threads`.
 */
export function nodeThread(
  Worker: new (source: string, options: { eval: true }) => NodeWorker,
): StartedThread {
  const receive = `const receive = (handler) =>
    process.getBuiltinModule("worker_threads").parentPort.once("message", handler);`;
  const worker = new Worker(receive + WORKER_SOURCE, { eval: true });
  // A program ends when its own work does.
  worker.unref();
  return worker;
}

/**
 * Starts a thread of a browser. The page must be cross-origin isolated, or it has no shared memory.
 *
 * @param Worker, Blob, URL - those of the page.
 */
export function webThread({
  Worker,
  Blob,
  URL,
}: {
  readonly Worker: new (url: string) => StartedThread;
  readonly Blob: new (parts: string[], options: { type: string }) => object;
  readonly URL: { createObjectURL(blob: never): string };
}): StartedThread {
  const receive = `const receive = (handler) =>
    addEventListener("message", ({ data }) => handler(data), { once: true });`;
  const blob = new Blob([receive + WORKER_SOURCE], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(blob as never));
}
