/**
 * The backends of onnxruntime-web: `wasm` in a page (and in Node), `webgpu` in a page.
 *
 * Arrays are copied to the runtime's own memory and back with every run. Its .wasm files lie beside its
 * modules, or where `assets` says.
 */

import type * as Ort from "onnxruntime-web";
import type { Graph, Port } from "../graph/ir.ts";
import { encode } from "../graph/onnx.ts";
import type { Executable, InputData } from "./executable.ts";
import { orOutOfMemory } from "./memory.ts";

export type WebProvider = "wasm" | "webgpu";

export interface WebOptions {
  readonly provider: WebProvider;
  /** More than one needs a page that is cross-origin isolated. */
  readonly threads: number;
  /** URL of the folder with onnxruntime-web's .wasm and .mjs files. */
  readonly assets?: string;
}

/** @throws Error saying what to install where onnxruntime-web is not there. */
export async function createWebExecutable(
  graph: Graph,
  { provider, threads, assets }: WebOptions,
): Promise<Executable> {
  const { InferenceSession, Tensor, env } = await load(provider);
  env.wasm.numThreads = threads;
  env.logLevel = "error";
  if (assets !== undefined) {
    env.wasm.wasmPaths = assets;
  }
  const create = InferenceSession.create(encode(graph), {
    executionProviders: [provider],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  const session = await orOutOfMemory("compile", create);
  const wrap = ({ tensor: { shape } }: Port, data: InputData) =>
    data instanceof Int32Array
      ? new Tensor("int32", data, shape)
      : new Tensor("float32", data, shape);
  return {
    run: async (inputData, outputData) => {
      const feeds = Object.fromEntries(
        graph.inputs.map((port, i) => [port.name, wrap(port, inputData[i] as InputData)]),
      );
      const results = await orOutOfMemory("run", session.run(feeds));
      graph.outputs.forEach(({ name }, i) => {
        outputData[i]?.set(results[name]?.data as Float32Array); // outputs are float32
      });
    },
    dispose: () => session.release(),
  };
}

async function load(provider: WebProvider): Promise<typeof Ort> {
  try {
    return await (provider === "wasm"
      ? import("onnxruntime-web/wasm")
      : import("onnxruntime-web/webgpu"));
  } catch (cause) {
    throw new Error(
      `compile: backend "${provider}" must find onnxruntime-web, got ${cause instanceof Error ? cause.message : String(cause)}; npm install onnxruntime-web@1.30.0`,
      { cause },
    );
  }
}
