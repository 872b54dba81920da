/** @adastra/core/adashift: AdaShift with its defaults (n = 10, φ = max), compiled in advance for float32. */

import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { decayRate, nonNegative } from "../optimizer.ts";
import type { AdaShiftOptions } from "../optimizers/adashift.ts";
import { PRECOMPILED } from "./adashift.data.ts";
import { bindPrecompiled, type PrecompiledOptions } from "./precompiled.ts";

export type { CompiledOptimizer, PrecompiledOptions };

/**
 * AdaShift with n = 10, a window of 10 at β₁ = 0.9 and φ = max bound to parameters, its kernels compiled in advance:
 * the numbers of `compileOptimizer(adashift(...), ...)` on wasm, bit for bit, in a bundle without the compiler.
 *
 * @throws RangeError naming an option out of range, or where WebAssembly with SIMD does not run.
 * @see `adashift` of @adastra/core for the formula, state and source
 * @example const optimizer = adashift({ params, learningRate: 1e-2 });
 */
export function adashift({
  b2 = 0.999,
  eps = 1e-10,
  ...options
}: PrecompiledOptions & Pick<AdaShiftOptions, "b2" | "eps">): CompiledOptimizer<"float32"> {
  return bindPrecompiled(PRECOMPILED, { b2: decayRate(b2), eps: nonNegative(eps) }, options);
}
