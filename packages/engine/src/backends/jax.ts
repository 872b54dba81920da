/**
 * The reference backend: jax-js runs what it traced, compiled by its own WebAssembly backend.
 *
 * jax-js 0.1.25 asks for two things Node 20 lacks, neither on the way taken here: `navigator` in its
 * WebGPU tuner, iterator helpers in `einsum`. Nothing is polyfilled.
 */

import { init, type Array as JaxArray, jit, numpy as np } from "@jax-js/jax";
import type { InputSlot } from "../signature.ts";
import type { ArrayFunction } from "../trace/trace.ts";
import type { Executable } from "./executable.ts";

const DEVICE = "wasm";

/** Slower than `cpu` by a factor of four to hundreds; knows every primitive of jax-js. */
export async function createJaxExecutable(
  call: ArrayFunction,
  slots: readonly InputSlot[],
): Promise<Executable> {
  await init(DEVICE);
  const compiled = jit(call);
  let run: ArrayFunction = compiled;
  const evaluate = (arrays: () => JaxArray[]): JaxArray[] => {
    try {
      return run(...arrays());
    } catch (error) {
      // jit refuses routines (sort, scatter) over values that it computes itself; step by step they run.
      if (run === call || !String(error).includes("jit: routine")) {
        throw error;
      }
      run = call;
      return run(...arrays());
    }
  };
  return {
    run: async (inputs, outputs) => {
      const arrays = (): JaxArray[] =>
        slots.map(({ shape, dtype }, index) =>
          np.array(inputs[index] as Float32Array<ArrayBuffer>, {
            shape: [...shape],
            dtype: np[dtype],
            device: DEVICE,
          }),
        );
      const results = evaluate(arrays);
      for (const [index, result] of results.entries()) {
        outputs[index]?.set((await result.data()) as Float32Array); // outputs are cast to float32
      }
    },
    dispose: async () => compiled.dispose(),
  };
}
