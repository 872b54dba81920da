/** Compiles the precompiled optimizers; run by scripts/precompile.mjs, and by the test that compares. */

import { kernelsOf } from "../binding.ts";
import { draws } from "../codegen/kernel.ts";
import { OPERATIONS, type Operation, type Operations } from "../codegen/operations.ts";
import type { Pass, PhasePlan, Plan, Variant } from "../codegen/passes.ts";
import { plan } from "../codegen/plan.ts";
import { specialise } from "../codegen/specialise.ts";
import { compileModule } from "../codegen/wasm/backend.ts";
import { verifyProgram } from "../expr/verify.ts";
import { type Optimizer, toProgram } from "../optimizer.ts";
import { adam, adamw } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { sgd } from "../optimizers/sgd.ts";
import { hostMemory } from "../runtime/hostState.ts";
import type { Runtime } from "../runtime/parts.ts";
import { refreshed } from "../runtime/refresh.ts";
import type { Precompiled } from "./precompiled.ts";

/** By the name of their entry: the optimizer whose form they have; rates and decay are set when they are bound. */
export const PRECOMPILED: Readonly<Record<string, () => Optimizer>> = {
  adam: () => adam(),
  adamw: () => adamw(),
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
  const { bytes } = compileModule(kernelsOf([full]), "float32");
  return {
    plan: withoutBodies(full),
    module: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    operations: operationsOf(full),
    runtime: runtimeOf(full),
  };
}

/** The operations of the host's part. @throws TypeError for one that works on more than single numbers. */
function operationsOf({ name, step, hostState }: Plan): Operations {
  const instructions = step.host.levels.flat();
  const single = instructions.every(({ reduce, out }) => reduce === undefined && out >= 0);
  requireSmall(
    name,
    single && hostState.every(({ scope }) => scope === "tensor"),
    "rows or columns",
  );
  const names = new Set(instructions.map(({ op }) => op).toSorted());
  return Object.fromEntries(
    [...names].map((op) => [op, (OPERATIONS as Operations)[op] as Operation]),
  );
}

/** The parts of the runtime that a plan needs. @throws TypeError for one that precompiled optimizers go without. */
function runtimeOf(full: Plan): Partial<Runtime> {
  const { name, step, before, evaluation } = full;
  requireSmall(name, step.shared.length === 0, "reductions over all tensors");
  requireSmall(name, before.length === 0 && evaluation === undefined, "phases");
  requireSmall(name, !kernelsOf([full]).some(draws), "draws");
  requireSmall(
    name,
    full.arrays.every(({ format }) => format === undefined),
    "arrays in fewer bits",
  );
  const windows = step.passes.some(({ refresh }) => refresh !== undefined);
  const keeps = full.hostState.length + step.host.queues.length > 0;
  return { ...(keeps && { hostMemory }), ...(windows && { refreshed }) };
}

function requireSmall(name: string, ok: boolean, what: string): void {
  if (!ok) {
    throw new TypeError(`precompile: "${name}" must do without ${what}; compile it for the model`);
  }
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
