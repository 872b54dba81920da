/** `adastra meta evaluate`: judges a run on tasks that were not trained on. */

import { mulberry32 } from "@adastra/core";
import { bootstrapMean } from "../compare/statistics.ts";
import type { MetaProblem, OpenMetaProblem } from "../meta/metaProblem.ts";
import { describeRun, type MetaRun, readRun } from "../meta/run.ts";
import type { Interval } from "../protocol.ts";
import { createBenchProgress } from "./benchProgress.ts";
import { checkpointsIn, loadLatest, presetOf } from "./metaFolder.ts";
import type { MetaOptions } from "./metaOptions.ts";
import { problemNamed } from "./metaWords.ts";
import type { MetaWorld } from "./metaWorld.ts";
import { exitCodes, UsageError } from "./terminal.ts";

const defaultTasks = 1000;

/** @throws UsageError for a folder without a run, Error for one without a checkpoint. */
export async function evaluate(
  folder: string,
  options: MetaOptions,
  world: MetaWorld,
): Promise<number> {
  const { terminal, clock, onInterrupt } = world;
  const run = await readRun(folder);
  if (run === undefined) {
    throw new UsageError(
      `meta evaluate: must be given the folder of a run, got "${folder}", which holds no run.json; train one first`,
    );
  }
  const problem = problemNamed(run.problem);
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
