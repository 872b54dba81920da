/** @adastra/core/adamw: AdamW, compiled in advance for float32. */

import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { nonNegative } from "../optimizer.ts";
import { type AdamWOptions, adamRates } from "../optimizers/adam.ts";
import { PRECOMPILED } from "./adamw.data.ts";
import { bindPrecompiled, type PrecompiledOptions } from "./precompiled.ts";

export type { CompiledOptimizer, PrecompiledOptions };

/**
 * AdamW bound to parameters, its kernels compiled in advance: the numbers of `compileOptimizer(adamw(...), ...)` on wasm,
 * bit for bit, in a bundle without the compiler. Every leaf decays; where some must not, compile a `group`.
 *
 * @throws RangeError naming an option out of range, or where WebAssembly with SIMD does not run.
 * @remarks A decay of 0 stays a hyperparameter, in the state too; `adamw` of @adastra/core leaves it out.
 * @see `adamw` of @adastra/core for the formula, state and source
 * @example const optimizer = adamw({ params, learningRate: 1e-3, weightDecay: 0.1 });
 */
export function adamw({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  weightDecay = 1e-2,
  ...options
}: PrecompiledOptions & AdamWOptions): CompiledOptimizer<"float32"> {
  const rates = { ...adamRates(b1, b2, eps), weightDecay: nonNegative(weightDecay) };
  return bindPrecompiled(PRECOMPILED, rates, options);
}
