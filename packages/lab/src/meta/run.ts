/** A run of meta-training as its folder remembers it. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type MetaRunOptions, metaMethods } from "./metaProblem.ts";

export interface MetaRun extends MetaRunOptions {
  readonly format: "adastra-meta-run/1";
  readonly problem: string;
}

/** `"hanzi-5way, aruba at 0.2, 1000 rounds, seed 1"`: two runs of the same words are the same. */
export function describeRun({ problem, method, rate, zeta, rounds, seed }: MetaRun): string {
  const prior = zeta === undefined ? "" : ` with ζ ${zeta}`;
  return `${problem}, ${method} at ${rate}${prior}, ${rounds} rounds, seed ${seed}`;
}

/**
 * The run of a folder; undefined where it holds none.
 *
 * @throws Error for a `run.json` that is not of this form.
 */
export async function readRun(folder: string): Promise<MetaRun | undefined> {
  const path = join(folder, "run.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return undefined;
  }
  const run = parsed(text);
  if (!isRun(run)) {
    throw new Error(
      `meta: "${path}" must describe a run (adastra-meta-run/1), got ${text.slice(0, 60)}; train again in another folder`,
    );
  }
  return run;
}

/** Whether it is a run, as far as its form goes. */
export function isRun(value: unknown): value is MetaRun {
  const run = value as Partial<MetaRun> | null | undefined;
  return (
    run?.format === "adastra-meta-run/1" &&
    typeof run.problem === "string" &&
    metaMethods.some((method) => method === run.method) &&
    [run.rate, run.zeta ?? 1, run.rounds, run.seed].every(
      (number) => typeof number === "number" && number > 0,
    )
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
