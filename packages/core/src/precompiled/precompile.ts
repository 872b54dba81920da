/** Compiles the precompiled optimizers; run by scripts/precompile.mjs, and by the test that compares. */

import { kernelsOf } from "../binding.ts";
import type { Pass, PhasePlan, Plan, Variant } from "../codegen/passes.ts";
import { plan } from "../codegen/plan.ts";
import { specialise } from "../codegen/specialise.ts";
import { compileModule } from "../codegen/wasm/backend.ts";
import { verifyProgram } from "../expr/verify.ts";
import { type Optimizer, toProgram } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { sgd } from "../optimizers/sgd.ts";
import type { Precompiled } from "./precompiled.ts";

/** By the name of their entry: the optimizer whose form they have; rates and decay are set when they are bound. */
export const PRECOMPILED: Readonly<Record<string, () => Optimizer>> = {
  adam: () => adam(),
  adashift: () => adashift(),
  momentum: () => sgd({ momentum: 0.9 }),
};

/** @throws TypeError for an optimizer whose program differs from leaf to leaf. */
export function precompile(optimizer: Optimizer): Precompiled {
  const program = { ...toProgram(optimizer), inspect: {} };
  verifyProgram(program);
  const { classes, sites } = specialise(program, [
    { path: "matrix", shape: [2, 3] },
    { path: "vector", shape: [2] },
    { path: "scalar", shape: [] },
  ]);
  const [only, ...others] = classes;
  if (only === undefined || others.length > 0) {
    throw new TypeError(
      `precompile: "${optimizer.name}" must run the same program over every leaf, got ${classes.length}; compile it for the model`,
    );
  }
  const full = plan(only.program, "float32", sites);
  const { bytes, names } = compileModule(kernelsOf([full]), "float32");
  return {
    plan: withoutBodies(full),
    module: btoa(String.fromCharCode(...bytes)),
    functions: names,
  };
}

/** The plan without what only the compiler reads, as plain data. */
function withoutBodies(full: Plan): Plan {
  const variant = ({ kernel, streams, scalars }: Variant): Variant => ({
    kernel: { ...kernel, body: [] },
    streams,
    scalars,
  });
  const pass = (each: Pass): Pass => ({
    ...each,
    steady: variant(each.steady),
    refresh: each.refresh === undefined ? undefined : variant(each.refresh),
  });
  const phase = (each: PhasePlan): PhasePlan => ({ ...each, passes: each.passes.map(pass) });
  const stripped: Plan = { ...full, step: phase(full.step), before: full.before.map(phase) };
  return JSON.parse(JSON.stringify(stripped)) as Plan;
}
