/**
 * The backends of onnxruntime-node: a graph as a session on the CPU, or on a GPU through WebGPU.
 *
 * Inputs are read where they lie. Outputs are written where the caller wants them: a tensor passed
 * as a fetch is the buffer of the graph's output, also on a WebAssembly.Memory. Measured on
 * onnxruntime-node 1.30.0 (a 784x64 by 64x256 Gemm): 0.482 ms with the fetch, 0.485 ms without it,
 * 0.522 ms without it and copied by `set`. The fetch's dims must have the declared rank.
 *
 * `session.run` computes on the calling thread, inside `setImmediate`: train in a worker thread.
 */

import type * as Ort from "onnxruntime-node";
import { missingBinding } from "../errors.ts";
import type { Graph, Port } from "../graph/ir.ts";
import { encode } from "../graph/onnx.ts";
import type { Executable, InputData } from "./executable.ts";
import { orOutOfMemory } from "./memory.ts";

export type NodeProvider = "cpu" | "webgpu";

/**
 * Threads spin between the nodes of a run, where sleeping costs more than the node (LeNet 0.90, transformer 0.86, GRU 0.85,
 * MLP 0.88 of the time on two threads), and not between runs, where they would take the core from whoever else runs:
 * the optimizer, another worker.
 */
const SPINNING = { intra_op: { allow_spinning: "1" }, force_spinning_stop: "1" };

/** @throws Error saying what to install where the native binding is not there, RangeError where memory does not suffice. */
export async function createNodeExecutable(
  graph: Graph,
  threads: number,
  provider: NodeProvider = "cpu",
): Promise<Executable> {
  const ort = await load(provider);
  const create = ort.InferenceSession.create(encode(graph), {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    enableCpuMemArena: true,
    ...(threads > 1 ? { extra: { session: SPINNING } } : {}),
  });
  const session = await orOutOfMemory("compile", create);
  const inputs = graph.inputs.map((port) => tensorCache(port, ort));
  const outputs = graph.outputs.map((port) => tensorCache(port, ort));
  return {
    run: async (inputData, outputData) => {
      await orOutOfMemory(
        "run",
        session.run(wrapAll(inputs, inputData), wrapAll(outputs, outputData)),
      );
    },
    dispose: () => session.release(),
  };
}

/** Loaded when it is needed: the package is there without its binary where an installation was cut short, or the platform is none of its own. */
async function load(provider: NodeProvider): Promise<typeof Ort> {
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    throw missingBinding(provider, cause);
  }
}

interface PortCache {
  readonly name: string;
  readonly wrap: (data: InputData) => Ort.Tensor;
}

/** A Tensor an array: parameters and gradients come back every step, perhaps rotating between a few arrays. */
function tensorCache({ name, tensor }: Port, { Tensor }: typeof Ort): PortCache {
  const tensors = new WeakMap<InputData, Ort.Tensor>();
  return {
    name,
    wrap: (data) => {
      let wrapped = tensors.get(data);
      if (wrapped === undefined) {
        wrapped =
          data instanceof Int32Array
            ? new Tensor("int32", data, tensor.shape)
            : new Tensor("float32", data, tensor.shape);
        tensors.set(data, wrapped);
      }
      return wrapped;
    },
  };
}

function wrapAll(
  ports: readonly PortCache[],
  data: readonly InputData[],
): Record<string, Ort.Tensor> {
  return Object.fromEntries(ports.map(({ name, wrap }, i) => [name, wrap(data[i] as InputData)]));
}
