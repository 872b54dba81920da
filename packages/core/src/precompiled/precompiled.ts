/**
 * Optimizers whose kernels were compiled before they were published: a few kilobytes instead of the compiler.
 *
 * The plan and the module come from the same program and compiler as everything else; `precompile.test.ts` compiles
 * them anew and compares. They hold for any parameters: a program without `choose` has one plan for all leaves.
 */

import { Binding } from "../binding.ts";
import { onNumbers } from "../codegen/host.ts";
import type { Backend } from "../codegen/kernel.ts";
import type { Operations } from "../codegen/operations.ts";
import type { Plan } from "../codegen/passes.ts";
import { allocateWasm, loadModule } from "../codegen/wasm/instance.ts";
import type { CompiledOptimizer, CompileOptions } from "../compiledOptimizer.ts";
import { requireNonFinite } from "../errors.ts";
import type { Hyperparameters } from "../optimizer.ts";
import { Numbers } from "../runtime/numbers.ts";
import type { Runtime } from "../runtime/parts.ts";
import { checkParams, infosOf } from "../tree.ts";
import { requireAlike } from "./alike.ts";

/** What the compiler made of an optimizer, for float32. */
export interface Precompiled {
  /** The plan; its kernels have no body. */
  readonly plan: Plan;
  /** The module of the plan's kernels, by their names, as hexadecimal digits: gzip packs them tighter than base64. */
  readonly module: string;
  /** The operations of its host's part. */
  readonly operations: Operations;
  /** The parts of the runtime that it needs beside. */
  readonly runtime: Partial<Runtime>;
}

/** Options that hold for every precompiled optimizer. */
export type PrecompiledOptions = Pick<
  CompileOptions<"float32">,
  "params" | "learningRate" | "nonFinite"
>;

/**
 * Binds a precompiled optimizer to parameters.
 *
 * @throws RangeError where WebAssembly with SIMD does not run, TypeError or RangeError for options as `compileOptimizer`.
 */
export function bindPrecompiled(
  { plan, module, operations, runtime }: Precompiled,
  hyperparameters: Hyperparameters,
  { params, learningRate, nonFinite = "propagate" }: PrecompiledOptions,
): CompiledOptimizer<"float32"> {
  const leaves = checkParams(plan.name, params);
  requireNonFinite(plan.name, nonFinite);
  for (const [key, { value, check }] of Object.entries(hyperparameters)) {
    check(plan.name, key, value);
  }
  const bytes = Uint8Array.from(module.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(bytes)) {
    throw new RangeError(
      `${plan.name}: WebAssembly with SIMD must run here, got none; use compileOptimizer of @adastra/core, which falls back to JavaScript`,
    );
  }
  const backend: Backend = {
    name: "wasm",
    allocate: allocateWasm,
    load: (kernels, _, memory, scratch) => {
      const names = kernels.map(({ name }) => name);
      return loadModule(bytes, names, kernels, memory, scratch);
    },
  };
  const binding = new Binding({
    name: plan.name,
    classes: [{ plan, leaves: infosOf(leaves) }],
    leaves,
    numbers: new Numbers(plan.name, hyperparameters, { learningRate }),
    backend,
    dtype: "float32",
    nonFinite,
    // The plan runs without the other parts: `precompile` has refused one that does not.
    runtime: {
      ...runtime,
      runHost: onNumbers(operations),
      checkState: requireAlike,
    } as Runtime,
  });
  // The module works on float32 alone.
  return binding as CompiledOptimizer as CompiledOptimizer<"float32">;
}
