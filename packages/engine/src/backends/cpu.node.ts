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

import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Graph, Port } from "../graph/ir.ts";
import { encode } from "../graph/onnx.ts";
import type { Executable, InputData } from "./executable.ts";

export type NodeProvider = "cpu" | "webgpu";

export async function createNodeExecutable(
  graph: Graph,
  threads: number,
  provider: NodeProvider = "cpu",
): Promise<Executable> {
  const session = await InferenceSession.create(encode(graph), {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    enableCpuMemArena: true,
    // Idle threads that spin take the core from whoever else runs: the optimizer, another worker.
    ...(threads > 1 ? { extra: { session: { intra_op: { allow_spinning: "0" } } } } : {}),
  });
  const inputs = graph.inputs.map(tensorCache);
  const outputs = graph.outputs.map(tensorCache);
  return {
    run: async (inputData, outputData) => {
      await session.run(wrapAll(inputs, inputData), wrapAll(outputs, outputData));
    },
    dispose: () => session.release(),
  };
}

interface PortCache {
  readonly name: string;
  readonly wrap: (data: InputData) => Tensor;
}

/** A Tensor an array: parameters and gradients come back every step, perhaps rotating between a few arrays. */
function tensorCache({ name, tensor }: Port): PortCache {
  const tensors = new WeakMap<InputData, Tensor>();
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

function wrapAll(ports: readonly PortCache[], data: readonly InputData[]): Record<string, Tensor> {
  return Object.fromEntries(ports.map(({ name, wrap }, i) => [name, wrap(data[i] as InputData)]));
}
