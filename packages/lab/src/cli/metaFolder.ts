/** The folder of a run of meta-training: `run.json`, checkpoints, and the preset that core loads. */

import * as fs from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  CheckpointDirectory,
  encodeCheckpoint,
  nodeFiles,
} from "@adastra/core/checkpoint";
import type { MetaTraining } from "@adastra/meta";
import type { MetaRun } from "../meta/run.ts";
import { UsageError } from "./terminal.ts";

export function checkpointsIn(folder: string): CheckpointDirectory {
  return new CheckpointDirectory(nodeFiles(fs, join(folder, "checkpoints")), { keep: 2 });
}

/** Whether there was one. */
export async function loadLatest(
  training: MetaTraining,
  from: CheckpointDirectory,
): Promise<boolean> {
  const latest = await from.latest();
  if (latest !== undefined) {
    training.load(await from.load(latest));
  }
  return latest !== undefined;
}

/** What test tasks start from beside φ, where the method learned it. */
export function presetOf(
  training: MetaTraining,
  { method }: MetaRun,
  coef: number,
): Checkpoint | undefined {
  const learnsMore = training.learner.aruba !== undefined || training.learner.carries;
  if (coef > 0 && training.learner.aruba === undefined) {
    throw new UsageError(`meta evaluate: --coef is ARUBA's, got it for a run of ${method}`);
  }
  return learnsMore ? training.preset(coef) : undefined;
}

/** `preset.safetensors`: a checkpoint of the optimizer within tasks, as core loads it. */
export async function writePreset(
  folder: string,
  training: MetaTraining,
  run: MetaRun,
): Promise<void> {
  const preset = presetOf(training, run, 0);
  if (preset !== undefined) {
    const path = join(folder, "preset.safetensors");
    await fs.writeFile(`${path}.tmp`, encodeCheckpoint(preset), { flush: true });
    await fs.rename(`${path}.tmp`, path);
  }
}
