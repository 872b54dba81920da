/** The thread of one copy of a graph: `replicas.node.ts` starts it and says when to run. */

import { parentPort, workerData } from "node:worker_threads";
import { sizeOf } from "@adastra/core";
import { createNodeExecutable } from "./cpu.node.ts";
import {
  arrayFor,
  inputsOf,
  outputsOf,
  type ReplicaAnswer,
  type ReplicaData,
  viewsOf,
} from "./replicaMemory.ts";

const data = workerData as ReplicaData;
const { graph, threads, byRows } = data;

const own = graph.inputs.map(({ tensor }) => arrayFor(tensor));
const results = outputsOf(data).map(({ shape }) => new Float32Array(sizeOf(shape)));
const whole = viewsOf(data.whole, inputsOf(data, false));
const rows = viewsOf(data.rows, inputsOf(data, true));
const outputs = viewsOf(data.outputs, outputsOf(data));

const executable = await createNodeExecutable(graph, threads);

async function run(): Promise<ReplicaAnswer> {
  const [wholes, parts] = [whole.values(), rows.values()];
  own.forEach((array, i) => {
    array.set((byRows[i] ? parts : wholes).next().value ?? []);
  });
  try {
    await executable.run(own, results);
  } catch (error) {
    return { error };
  }
  outputs.forEach((view, i) => view.set(results[i] ?? []));
  return {};
}

const say = (answer: ReplicaAnswer): void => parentPort?.postMessage(answer);

parentPort?.on("message", () => {
  void run().then(say);
});
say({});
