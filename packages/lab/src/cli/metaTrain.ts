/** `adastra meta train`: an initialisation and rates from many tasks, in a folder that a run goes on from. */

import { join } from "node:path";
import type { CheckpointDirectory } from "@adastra/core/checkpoint";
import type { MetaTraining } from "@adastra/meta";
import { createClientPool } from "../meta/clientPool.ts";
import { describeRun, type MetaRun, readRun } from "../meta/run.ts";
import { createBenchProgress } from "./benchProgress.ts";
import { checkpointsIn, loadLatest, writePreset } from "./metaFolder.ts";
import type { MetaOptions } from "./metaOptions.ts";
import { problemNamed, runOf } from "./metaWords.ts";
import type { MetaWorld } from "./metaWorld.ts";
import { makeFolder, timestamp, writeResult } from "./resultFiles.ts";
import { exitCodes, UsageError } from "./terminal.ts";

/** Checkpoints of a run, besides the last. */
const checkpoints = 20;

/** Training that is open, with who takes part in it. */
export interface Trained {
  readonly training: MetaTraining;
  /** Of the clients, in the line that shows progress. */
  readonly status?: () => string;
  /** Drops the round that is under way, whose end may never come; without it Ctrl-C waits for that. */
  readonly interrupt?: () => void;
  /** @param isOver - whether its last round was taken. */
  readonly close?: (isOver: boolean) => Promise<void> | void;
}

/** @throws UsageError for what does not go together, Error for data that is not there. */
export async function train(
  problemName: string,
  options: MetaOptions,
  world: MetaWorld,
): Promise<number> {
  const problem = problemNamed(problemName);
  const run = runOf("meta train", problem, options);
  const { workers = 0 } = options;
  return trainIn("meta train", run, options, world, async () => {
    const opened = await problem.open();
    const pool = workers > 0 ? createClientPool(run, workers) : undefined;
    return { training: opened.start(run, pool?.client), close: () => pool?.close() };
  });
}

/**
 * Trains a run in its folder, from the last checkpoint where it is resumed.
 *
 * The first Ctrl-C ends training with a checkpoint, from which `--resume` goes on bit for bit.
 *
 * @param open - called once the folder is found to be the run's.
 */
export async function trainIn(
  where: string,
  run: MetaRun,
  options: MetaOptions,
  world: MetaWorld,
  open: () => Promise<Trained>,
): Promise<number> {
  const { terminal } = world;
  const folder = await folderOf(where, run, options, world);
  const opened = await open();
  const { training, close = () => undefined } = opened;
  let isOver = false;
  try {
    const directory = checkpointsIn(folder);
    await loadLatest(training, directory);
    const complaint = writeResult(
      join(folder, "run.json"),
      `${JSON.stringify(run, null, 2)}\n`,
      undefined,
      where,
    );
    if (complaint !== undefined) {
      throw new Error(complaint);
    }
    isOver = !(await advance(opened, run, directory, world));
  } finally {
    await close(isOver);
  }
  await writePreset(folder, training, run);
  const result = { ...run, round: training.round, interrupted: !isOver, folder };
  terminal.out(
    options.json
      ? `${JSON.stringify(result)}\n`
      : `${describeRun(run)}: ${training.round} of ${run.rounds} rounds, in ${folder}\n`,
  );
  terminal.err(
    isOver
      ? `judge it with adastra meta evaluate ${folder}\n`
      : `stopped; go on with the same command, --out ${folder} and --resume\n`,
  );
  return isOver ? exitCodes.ok : exitCodes.interrupted;
}

/** The folder of a run: a new one, or with `--resume` that of the same run. */
async function folderOf(
  where: string,
  run: MetaRun,
  { out, resume }: MetaOptions,
  { now }: MetaWorld,
): Promise<string> {
  if (resume && out === undefined) {
    throw new UsageError(`${where}: --resume needs --out, the folder of the run, got none`);
  }
  const folder = out ?? join("runs", timestamp(now()));
  makeFolder(folder, where);
  const known = await readRun(folder);
  if (known !== undefined && (!resume || describeRun(known) !== describeRun(run))) {
    throw new UsageError(
      `${where}: --out must be a new folder, or with --resume that of the same run, got that of ${describeRun(known)}; ${resume ? "pass its options" : "pass --resume to go on with it"}`,
    );
  }
  if (known === undefined && resume) {
    throw new UsageError(`${where}: --resume needs the folder of a run, got "${folder}"`);
  }
  return folder;
}

/** Trains to the last round or to Ctrl-C, with checkpoints; says whether it was stopped. */
async function advance(
  { training, status, interrupt }: Trained,
  { rounds }: MetaRun,
  directory: CheckpointDirectory,
  { terminal, clock, onInterrupt }: MetaWorld,
): Promise<boolean> {
  const progress = createBenchProgress(terminal, clock);
  let stopped = false;
  const release = onInterrupt(() => {
    const when = interrupt === undefined ? " after this round" : "";
    terminal.err(`\nstopping${when}; press Ctrl-C again to leave at once\n`);
    stopped = true;
    interrupt?.();
  });
  if (status !== undefined) {
    terminal.err(`waiting for clients${status()}\n`);
  }
  const every = Math.ceil(rounds / checkpoints);
  const first = training.round;
  try {
    while (training.round < rounds && !stopped) {
      const result = await training.next().catch((error: unknown) => {
        if (stopped) {
          return undefined; // dropped; nothing has changed
        }
        throw error;
      });
      if (result === undefined) {
        break;
      }
      const { round, lastLoss } = result;
      const share = (round - first) / (rounds - first);
      progress.update(
        share,
        `round ${round} of ${rounds}, loss ${lastLoss.toPrecision(3)}${status?.() ?? ""}`,
      );
      if (round % every === 0 || round === rounds) {
        await directory.save(round, training.save());
      }
      // Training may never wait for anything but promises: without this, Ctrl-C would not be heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (stopped) {
      await directory.save(training.round, training.save());
    }
  } finally {
    progress.stop();
    release();
  }
  return stopped && training.round < rounds;
}
