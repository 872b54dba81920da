/**
 * A graph in several copies, each on its part of the batch's rows: one on the calling thread, the others in worker threads.
 *
 *     every output = the mean of the copies' outputs
 *
 * Threads of ONNX Runtime share each node of a graph, and what one core wrote the other reads. A copy keeps to its core.
 * Arrays travel by shared memory, once each way: the binding does not read it in place.
 */

import { Worker } from "node:worker_threads";
import type { Graph } from "../graph/ir.ts";
import { createNodeExecutable } from "./cpu.node.ts";
import type { Executable, InputData } from "./executable.ts";
import {
  inputsOf,
  memoryFor,
  outputsOf,
  type ReplicaAnswer,
  type ReplicaData,
  viewsOf,
} from "./replicaMemory.ts";

/** Compiled where this file is, also when tests run it from its source. */
const SCRIPT = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/backends/replica.node.js" : "./replica.node.js",
  import.meta.url,
);

export interface ReplicaPlan {
  /** Copies, at least 2. */
  readonly replicas: number;
  /** Of each input, whether the copies share out its rows; the others are read whole by all. */
  readonly byRows: readonly boolean[];
  /** Of each copy. */
  readonly threads: number;
}

/**
 * Runs a graph made for a part of the rows on all of them.
 *
 * @throws what `createNodeExecutable` throws, in whichever thread.
 */
export async function createReplicas(
  graph: Graph,
  { replicas, byRows, threads }: ReplicaPlan,
): Promise<Executable> {
  const shared = { graph, threads, byRows };
  const tensors = inputsOf(shared, false);
  const whole = memoryFor(tensors);
  const wholeViews = viewsOf(whole, tensors);
  const others = Array.from({ length: replicas - 1 }, () => new Replica({ ...shared, whole }));
  const disposeOthers = (): Promise<unknown> => Promise.all(others.map((each) => each.dispose()));
  const [own, ...rest] = await Promise.allSettled([
    createNodeExecutable(graph, threads),
    ...others.map(({ ready }) => ready),
  ]);
  const failed = [own, ...rest].find((each) => each.status === "rejected");
  if (own.status === "rejected" || failed !== undefined) {
    await disposeOthers();
    await (own.status === "fulfilled" ? own.value.dispose() : undefined);
    throw failed?.reason;
  }

  const part = (data: InputData, replica: number): InputData => {
    const size = data.length / replicas;
    return data.subarray(replica * size, (replica + 1) * size);
  };
  return {
    run: async (inputs, outputs) => {
      const unshared = inputs.filter((_, i) => !byRows[i]);
      wholeViews.forEach((view, i) => view.set(unshared[i] as InputData));
      const rows = inputs.filter((_, i) => byRows[i]);
      const answers = others.map((each, k) => each.run(rows.map((data) => part(data, k + 1))));
      const mine = own.value.run(
        inputs.map((data, i) => (byRows[i] ? part(data, 0) : data)),
        outputs,
      );
      const settled = await Promise.allSettled([mine, ...answers]);
      const broken = settled.find((each) => each.status === "rejected");
      if (broken !== undefined) {
        throw broken.reason;
      }
      outputs.forEach((output, k) => {
        average(
          output,
          others.map(({ outputs: theirs }) => theirs[k] as InputData),
        );
      });
    },
    dispose: async () => {
      await disposeOthers();
      await own.value.dispose();
    },
  };
}

/** One copy in a worker thread. */
class Replica {
  /** Settled once it can run. */
  readonly ready: Promise<void>;
  readonly outputs: readonly InputData[];
  private readonly worker: Worker;
  private readonly rows: readonly InputData[];
  private waiting:
    | { readonly resolve: () => void; readonly reject: (reason: unknown) => void }
    | undefined;
  /** Why it can run no more. */
  private ended: unknown;

  constructor(shared: Omit<ReplicaData, "rows" | "outputs">) {
    const [rows, results] = [inputsOf(shared, true), outputsOf(shared)];
    const data: ReplicaData = { ...shared, rows: memoryFor(rows), outputs: memoryFor(results) };
    this.rows = viewsOf(data.rows, rows);
    this.outputs = viewsOf(data.outputs, results);
    // Without what the process was told for its own files: the script needs none of it.
    this.worker = new Worker(SCRIPT, { workerData: data, execArgv: [] });
    this.worker.on("message", ({ error }: ReplicaAnswer) => this.settle(error));
    this.worker.on("error", (error) => this.end(error));
    this.worker.on("exit", (code) => {
      this.end(
        new Error(`run: a replica's thread must live as long as its graph, got exit ${code}`),
      );
    });
    this.ready = this.answer();
  }

  run(rows: readonly InputData[]): Promise<void> {
    if (this.ended !== undefined) {
      return Promise.reject(this.ended as Error);
    }
    this.rows.forEach((view, i) => view.set(rows[i] as InputData));
    const answer = this.answer();
    this.worker.postMessage("run");
    return answer;
  }

  async dispose(): Promise<void> {
    await this.worker.terminate();
  }

  /** Only a thread that is waited for keeps the process. */
  private answer(): Promise<void> {
    this.worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  private end(reason: unknown): void {
    this.ended ??= reason;
    this.settle(this.ended);
  }

  private settle(error?: unknown): void {
    const { waiting } = this;
    this.waiting = undefined;
    this.worker.unref();
    if (error === undefined) {
      waiting?.resolve();
    } else {
      waiting?.reject(error);
    }
  }
}

function average(own: Float32Array, others: readonly InputData[]): void {
  const share = 1 / (others.length + 1);
  others.forEach((other, k) => {
    const scale = k === others.length - 1 ? share : 1;
    for (let i = 0; i < own.length; i++) {
      own[i] = ((own[i] as number) + (other[i] as number)) * scale;
    }
  });
}
