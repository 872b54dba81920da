/** TensorFlow.js on one of its backends, where it is installed. */

import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type * as tfjs from "@tensorflow/tfjs-core";

export type Tf = typeof tfjs;
export type TfBackend = "wasm" | "cpu";

/** @throws Error when it is not installed or does not start; see `whyAbsent`. */
export async function startTfjs(backend: TfBackend): Promise<Tf> {
  const tf = await import("@tensorflow/tfjs-core");
  tf.enableProdMode(); // and no advice to install its native binding
  if (backend === "cpu") {
    await import("@tensorflow/tfjs-backend-cpu");
  } else {
    const wasm = await import("@tensorflow/tfjs-backend-wasm");
    const entry = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
    wasm.setWasmPaths(dirname(entry) + sep); // its .wasm files lie beside its entry
    wasm.setThreadsCount(1);
  }
  if (!(await tf.setBackend(backend))) {
    throw new Error(`its ${backend} backend did not start`);
  }
  return tf;
}

/** What to install for a backend. */
export function tfjsPackages(backend: TfBackend): readonly string[] {
  return ["@tensorflow/tfjs-core", `@tensorflow/tfjs-backend-${backend}`];
}
