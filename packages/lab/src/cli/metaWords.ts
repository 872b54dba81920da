/** What the words of `adastra meta` mean. */

import type { MetaProblem } from "../meta/metaProblem.ts";
import { findMetaProblem } from "../meta/problems.ts";
import type { MetaRun } from "../meta/run.ts";
import type { MetaOptions } from "./metaOptions.ts";
import { UsageError } from "./terminal.ts";

/** @throws UsageError for a problem that there is not. */
export function problemNamed(name: string): MetaProblem {
  try {
    return findMetaProblem(name);
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/**
 * The run that a problem and options ask for.
 *
 * @throws UsageError for a method that the problem does not take, and for ζ without ARUBA.
 */
export function runOf(
  where: string,
  { info }: MetaProblem,
  { method = "aruba", rate = info.rates[method], zeta, rounds, seed }: MetaOptions,
): MetaRun {
  if (rate === undefined) {
    throw new UsageError(
      `${where}: --method must be one of ${Object.keys(info.rates).join(", ")} for ${info.name}, got "${method}"`,
    );
  }
  if (zeta !== undefined && !method.startsWith("aruba")) {
    throw new UsageError(`${where}: --zeta is ARUBA's, got it with --method ${method}`);
  }
  return {
    format: "adastra-meta-run/1",
    problem: info.name,
    method,
    rate,
    ...(zeta === undefined ? {} : { zeta }),
    rounds: rounds ?? info.rounds,
    seed: seed ?? 1,
  };
}
