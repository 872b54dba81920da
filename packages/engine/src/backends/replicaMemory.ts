/** What a graph's copies share: the memory that arrays travel by, and messages. */

import { sizeOf } from "@adastra/core";
import type { Graph, Tensor } from "../graph/ir.ts";
import type { InputData } from "./executable.ts";

/** What the thread of a copy begins with. */
export interface ReplicaData {
  readonly graph: Graph;
  readonly threads: number;
  /** Of each input, whether the copies share out its rows. */
  readonly byRows: readonly boolean[];
  /** Inputs that every copy reads whole. */
  readonly whole: SharedArrayBuffer;
  /** This copy's inputs by rows, and its outputs. */
  readonly rows: SharedArrayBuffer;
  readonly outputs: SharedArrayBuffer;
}

/** Its answer to being started, and to every run. */
export interface ReplicaAnswer {
  readonly error?: unknown;
}

/** Memory for the arrays of `tensors`, one after the other: all of them have elements of 4 bytes. */
export function memoryFor(tensors: readonly Tensor[]): SharedArrayBuffer {
  return new SharedArrayBuffer(tensors.reduce((bytes, { shape }) => bytes + 4 * sizeOf(shape), 0));
}

export function viewsOf(memory: SharedArrayBuffer, tensors: readonly Tensor[]): InputData[] {
  let at = 0;
  return tensors.map(({ dtype, shape }) => {
    const size = sizeOf(shape);
    const view =
      dtype === "int32" ? new Int32Array(memory, at, size) : new Float32Array(memory, at, size);
    at += view.byteLength;
    return view;
  });
}

/** An array of a thread's own. */
export function arrayFor({ dtype, shape }: Tensor): InputData {
  return dtype === "int32" ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
}

/** Input tensors that are read whole, or by rows. */
export function inputsOf(
  { graph, byRows }: Pick<ReplicaData, "graph" | "byRows">,
  rows: boolean,
): Tensor[] {
  return graph.inputs.flatMap(({ tensor }, i) => (byRows[i] === rows ? [tensor] : []));
}

export function outputsOf({ graph }: Pick<ReplicaData, "graph">): Tensor[] {
  return graph.outputs.map(({ tensor }) => tensor);
}
