/**
 * Steps by core's kernels where variables and gradients lie: on the heap of the backend `wasm`, without a copy.
 *
 *     data of its own   a variable that shares its data (a reshape, the tensor that it was made from) is given a copy first
 *     step              kernels write the parameters in place; state lies on the same heap
 *     another number    kernels cache what they make of a weight under the number of its data, as a matrix product does:
 *                       the data is registered under a new number, and what was cached under the old one goes
 *
 * A heap that threads share cannot be written so: there `heapOf` finds nothing, and steps go by copies.
 */

import {
  compileOver,
  type LeafAddresses,
  type Optimizer,
  type OwnedMemory,
} from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { scheduled } from "./kernels.ts";
import type { OnNonFinite, StepNumbers, Stepper } from "./stepper.ts";

/** What the `wasm` backend of TensorFlow.js 4.22 keeps, beside the interface of all backends. */
interface WasmBackend {
  readonly wasm: {
    readonly asm?: { readonly memory?: OwnedMemory["wasm"] };
    /** Signed above 2 GiB; 0 where there is no room. */
    _malloc(bytes: number): number;
    _free(address: number): void;
    readonly tfjs: {
      registerTensor(id: number, size: number, address: number): void;
      disposeData(id: number): void;
    };
  };
  /** Takes data over from the backend where it is. */
  readonly dataIdMap: { get(dataId: object): { id: number; readonly memoryOffset: number } };
  dataIdNextNumber: number;
  refCount(dataId: object): number;
}

/** The heap of a backend, as far as steps in place need it. */
export interface Heap {
  readonly memory: OwnedMemory;
  readonly addressOf: (tensor: tf.Tensor) => number;
  /** Whether another tensor has the same data. */
  readonly isShared: (tensor: tf.Tensor) => boolean;
  /** Lets no kernel go on with what it made of the data before. */
  readonly renumber: (tensor: tf.Tensor) => void;
}

/** The heap of the `wasm` backend; undefined for other backends, and where threads share it. */
export function heapOf(backend: tf.KernelBackend): Heap | undefined {
  // Every part that is used is looked for first.
  const { wasm, dataIdMap, ...rest } = backend as Partial<WasmBackend>;
  const memory = wasm?.asm?.memory;
  const complete =
    typeof wasm?.tfjs?.registerTensor === "function" &&
    typeof wasm.tfjs.disposeData === "function" &&
    typeof rest.dataIdNextNumber === "number";
  if (!complete || dataIdMap === undefined || !(memory?.buffer instanceof ArrayBuffer)) {
    return undefined;
  }
  const numbered = backend as tf.KernelBackend & WasmBackend;
  return {
    memory: {
      wasm: memory,
      allocate(bytes) {
        const address = wasm._malloc(bytes) >>> 0;
        if (address === 0) {
          throw new RangeError(
            `toTf: the heap must have room for ${bytes} bytes of state, got none; dispose of tensors`,
          );
        }
        return address;
      },
      release: (address) => wasm._free(address),
    },
    addressOf: ({ dataId }) => dataIdMap.get(dataId).memoryOffset >>> 0,
    isShared: ({ dataId }) => {
      dataIdMap.get(dataId);
      return numbered.refCount(dataId) > 1;
    },
    renumber: ({ dataId, size }) => {
      const entry = dataIdMap.get(dataId);
      wasm.tfjs.disposeData(entry.id);
      entry.id = numbered.dataIdNextNumber++;
      wasm.tfjs.registerTensor(entry.id, size, entry.memoryOffset);
    },
  };
}

export function heapStepper(
  optimizer: Optimizer,
  variables: ReadonlyMap<string, tf.Variable>,
  first: StepNumbers,
  nonFinite: OnNonFinite,
  heap: Heap,
): Stepper {
  const { use, ...numbers } = scheduled(first);
  const over = compileOver(optimizer, {
    ...numbers,
    leaves: Array.from(variables, ([path, variable]) => ({
      path,
      shape: variable.shape,
      params: heap.addressOf(variable),
    })),
    memory: heap.memory,
    nonFinite,
  });
  const addresses = (): Map<string, number> =>
    new Map(Array.from(variables, ([name, variable]) => [name, heap.addressOf(variable)]));
  return {
    variables,
    step(gradients, next) {
      use(next);
      const written = [...gradients.keys()].map((name) => variables.get(name) as tf.Variable);
      written.filter(heap.isShared).forEach(ownData);
      const targets = new Set(written.map(({ dataId }) => dataId));
      const copies: tf.Tensor[] = [];
      const leaves = Array.from(gradients, ([name, gradient]): [string, LeafAddresses] => {
        let source = gradient;
        if (targets.has(gradient.dataId)) {
          // A variable as a gradient would change under the step.
          source = copyOf(gradient);
          copies.push(source);
        }
        const params = heap.addressOf(variables.get(name) as tf.Variable);
        return [name, { params, gradient: heap.addressOf(source) }];
      });
      try {
        const { status } = over.step(new Map(leaves));
        if (status !== "skipped") {
          written.forEach(heap.renumber);
        }
        return status;
      } finally {
        tf.dispose(copies);
      }
    },
    evaluationParams(next) {
      use(next);
      return Object.fromEntries(
        Object.entries(over.evaluationParams(addresses())).map(([name, { shape, data }]) => [
          name,
          tf.tensor(data, [...shape] as tf.Tensor["shape"]),
        ]),
      );
    },
    save: async (next) => {
      use(next);
      return over.save(addresses());
    },
    load(state) {
      [...variables.values()].filter(heap.isShared).forEach(ownData);
      over.load(state, addresses());
      [...variables.values()].forEach(heap.renumber);
    },
    dispose: () => over.dispose(),
  };
}

/** Gives a variable data that no other tensor has. */
function ownData(variable: tf.Variable): void {
  tf.tidy(() => variable.assign(copyOf(variable)));
}

function copyOf(tensor: tf.Tensor): tf.Tensor {
  return tf.tensor(tensor.dataSync(), tensor.shape);
}
