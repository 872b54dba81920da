/**
 * Adam over variables of TensorFlow.js: its own on its wasm backend (one thread in Node) and on its JavaScript
 * backend, and Adastra's through `toTf`, in place on the heap of the wasm backend.
 */

import { adam, type Clock } from "@adastra/core";
import type * as tfjs from "@tensorflow/tfjs-core";
import { whyAbsent } from "../../absent.ts";
import { startTfjs, type Tf, tfjsPackages } from "../../tfjsBackend.ts";
import { every, LEARNING_RATE, type StepProblem } from "../problem.ts";
import type { LeftOut, Peer, Subject } from "../subject.ts";

/** An optimizer of TensorFlow.js, whoever wrote it, and the backend that its variables are on. */
interface Contestant {
  /** Of the row, and of its variables. */
  readonly name: string;
  readonly backend: "wasm" | "cpu";
  readonly build: () => tfjs.Optimizer;
  /** Throws where steps are not taken as the name says. */
  readonly check?: (optimizer: tfjs.Optimizer) => void;
}

/** TensorFlow.js's own Adam. */
export function openTfjs(backend: "wasm" | "cpu"): Promise<Peer | LeftOut> {
  return open(`TensorFlow.js Adam, ${backend}`, backend, async (tf) => ({
    name: `TensorFlow.js ${tf.version_core} Adam, ${backend}`,
    backend,
    build: () => tf.train.adam(LEARNING_RATE, 0.9, 0.999, 1e-8),
  }));
}

/** Adastra's Adam on the same variables, as users of the adapter run it. */
export function openAdapter(): Promise<Peer | LeftOut> {
  return open("Adastra's Adam in TensorFlow.js, wasm, in place", "wasm", async (tf) => {
    const { TfOptimizer, toTf } = await import("@adastra/engine/tfjs");
    return {
      name: `Adastra's Adam in TensorFlow.js ${tf.version_core}, wasm, in place`,
      backend: "wasm",
      build: () => toTf(adam(), { learningRate: LEARNING_RATE }),
      check: (optimizer) => {
        if (!(optimizer instanceof TfOptimizer && optimizer.inPlace === true)) {
          throw new Error("its steps go by copies here, not in place");
        }
      },
    };
  });
}

async function open(
  name: string,
  backend: "wasm" | "cpu",
  contestantOf: (tf: Tf) => Promise<Contestant>,
): Promise<Peer | LeftOut> {
  try {
    const tf = await startTfjs(backend);
    const contestant = await contestantOf(tf);
    return {
      name: contestant.name,
      bind: (problem, clock) => bind(tf, contestant, problem, clock),
    };
  } catch (error) {
    return { name, reason: whyAbsent(error, tfjsPackages(backend)) };
  }
}

/** Backends share one engine, and whoever steps makes his own the current one. */
async function bind(
  tf: Tf,
  { name, backend, build, check }: Contestant,
  { tensors, start, gradients }: StepProblem,
  clock: Clock,
): Promise<Subject> {
  await tf.setBackend(backend);
  const tensorsOf = (flat: Float32Array) =>
    tensors.map(({ shape, begin, end }) => tf.tensor(flat.slice(begin, end), [...shape]));
  const fed = gradients.map((gradient) =>
    tensorsOf(gradient).map((tensor, i) => ({ name: `${name}/${i}`, tensor })),
  );
  const bound = clock.now();
  const initial = tensorsOf(start);
  const variables = initial.map((value, i) => tf.variable(value, true, `${name}/${i}`));
  tf.dispose(initial);
  const optimizer = build();
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
      const each = (clock.now() - began) / repeats;
      check?.(optimizer);
      return each;
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
      tf.dispose([variables, fed]);
    },
  };
}
