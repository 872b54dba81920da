/** `adastra compare`: from words on the command line to a table, a result file and a report. */

import { join } from "node:path";
import type { Clock } from "@adastra/core";
import { type CompareOptions, compare, plannedTrials } from "../compare/compare.ts";
import { findOptimizer } from "../optimizers.ts";
import { findProblem } from "../problems/catalogue.ts";
import type { Problem } from "../problems/problem.ts";
import type { Comparison, TrialEvent } from "../protocol.ts";
import type { TrialPool } from "../runner/pool.ts";
import type { StudioPlan } from "../studio/state.ts";
import type { CommandOptions } from "./options.ts";
import { createProgress } from "./progress.ts";
import { makeFolder, timestamp, type WriteFile, writeResult } from "./resultFiles.ts";
import { renderTable } from "./resultTable.ts";
import { exitCodes, type Terminal, UsageError } from "./terminal.ts";

/** The world around a comparison. */
export interface CompareWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Names the folder of a result that got none. */
  readonly now: () => Date;
  readonly environment: Omit<Comparison["environment"], "optimizerBackend" | "engineBackend">;
  readonly createPool: (problem: Problem, workers: number | undefined) => TrialPool;
  /** Registers what Ctrl-C does from now on; returns what takes it back. */
  readonly onInterrupt: (handler: () => void) => () => void;
  readonly writeFile?: WriteFile;
  /** Told what happens as it happens; the studio listens here. */
  readonly watch?: (message: TrialEvent | StudioPlan | Comparison) => void;
}

export interface CompareOutcome {
  readonly exitCode: number;
  readonly comparison: Comparison;
}

/**
 * Runs a comparison with progress, prints its table (or JSON), and writes comparison.json and report.html.
 *
 * The first Ctrl-C stops training: what is finished is printed and written, and the exit code is 130.
 * A file that cannot be written costs that file: the table is printed all the same, and the exit code is 1.
 *
 * @throws UsageError for an unknown name, Error when the data or the folder is not there; nothing has run then.
 */
export async function compareCommand(
  problemName: string,
  options: CommandOptions["compare"],
  world: CompareWorld,
): Promise<CompareOutcome> {
  const plan = planComparison(problemName, options);
  const { terminal, clock } = world;
  const started = clock.now();
  const folder = options.out ?? join("runs", timestamp(world.now()));
  makeFolder(folder);

  const controller = new AbortController();
  const pool = world.createPool(plan.problem, options.workers);
  const progress = createProgress(
    { ...plan, optimizers: plan.optimizers.map(({ name }) => name) },
    terminal,
    clock,
    started,
  );
  world.watch?.({
    kind: "plan",
    problem: plan.problem.info,
    optimizers: plan.optimizers.map(({ name, title }) => ({ name, title })),
    trialsPlanned: plannedTrials(plan),
  });
  const release = world.onInterrupt(() => {
    terminal.err("\nstopping: finished trials are kept; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  let comparison: Comparison;
  try {
    comparison = await compare(plan, {
      pool,
      clock,
      environment: world.environment,
      signal: controller.signal,
      onEvent: (event) => {
        progress.onEvent(event);
        world.watch?.(event);
      },
    });
  } finally {
    progress.stop();
    release();
    await pool.close();
  }

  world.watch?.(comparison);
  terminal.out(options.json ? `${JSON.stringify(comparison)}\n` : `${renderTable(comparison)}\n`);
  const complaints = await writeFiles(folder, comparison, world);
  return { comparison, exitCode: exitCodeOf(comparison, complaints === 0) };
}

/** The result first: it holds everything, the report can be made from it. Returns how many files are not there. */
async function writeFiles(
  folder: string,
  comparison: Comparison,
  { terminal, writeFile }: CompareWorld,
): Promise<number> {
  const { renderReport } = await import("../report/report.ts");
  const files = [
    ["comparison.json", () => `${JSON.stringify(comparison)}\n`],
    ["report.html", () => renderReport(comparison)],
  ] as const;
  let complaints = 0;
  for (const [name, render] of files) {
    const path = join(folder, name);
    const complaint = writeResult(path, render(), writeFile);
    complaints += Number(complaint !== undefined);
    terminal.err(`${complaint ?? `wrote ${path}`}\n`);
  }
  return complaints;
}

/** Names to things, and the problem's budget where the command line is silent. */
function planComparison(problemName: string, options: CommandOptions["compare"]): CompareOptions {
  try {
    const problem = findProblem(problemName);
    const { budget } = problem;
    const epochs = options.epochs ?? budget.epochs;
    const names = options.optimizers ?? ["adashift", "adam", "momentum"];
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) {
      throw new RangeError(`compare: --optimizers must be different, got "${twice}" twice`);
    }
    return {
      problem,
      optimizers: names.map(findOptimizer),
      trials: options.trials ?? budget.trials,
      seeds: options.seeds ?? budget.seeds,
      epochs,
      tuningEpochs: options.tuningEpochs ?? Math.min(epochs, budget.tuningEpochs),
      searchSeed: options.searchSeed ?? 1,
    };
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function exitCodeOf({ interrupted, entries }: Comparison, written: boolean): number {
  if (interrupted) {
    return exitCodes.interrupted;
  }
  const failed = entries.some(({ tuning, runs }) =>
    [...tuning, ...runs].some(({ status }) => status === "failed"),
  );
  return written && !failed ? exitCodes.ok : exitCodes.failed;
}
