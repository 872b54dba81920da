/** TensorFlow.js Adam on its wasm backend (one thread in Node) and on its JavaScript backend. */

import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type { Clock } from "@adastra/core";
import type * as tfjs from "@tensorflow/tfjs-core";
import { every, LEARNING_RATE, type StepProblem } from "../problem.ts";
import type { LeftOut, Peer, Subject } from "../subject.ts";
import { whyAbsent } from "./absent.ts";

type Tf = typeof tfjs;

/** Backends share one engine, and whoever steps makes his own the current one. */
export async function openTfjs(backend: "wasm" | "cpu"): Promise<Peer | LeftOut> {
  const name = `TensorFlow.js Adam, ${backend}`;
  try {
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
      return { name, reason: `its ${backend} backend did not start` };
    }
    return {
      name: `TensorFlow.js ${tf.version_core} Adam, ${backend}`,
      bind: (problem, clock) => bindTfjs(tf, backend, problem, clock),
    };
  } catch (error) {
    return {
      name,
      reason: whyAbsent(error, ["@tensorflow/tfjs-core", `@tensorflow/tfjs-backend-${backend}`]),
    };
  }
}

async function bindTfjs(
  tf: Tf,
  backend: string,
  { tensors, start, gradients }: StepProblem,
  clock: Clock,
): Promise<Subject> {
  await tf.setBackend(backend);
  const tensorsOf = (flat: Float32Array) =>
    tensors.map(({ shape, begin, end }) => tf.tensor(flat.slice(begin, end), [...shape]));
  const fed = gradients.map((gradient) =>
    tensorsOf(gradient).map((tensor, i) => ({ name: `${backend}/${i}`, tensor })),
  );
  const bound = clock.now();
  const initial = tensorsOf(start);
  const variables = initial.map((value, i) => tf.variable(value, true, `${backend}/${i}`));
  const optimizer = tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-8);
  const compileMs = clock.now() - bound;
  return {
    compileMs,
    step: async (k, repeats) => {
      await tf.setBackend(backend);
      const gradient = fed[k % fed.length] as (typeof fed)[number];
      const began = clock.now();
      for (let i = 0; i < repeats; i++) {
        optimizer.applyGradients(gradient); // both backends compute when told to
      }
      return (clock.now() - began) / repeats;
    },
    params: (stride) => {
      const flat = new Float32Array(start.length);
      variables.forEach((variable, i) => {
        flat.set(variable.dataSync() as Float32Array, tensors[i]?.begin);
      });
      return every(stride, flat);
    },
    close: () => {
      optimizer.dispose();
      tf.dispose([initial, variables, fed]);
    },
  };
}
