/** What a run must remember beside the optimizer, in memory and in a checkpoint. */

import type { CompiledOptimizer, Leaves, Random } from "@adastra/core";
import type { Checkpoint, DocumentValue } from "@adastra/core/checkpoint";
import { requireThat } from "./checks.ts";
import type { Best } from "./earlyStopping.ts";
import type { Metrics } from "./metrics.ts";
import type { EpochReport } from "./report.ts";

export interface RunState {
  /** Complete epochs. */
  readonly epoch: number;
  /** Steps taken of the epoch that is not complete. */
  readonly index: number;
  /** Sums over those steps: the loss, and aux values by name. */
  readonly sums: Metrics;
  readonly history: readonly EpochReport[];
  readonly best?: Best;
  /** Epochs since the best one. */
  readonly sinceBest: number;
}

export const START: RunState = { epoch: 0, index: 0, sums: {}, history: [], sinceBest: 0 };

/** What makes the order of the data what it is: a run is resumed with the same. */
export interface Order {
  readonly rows: number;
  readonly batchSize: number;
  readonly shuffle: boolean;
}

/** A schedule with a state, such as `reduceOnPlateau`. */
export interface SavedSchedule {
  save(): unknown;
  restore(state: never): void;
}

export interface Kept {
  readonly optimizer: CompiledOptimizer;
  /** The model's. */
  readonly state: Leaves<Float32Array>;
  readonly random: Random;
  readonly order: Order;
  readonly schedule?: SavedSchedule;
}

const FORMAT = "adastra-fit/1";

type Extra = {
  readonly format: typeof FORMAT;
  readonly run: Pick<RunState, "sums" | "history" | "best" | "sinceBest">;
  readonly state: Readonly<Record<string, Float32Array>>;
};

/** Everything, copied. */
export function toCheckpoint(
  { epoch, index, ...run }: RunState,
  { optimizer, state, random, order, schedule }: Kept,
): Checkpoint {
  const extra: Extra = { format: FORMAT, run, state: copyState(state) };
  return {
    optimizer: optimizer.save(),
    random: seedMark(random),
    cursor: { epoch, index, ...order },
    extra: extra as unknown as DocumentValue, // plain data throughout, but made of interfaces
    ...(schedule !== undefined && { schedule: schedule.save() as DocumentValue }),
  };
}

/**
 * Puts everything back as it was.
 *
 * @throws RangeError, or what `optimizer.load` throws, if the checkpoint is not of such a run. Nothing has changed then.
 */
export function fromCheckpoint(checkpoint: Checkpoint, kept: Kept): RunState {
  const { optimizer, state, random, order, schedule } = kept;
  const hint = "pass what it was saved with, or another directory";
  const extra = checkpoint.extra as Extra | undefined;
  const format = extra?.format;
  requireThat(
    extra !== undefined && format === FORMAT,
    "fit",
    `a checkpoint to resume must hold "${FORMAT}"`,
    format,
    hint,
  );
  const cursor = checkpoint.cursor as unknown as Order & Pick<RunState, "epoch" | "index">;
  for (const key of ["rows", "batchSize", "shuffle"] as const) {
    const expected = `the checkpoint was saved with ${key} ${cursor[key]}`;
    requireThat(cursor[key] === order[key], "fit", expected, order[key], hint);
  }
  requireThat(
    checkpoint.random === seedMark(random),
    "fit",
    "`random` must have the seed of the checkpoint",
    "another",
    hint,
  );
  const paths = [...new Set([...Object.keys(state), ...Object.keys(extra.state)])];
  for (const path of paths) {
    const [saved, here] = [extra.state[path]?.length, state[path]?.data.length];
    const expected = `\`state\` must hold ${saved ?? 0} numbers at "${path}", as the checkpoint does`;
    requireThat(saved === here, "fit", expected, here ?? 0, hint);
  }
  optimizer.load(checkpoint.optimizer);
  schedule?.restore(checkpoint.schedule as never);
  restoreState(state, extra.state);
  return { epoch: cursor.epoch, index: cursor.index, ...extra.run };
}

export function copyState(state: Leaves<Float32Array>): Readonly<Record<string, Float32Array>> {
  return Object.fromEntries(Object.entries(state).map(([path, { data }]) => [path, data.slice()]));
}

export function restoreState(
  state: Leaves<Float32Array>,
  saved: Readonly<Record<string, Float32Array>>,
): void {
  for (const [path, { data }] of Object.entries(state)) {
    data.set(saved[path] as Float32Array); // of the same paths
  }
}

/** A number that tells seeds apart: forks depend on the seed alone. */
function seedMark(random: Random): number {
  return random.fork("fit").save();
}
