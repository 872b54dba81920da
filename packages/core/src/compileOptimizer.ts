/** From an optimizer and parameters to a compiled optimizer: checks, one plan for each kind of leaf, a backend. */

import { Binding } from "./binding.ts";
import { chooseBackend } from "./codegen/backends.ts";
import type { DType } from "./codegen/kernel.ts";
import { plan } from "./codegen/plan.ts";
import { specialise } from "./codegen/specialise.ts";
import type { CompiledOptimizer, CompileOptions } from "./compiledOptimizer.ts";
import { requireNonFinite, requireOneOf, requireSeed, requireThat } from "./errors.ts";
import { matrixStagesOf, packingOf, roundsToFewerBits, verifyProgram } from "./expr/verify.ts";
import { withStatistics } from "./inspect.ts";
import { type Optimizer, requireOptimizer, toProgram } from "./optimizer.ts";
import { Numbers } from "./runtime/numbers.ts";
import { RUNTIME } from "./runtime/runtime.ts";
import { checkParams, infosOf } from "./tree.ts";

/**
 * Binds an optimizer to parameters and compiles it.
 *
 * @throws TypeError for parameters without leaves or whose data does not fit their shape; RangeError for an
 * option out of range, or for more parameters than one memory holds.
 * @example
 * const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3 });
 * optimizer.gradients["dense1/kernel"].data.set(gradient);
 * optimizer.step();
 */
export function compileOptimizer<D extends DType = "float32">(
  optimizer: Optimizer,
  {
    params,
    learningRate,
    backend = "auto",
    dtype,
    nonFinite = "propagate",
    hyperparameters = {},
    inspect = false,
    seed = 0,
  }: CompileOptions<D>,
): CompiledOptimizer<D> {
  requireOptimizer("compileOptimizer", "`optimizer`", optimizer);
  const leaves = checkParams("compileOptimizer", params);
  const kept: DType = dtype ?? "float32";
  requireOneOf("compileOptimizer", "dtype", kept, ["float32", "float64"]);
  requireNonFinite("compileOptimizer", nonFinite);
  requireSeed("compileOptimizer", seed);
  const program = withStatistics(toProgram(optimizer), inspect);
  const numbers = new Numbers("compileOptimizer", program.hyperparameters, {
    ...hyperparameters,
    learningRate,
  });
  const chosen = typeof backend === "object" ? backend : chooseBackend(backend);
  verifyProgram(program);
  requireThat(
    kept === "float32" || !roundsToFewerBits(program),
    "compileOptimizer",
    `rounding to fewer bits in "${optimizer.name}" needs dtype "float32"`,
    kept,
    "leave `dtype` out, or the format",
  );
  const infos = infosOf(leaves);
  const { classes, sites } = specialise(program, infos);
  const binding = new Binding({
    name: optimizer.name,
    classes: classes.map((each) => ({
      plan: plan(each.program, kept, sites),
      leaves: each.leaves.map((index) => infos[index] as (typeof infos)[number]),
    })),
    leaves,
    numbers,
    backend: chosen,
    dtype: kept,
    nonFinite,
    seed,
    matrixStages: matrixStagesOf(program),
    runtime: { ...RUNTIME, ...packingOf(program)?.runtime },
  });
  // The arena holds arrays of the dtype that was asked for, float32 where none was.
  return binding as CompiledOptimizer as CompiledOptimizer<D>;
}
