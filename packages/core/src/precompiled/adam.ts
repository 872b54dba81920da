/** @adastra/core/adam: Adam, compiled in advance for float32. */

import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { type AdamOptions, adamRates } from "../optimizers/adam.ts";
import { PRECOMPILED } from "./adam.data.ts";
import { bindPrecompiled, type PrecompiledOptions } from "./precompiled.ts";

export type { CompiledOptimizer, PrecompiledOptions };

/**
 * Adam bound to parameters, its kernels compiled in advance: the numbers of `compileOptimizer(adam(...), ...)` on
 * wasm, bit for bit, in a bundle without the compiler.
 *
 * @throws RangeError naming an option out of range, or where WebAssembly with SIMD does not run.
 * @see `adam` of @adastra/core for the formula, state and source
 * @example const optimizer = adam({ params, learningRate: 1e-3 });
 */
export function adam({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  ...options
}: PrecompiledOptions & Pick<AdamOptions, "b1" | "b2" | "eps">): CompiledOptimizer<"float32"> {
  return bindPrecompiled(PRECOMPILED, adamRates(b1, b2, eps), options);
}
