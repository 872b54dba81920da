/** `adastra meta`: trains an initialisation and rates on tasks, and judges them on new ones. */

import * as fs from "node:fs/promises";
import { join } from "node:path";
import { type Clock, mulberry32 } from "@adastra/core";
import { CheckpointDirectory, encodeCheckpoint, nodeFiles } from "@adastra/core/checkpoint";
import type { MetaTraining } from "@adastra/meta";
import { bootstrapMean } from "../compare/statistics.ts";
import { createClientPool } from "../meta/clientPool.ts";
import type { MetaProblem, OpenMetaProblem } from "../meta/metaProblem.ts";
import { findMetaProblem } from "../meta/problems.ts";
import { describeRun, type MetaRun, readRun } from "../meta/run.ts";
import type { Interval } from "../protocol.ts";
import { createBenchProgress } from "./benchProgress.ts";
import type { CommandOptions } from "./options.ts";
import { makeFolder, timestamp, writeResult } from "./resultFiles.ts";
import { exitCodes, type Terminal, UsageError } from "./terminal.ts";

export interface MetaWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Names the folder of a run that got none. */
  readonly now: () => Date;
  /** Registers what Ctrl-C does from now on; returns what takes it back. */
  readonly onInterrupt: (handler: () => void) => () => void;
}

type Options = CommandOptions["meta"];

/** Options that only the other action has. */
const foreign: Readonly<Record<"train" | "evaluate", readonly (keyof Options)[]>> = {
  train: ["tasks", "shots", "coef", "split"],
  evaluate: ["method", "zeta", "rounds", "out", "resume", "workers"],
};

/** Checkpoints of a run, besides the last. */
const checkpoints = 20;
const defaultTasks = 1000;

/**
 * Runs `train PROBLEM` or `evaluate FOLDER`; returns the exit code.
 *
 * The first Ctrl-C ends training with a checkpoint, from which `--resume` goes on bit for bit.
 *
 * @throws UsageError for words that mean nothing, Error for data or a folder that is not there.
 */
export async function metaCommand(
  [action = "", operand = "", ...rest]: readonly string[],
  options: Options,
  world: MetaWorld,
): Promise<number> {
  if (action !== "train" && action !== "evaluate") {
    throw new UsageError(`meta: action must be train or evaluate, got "${action}"`);
  }
  if (operand === "" || rest.length > 0) {
    const wanted = action === "train" ? "a problem" : "the folder of a run";
    throw new UsageError(
      `meta ${action}: must be given ${wanted} and nothing else, got ${rest.length + Number(operand !== "")} words; see adastra meta --help`,
    );
  }
  const stray = foreign[action].find((key) => options[key] !== undefined);
  if (stray !== undefined) {
    throw new UsageError(`meta ${action}: takes no --${stray}, got it; leave it out`);
  }
  return action === "train" ? train(operand, options, world) : evaluate(operand, options, world);
}

async function train(problemName: string, options: Options, world: MetaWorld): Promise<number> {
  const { terminal } = world;
  const problem = named(() => findMetaProblem(problemName));
  const method = options.method ?? "aruba";
  const rate = options.rate ?? problem.info.rates[method];
  if (rate === undefined) {
    throw new UsageError(
      `meta train: --method must be one of ${Object.keys(problem.info.rates).join(", ")} for ${problemName}, got "${method}"`,
    );
  }
  const run: MetaRun = {
    format: "adastra-meta-run/1",
    problem: problemName,
    method,
    rate,
    ...(options.zeta === undefined ? {} : { zeta: options.zeta }),
    rounds: options.rounds ?? problem.info.rounds,
    seed: options.seed ?? 1,
  };
  if (options.zeta !== undefined && !method.startsWith("aruba")) {
    throw new UsageError(`meta train: --zeta is ARUBA's, got it with --method ${method}`);
  }
  if (options.resume && options.out === undefined) {
    throw new UsageError("meta train: --resume needs --out, the folder of the run, got none");
  }
  const folder = options.out ?? join("runs", timestamp(world.now()));
  makeFolder(folder, "meta train");
  const known = await readRun(folder);
  if (known !== undefined && (!options.resume || describeRun(known) !== describeRun(run))) {
    throw new UsageError(
      `meta train: --out must be a new folder, or with --resume that of the same run, got that of ${describeRun(known)}; ${options.resume ? "pass its options" : "pass --resume to go on with it"}`,
    );
  }
  if (known === undefined && options.resume) {
    throw new UsageError(`meta train: --resume needs the folder of a run, got "${folder}"`);
  }
  const opened = await problem.open();
  const { workers = 0 } = options;
  const pool = workers > 0 ? createClientPool(run, workers) : undefined;
  const training = opened.start(run, pool?.client);
  const directory = checkpointsIn(folder);
  await loadLatest(training, directory);
  const complaint = writeResult(
    join(folder, "run.json"),
    `${JSON.stringify(run, null, 2)}\n`,
    undefined,
    "meta train",
  );
  if (complaint !== undefined) {
    throw new Error(complaint);
  }
  let interrupted: boolean;
  try {
    interrupted = await advance(training, run, directory, world);
  } finally {
    pool?.close();
  }
  await writePreset(folder, training, run);
  const result = { ...run, round: training.round, interrupted, folder };
  terminal.out(
    options.json
      ? `${JSON.stringify(result)}\n`
      : `${describeRun(run)}: ${training.round} of ${run.rounds} rounds, in ${folder}\n`,
  );
  terminal.err(
    interrupted
      ? `stopped; go on with adastra meta train ${run.problem} --out ${folder} --resume and the same options\n`
      : `judge it with adastra meta evaluate ${folder}\n`,
  );
  return interrupted ? exitCodes.interrupted : exitCodes.ok;
}

/** Trains to the last round or to Ctrl-C, with checkpoints; says whether it was stopped. */
async function advance(
  training: MetaTraining,
  { rounds }: MetaRun,
  directory: CheckpointDirectory,
  { terminal, clock, onInterrupt }: MetaWorld,
): Promise<boolean> {
  const progress = createBenchProgress(terminal, clock);
  let stopped = false;
  const release = onInterrupt(() => {
    terminal.err("\nstopping after this round; press Ctrl-C again to leave at once\n");
    stopped = true;
  });
  const every = Math.ceil(rounds / checkpoints);
  const first = training.round;
  try {
    while (training.round < rounds && !stopped) {
      const { round, lastLoss } = await training.next();
      const share = (round - first) / (rounds - first);
      progress.update(share, `round ${round} of ${rounds}, loss ${lastLoss.toPrecision(3)}`);
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

async function evaluate(folder: string, options: Options, world: MetaWorld): Promise<number> {
  const { terminal, clock, onInterrupt } = world;
  const run = await readRun(folder);
  if (run === undefined) {
    throw new UsageError(
      `meta evaluate: must be given the folder of a run, got "${folder}", which holds no run.json; train one first`,
    );
  }
  const problem = named(() => findMetaProblem(run.problem));
  const { info } = problem;
  const opened = await problem.open();
  const training = opened.start(run);
  if (!(await loadLatest(training, checkpointsIn(folder)))) {
    throw new Error(`meta evaluate: "${folder}" must hold a checkpoint, got none; train again`);
  }
  const asked = {
    split: options.split ?? "test",
    tasks: options.tasks ?? info.testTasks?.[options.split ?? "test"] ?? defaultTasks,
    shots: options.shots ?? info.shots ?? 0,
    seed: options.seed ?? 1,
  } as const;
  const coef = options.coef ?? 0;
  const rate = options.rate ?? run.rate;
  const progress = createBenchProgress(terminal, clock);
  const controller = new AbortController();
  const release = onInterrupt(() => controller.abort());
  let scores: readonly number[];
  let unadapted: readonly number[] | undefined;
  try {
    const preset = presetOf(training, run, coef);
    const judge = {
      ...asked,
      method: run.method,
      params: training.params,
      ...(preset === undefined ? {} : { preset }),
      signal: controller.signal,
      onTask: (done: number) => progress.update(done / asked.tasks, `task ${done}`),
    };
    scores = await opened.evaluate({ ...judge, adapt: { rate, coef } });
    unadapted = isFederated(problem) ? await opened.evaluate({ ...judge, adapt: null }) : undefined;
  } finally {
    progress.stop();
    release();
  }
  if (controller.signal.aborted) {
    terminal.err("stopped, nothing is judged\n");
    return exitCodes.interrupted;
  }
  const result = {
    run,
    round: training.round,
    ...asked,
    coef,
    rate,
    metric: info.metric,
    ...intervals({ result: scores, unadapted, floor: floorOf(opened, asked) }),
    data: info.data,
  };
  terminal.out(options.json ? `${JSON.stringify(result)}\n` : `${table(result)}\n`);
  return exitCodes.ok;
}

const isFederated = ({ info }: MetaProblem): boolean => info.shots === undefined;

const floorOf = (
  opened: OpenMetaProblem,
  asked: Parameters<NonNullable<OpenMetaProblem["floor"]>>[0],
): readonly number[] | undefined => opened.floor?.(asked);

type Judged = "result" | "unadapted" | "floor";

function intervals(scores: Readonly<Record<Judged, readonly number[] | undefined>>): {
  readonly [Key in Judged]?: Interval;
} {
  return Object.fromEntries(
    Object.entries(scores).flatMap(([key, values]) =>
      values === undefined ? [] : [[key, bootstrapMean(values, mulberry32(1), 2000)]],
    ),
  );
}

function table(result: {
  readonly run: MetaRun;
  readonly round: number;
  readonly tasks: number;
  readonly split: string;
  readonly metric: MetaProblem["info"]["metric"];
  readonly result?: Interval;
  readonly unadapted?: Interval;
  readonly floor?: Interval;
}): string {
  const { run, round, tasks, split, metric, ...judged } = result;
  const line = (what: string, interval: Interval | undefined): string[] =>
    interval === undefined
      ? []
      : [
          `${what.padEnd(20)} ${interval.mean.toPrecision(4)} ${metric.unit} (95 %: ${interval.low.toPrecision(4)} to ${interval.high.toPrecision(4)})`,
        ];
  return [
    `${describeRun(run)}, round ${round}: ${metric.name} over ${tasks} ${split} tasks`,
    ...line("adapted", judged.result),
    ...line("not adapted", judged.unadapted),
    ...line("nearest neighbour", judged.floor),
  ].join("\n");
}

/** What test tasks start from beside φ, where the method learned it. */
function presetOf(training: MetaTraining, { method }: MetaRun, coef: number) {
  const learnsMore = training.learner.aruba !== undefined || training.learner.carries;
  if (coef > 0 && training.learner.aruba === undefined) {
    throw new UsageError(`meta evaluate: --coef is ARUBA's, got it for a run of ${method}`);
  }
  return learnsMore ? training.preset(coef) : undefined;
}

/** `preset.safetensors`: a checkpoint of the optimizer within tasks, as core loads it. */
async function writePreset(folder: string, training: MetaTraining, run: MetaRun): Promise<void> {
  const preset = presetOf(training, run, 0);
  if (preset !== undefined) {
    const path = join(folder, "preset.safetensors");
    await fs.writeFile(`${path}.tmp`, encodeCheckpoint(preset), { flush: true });
    await fs.rename(`${path}.tmp`, path);
  }
}

function checkpointsIn(folder: string): CheckpointDirectory {
  return new CheckpointDirectory(nodeFiles(fs, join(folder, "checkpoints")), { keep: 2 });
}

/** Whether there was one. */
async function loadLatest(training: MetaTraining, from: CheckpointDirectory): Promise<boolean> {
  const latest = await from.latest();
  if (latest !== undefined) {
    training.load(await from.load(latest));
  }
  return latest !== undefined;
}

function named<T>(find: () => T): T {
  try {
    return find();
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
