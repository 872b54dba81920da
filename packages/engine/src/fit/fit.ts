/**
 * `fit`: the loop over epochs and batches.
 *
 *     epoch e     the rows in an order drawn by fork "order/e" of `random`, batch by batch, what is left over dropped
 *     step        as many batches as the optimizer takes: k under accumulate(k), each of them twice under sam
 *     its end     validation, early stopping, callback, checkpoint
 *
 * Everything random is a function of the seed and the place, so a checkpoint is the place: a resumed run needs to draw
 * nothing again, and takes, bit for bit, the steps of an unbroken one.
 */

import type { Clock, CompiledOptimizer, Leaves, Random } from "@adastra/core";
import type { CheckpointDirectory } from "@adastra/core/checkpoint";
import { type CompileOptions, compile } from "../compile.ts";
import type { BatchArrays } from "../signature.ts";
import type { Mode } from "../trace/mode.ts";
import type { LossResult, Traced } from "../trace/trace.ts";
import { Value } from "../trace/value.ts";
import { requireCount, requireThat } from "./checks.ts";
import { type Data, type DataSource, inOrder, openData, shuffled } from "./data.ts";
import { checkEarlyStopping, type EarlyStoppingOptions, improves } from "./earlyStopping.ts";
import { type Evaluation, type Metrics, type MetricsFunction, openEvaluation } from "./metrics.ts";
import type { Control, EpochReport, FitResult, StepReport } from "./report.ts";
import {
  copyState,
  fromCheckpoint,
  type Kept,
  type RunState,
  restoreState,
  type SavedSchedule,
  START,
  toCheckpoint,
} from "./runState.ts";
import { callsOf, type Portion, type Stepper, takeStep } from "./step.ts";

export type LossFunction<B extends BatchArrays> = (
  params: Traced<Leaves<Float32Array>>,
  batch: Traced<B>,
  mode: Mode,
) => LossResult;

export interface ValidationOptions<B extends BatchArrays> {
  readonly data: Data<B>;
  /** Default the loss as in evaluation, by name `loss`. */
  readonly metrics?: MetricsFunction<B>;
  /** Rows at a time; default as in training. It has no influence on what is measured beyond rounding. */
  readonly batchSize?: number;
}

export interface CheckpointOptions {
  /** Where checkpoints lie: if there is one, training goes on from the latest. */
  readonly directory: Pick<CheckpointDirectory, "latest" | "load" | "save">;
  /** Steps between checkpoints within an epoch; default none but at its end. */
  readonly every?: number;
  /** A schedule that has a state, to be saved and restored. */
  readonly schedule?: SavedSchedule;
}

export interface FitOptions<B extends BatchArrays>
  extends Pick<
    CompileOptions<never, never>,
    "backend" | "threads" | "replicas" | "assets" | "fallback" | "warn"
  > {
  /** Bound to float32 parameters; trained in place. */
  readonly optimizer: CompiledOptimizer;
  /** What the model's layers keep, from `model.initState`; trained in place. */
  readonly state?: Leaves<Float32Array>;
  readonly data: Data<B>;
  /** Rows of a batch, from 1 to the rows of `data`. */
  readonly batchSize: number;
  readonly epochs: number;
  /** Determines the order of the data and its augmentation, by forks; nothing is drawn from it. */
  readonly random: Random;
  /** A new order each epoch, default true; false takes rows as they stand, and never sees those left over. */
  readonly shuffle?: boolean;
  readonly validation?: ValidationOptions<B>;
  /** Needs `validation`. */
  readonly earlyStopping?: EarlyStoppingOptions;
  readonly checkpoint?: CheckpointOptions;
  /** After each step; training waits for it. */
  readonly onStep?: (report: StepReport, control: Control) => unknown;
  /** After each epoch, before its checkpoint. */
  readonly onEpoch?: (report: EpochReport, control: Control) => unknown;
  /** Looked at before each step. */
  readonly signal?: { readonly aborted: boolean };
  /** Measures the times in reports, and the backends of `"auto"`, which needs one. */
  readonly clock?: Clock;
}

/**
 * Trains a model: batches, epochs, validation, early stopping, checkpoints.
 *
 * The last rows of an epoch that fill no step are dropped, others in each epoch as the order changes; validation counts
 * every row once. Gradients are averaged over batches by `accumulate(k, optimizer)`. Validation looks at
 * `optimizer.evaluationParams()`. With a directory, a run that ends anyhow but by an error leaves a checkpoint, and the same
 * call resumes it; a learning rate that a callback `set` is not in it, a schedule is.
 *
 * Computes on the calling thread, which in Node is blocked during each step: see `@adastra/engine/worker`.
 *
 * @param loss - As for `compile`: `(params, batch, mode) => loss` or `=> [loss, aux]`, parameters by path.
 * @throws RangeError or TypeError for an option, data or a checkpoint that does not fit, before anything is trained;
 *   BatchShapeError for a batch of another shape, and DivergedError with the step and the origin if loss or gradient
 *   is NaN or infinite, with parameters as they were before that step, whatever `nonFinite` the optimizer was compiled with.
 * @example
 * const { history } = await fit((p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode), y), {
 *   optimizer, data, batchSize: 64, epochs: 10, random: mulberry32(1),
 * });
 */
export async function fit<B extends BatchArrays>(
  loss: LossFunction<B>,
  options: FitOptions<B>,
): Promise<FitResult> {
  const checked = check(options);
  const { optimizer, state = {}, validation, random, earlyStopping } = options;
  const { backend, threads, assets, fallback, warn, clock } = options;
  const compiled = {
    params: optimizer.params as Leaves<Float32Array>, // compile checks it
    state,
    ...(backend !== undefined && { backend }),
    ...(threads !== undefined && { threads }),
    ...(assets !== undefined && { assets }),
    ...(fallback !== undefined && { fallback }),
    ...(warn !== undefined && { warn }),
    ...(clock !== undefined && { clock }),
  };
  const { source, batchSize, validationSource, validationBatch } = checked;
  const example = await source.batch(inOrder(batchSize), random.fork("batch/0/0"));
  const { replicas = 1 } = options;
  const gradient = await compile(loss, { ...compiled, example, replicas });
  let evaluation: Evaluation | undefined;
  try {
    evaluation =
      validationSource &&
      (await openEvaluation(
        validation?.metrics ?? lossAsMetric(loss),
        validationSource,
        validationBatch,
        random.fork("validation"),
        compiled,
      ));
    if (earlyStopping !== undefined) {
      const { metric = "loss" } = earlyStopping;
      const names = evaluation?.names ?? [];
      const expected = `\`earlyStopping.metric\` must be one of ${names.map((name) => `"${name}"`).join(", ")}`;
      requireThat(names.includes(metric), "fit", expected, `"${metric}"`);
    }
    return await train({ ...options, ...checked, state, gradient, evaluation });
  } finally {
    await Promise.all([gradient.dispose(), evaluation?.dispose()]);
  }
}

function lossAsMetric<B extends BatchArrays>(loss: LossFunction<B>): MetricsFunction<B> {
  return (...inputs) => {
    const result = loss(...inputs);
    return { loss: result instanceof Value ? result : result[0] };
  };
}

interface Checked<B extends BatchArrays> {
  readonly source: DataSource<B>;
  readonly batchSize: number;
  /** Batches a step. */
  readonly batches: number;
  readonly stepsPerEpoch: number;
  readonly validationSource: DataSource<B> | undefined;
  readonly validationBatch: number;
}

function check<B extends BatchArrays>(options: FitOptions<B>): Checked<B> {
  const { optimizer, batchSize, epochs, validation, earlyStopping, checkpoint } = options;
  requireCount("fit", "epochs", epochs);
  requireCount("fit", "batchSize", batchSize);
  requireThat(
    optimizer.phase === 0,
    "fit",
    "`optimizer` must stand between steps",
    `phase ${optimizer.phase}`,
    "complete the step it accumulates",
  );
  const source = openData("data", options.data);
  const { batches } = callsOf(optimizer);
  const stepsPerEpoch = Math.floor(source.count / (batchSize * batches));
  const rows = batches === 1 ? `${batchSize}` : `${batches} batches of ${batchSize}`;
  requireThat(
    stepsPerEpoch >= 1,
    "fit",
    `\`data\` must hold the rows of one step at least, ${rows}`,
    source.count,
    "take a smaller batchSize",
  );
  const validationSource = validation && openData("validation.data", validation.data);
  const validationBatch = Math.min(
    validation?.batchSize ?? batchSize,
    validationSource?.count ?? 1,
  );
  requireCount("fit", "validation.batchSize", validationBatch);
  if (earlyStopping !== undefined) {
    requireThat(validation !== undefined, "fit", "`earlyStopping` needs `validation`", "none");
    checkEarlyStopping(earlyStopping);
  }
  if (checkpoint?.every !== undefined) {
    requireCount("fit", "checkpoint.every", checkpoint.every);
  }
  return { source, batchSize, batches, stepsPerEpoch, validationSource, validationBatch };
}

interface Training<B extends BatchArrays> extends FitOptions<B>, Checked<B>, Stepper<B> {
  readonly state: Leaves<Float32Array>;
  readonly evaluation: Evaluation | undefined;
}

async function train<B extends BatchArrays>(training: Training<B>): Promise<FitResult> {
  const { optimizer, state, epochs, stepsPerEpoch, earlyStopping, checkpoint, signal } = training;
  const kept = keptOf(training);
  const latest = await checkpoint?.directory.latest();
  let run = START;
  if (checkpoint !== undefined && latest !== undefined) {
    run = fromCheckpoint(await checkpoint.directory.load(latest), kept);
  }
  const save = async (): Promise<void> => {
    await checkpoint?.directory.save(optimizer.count, toCheckpoint(run, kept));
  };
  let halted: "stopped" | "aborted" | undefined;
  const control: Control = {
    stop: () => {
      halted = "stopped";
    },
  };
  const isHalted = (): boolean => {
    halted ??= signal?.aborted === true ? "aborted" : undefined;
    return halted !== undefined;
  };
  const isOver = (): boolean => run.sinceBest >= (earlyStopping?.patience ?? Infinity);
  const reportStep = stepReporter(training, run);

  while (run.epoch < epochs && !isOver() && !isHalted()) {
    const portion = portionsOf(training, run.epoch);
    while (run.index < stepsPerEpoch && !isHalted()) {
      const means = await takeStep(training, portion(run.index));
      run = { ...run, index: run.index + 1, sums: added(run.sums, means) };
      await training.onStep?.(reportStep(run, means), control);
      const isDue = optimizer.count % (checkpoint?.every ?? Infinity) === 0;
      if (isDue && run.index < stepsPerEpoch) {
        await save();
      }
    }
    if (isHalted()) {
      await save();
      break;
    }
    run = await endEpoch(training, run);
    await training.onEpoch?.(run.history.at(-1) as EpochReport, control);
    await save();
  }

  const step = optimizer.count;
  const { best } = run;
  if (halted === undefined && best?.kept !== undefined) {
    optimizer.load(best.kept.optimizer);
    restoreState(state, best.kept.state);
  }
  return {
    status: halted ?? (isOver() ? "stoppedEarly" : "finished"),
    step,
    epochs: run.epoch,
    history: run.history,
    ...(best !== undefined && { best: { epoch: best.epoch, metric: best.metric } }),
    params: optimizer.evaluationParams(),
  };
}

function keptOf<B extends BatchArrays>(training: Training<B>): Kept {
  const { optimizer, state, random, source, batchSize, shuffle = true, checkpoint } = training;
  const { schedule } = checkpoint ?? {};
  const order = { rows: source.count, batchSize, shuffle };
  return { optimizer, state, random, order, ...(schedule !== undefined && { schedule }) };
}

/** The batches of each step of an epoch. */
function portionsOf<B extends BatchArrays>(
  { source, batchSize, batches, random, shuffle = true }: Training<B>,
  epoch: number,
): (index: number) => Portion<B>[] {
  const order = shuffle
    ? shuffled(source.count, random.fork(`order/${epoch}`))
    : inOrder(source.count);
  return (index) =>
    Array.from({ length: batches }, (_, i) => {
      const batch = index * batches + i;
      const rows = order.subarray(batch * batchSize, (batch + 1) * batchSize);
      return { rows, read: () => source.batch(rows, random.fork(`batch/${epoch}/${batch}`)) };
    });
}

function added(sums: Metrics, means: Metrics): Metrics {
  return Object.fromEntries(
    Object.entries(means).map(([name, mean]) => [name, (sums[name] ?? 0) + mean]),
  );
}

/** Validates, and closes the books of an epoch. */
async function endEpoch<B extends BatchArrays>(
  { optimizer, state, evaluation, stepsPerEpoch, earlyStopping }: Training<B>,
  run: RunState,
): Promise<RunState> {
  const epoch = run.epoch + 1;
  const means = Object.entries(run.sums).map(([name, sum]) => [name, sum / stepsPerEpoch] as const);
  const validation = await evaluation?.run(optimizer.evaluationParams());
  const metric = earlyStopping && validation?.[earlyStopping.metric ?? "loss"];
  const improved =
    earlyStopping !== undefined &&
    metric !== undefined &&
    improves(metric, run.best?.metric, earlyStopping);
  const report: EpochReport = {
    epoch,
    step: optimizer.count,
    train: Object.fromEntries(means),
    ...(validation !== undefined && { validation }),
    ...(earlyStopping !== undefined && { improved }),
  };
  const history = [...run.history, report];
  const next = { ...run, epoch, index: 0, sums: {}, history, sinceBest: run.sinceBest + 1 };
  if (!improved) {
    return next;
  }
  const kept = { optimizer: optimizer.save(), state: copyState(state) };
  const isKept = earlyStopping.restoreBest ?? true;
  return { ...next, best: { epoch, metric, ...(isKept && { kept }) }, sinceBest: 0 };
}

/** Reports of steps, times counted from here on. */
function stepReporter<B extends BatchArrays>(
  { optimizer, epochs, stepsPerEpoch, clock }: Training<B>,
  start: RunState,
): (run: RunState, means: Metrics & { readonly loss: number }) => StepReport {
  const before = start.epoch * stepsPerEpoch + start.index;
  const earlier = optimizer.count - before;
  const startedAt = clock?.now() ?? 0;
  return ({ epoch }, { loss, ...aux }) => {
    const { count } = optimizer;
    const left = earlier + epochs * stepsPerEpoch - count;
    const elapsedMs = clock && clock.now() - startedAt;
    return {
      step: count,
      totalSteps: count + left,
      epoch: epoch + 1,
      epochs,
      loss,
      aux,
      learningRate: optimizer.hyperparameters["learningRate"] as number,
      ...(elapsedMs !== undefined && {
        elapsedMs,
        remainingMs: (elapsedMs / (count - earlier - before)) * left,
      }),
    };
  };
}
