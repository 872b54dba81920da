/** @adastra/core/momentum: SGD with momentum, compiled in advance for float32. */

import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { nonNegative } from "../optimizer.ts";
import { PRECOMPILED } from "./momentum.data.ts";
import { bindPrecompiled, type PrecompiledOptions } from "./precompiled.ts";

export type { CompiledOptimizer, PrecompiledOptions };

/**
 * SGD with momentum bound to parameters, its kernels compiled in advance: the numbers of
 * `compileOptimizer(sgd({ momentum }), ...)` on wasm, bit for bit, in a bundle without the compiler.
 *
 * @throws RangeError naming an option out of range, or where WebAssembly with SIMD does not run.
 * @see `sgd` of @adastra/core for the formula, state and source
 * @example const optimizer = momentum({ params, learningRate: 0.1, momentum: 0.9 });
 */
export function momentum({
  momentum: mu = 0.9,
  ...options
}: PrecompiledOptions & { readonly momentum?: number }): CompiledOptimizer<"float32"> {
  return bindPrecompiled(PRECOMPILED, { momentum: nonNegative(mu) }, options);
}
