/** Running graphs and traced array functions in tests. */

import { mulberry32, sizeOf } from "@adastra/core";
import { createNodeExecutable } from "../src/backends/cpu.node.ts";
import type { InputData } from "../src/backends/executable.ts";
import { createJaxExecutable } from "../src/backends/jax.ts";
import type { Graph } from "../src/graph/ir.ts";
import { lower } from "../src/graph/lower.ts";
import { optimize } from "../src/graph/passes/optimize.ts";
import { verify } from "../src/graph/verify.ts";
import type { InputSlot } from "../src/signature.ts";
import { type ArrayFunction, traceArrays } from "../src/trace/trace.ts";

/** Outputs of a graph whose outputs are float32. */
export async function runGraph(
  graph: Graph,
  inputs: readonly InputData[],
): Promise<Float32Array[]> {
  const executable = await createNodeExecutable(graph, 1);
  const outputs = graph.outputs.map(({ tensor }) => new Float32Array(sizeOf(tensor.shape)));
  await executable.run(inputs, outputs);
  await executable.dispose();
  return outputs;
}

/** Numbers that suit a slot: normal, or integers from -4 to 4 without 0. */
export function dataFor({ shape, dtype }: InputSlot, seed: number): InputData {
  const random = mulberry32(seed);
  return dtype === "float32"
    ? new Float32Array(sizeOf(shape)).map(() => random.normal())
    : new Int32Array(sizeOf(shape)).map(
        () => (random.integer(4) + 1) * (random.integer(2) * 2 - 1),
      );
}

export interface LoweringOutcome {
  readonly graph: Graph;
  readonly lowered: Float32Array[];
  readonly optimized: Float32Array[];
  readonly jax: Float32Array[];
}

/** One function three ways: lowered, lowered and optimised, and run by jax-js. */
export async function runEveryWay(
  call: ArrayFunction,
  slots: readonly InputSlot[],
): Promise<LoweringOutcome> {
  const inputs = slots.map(dataFor);
  const program = traceArrays(call, slots);
  const plain = verify(lower(program), "lowering");
  const graph = optimize(plain);
  const jax = program.outputs.map(({ shape }) => new Float32Array(sizeOf(shape)));
  const reference = await createJaxExecutable(call, slots);
  await reference.run(inputs, jax);
  await reference.dispose();
  return {
    graph,
    lowered: await runGraph(plain, inputs),
    optimized: await runGraph(graph, inputs),
    jax,
  };
}
