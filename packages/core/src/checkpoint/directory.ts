/**
 * A directory of checkpoints, one file a step, of which the last few are kept.
 *
 *     write checkpoint-N.safetensors.tmp, sync it, rename it, sync the folder, remove what is too old
 *
 * At every moment a name without ".tmp" stands for a complete file, and the newest before it is removed only when
 * the new one is durable. A process that is killed leaves at most a temporary file; the next save removes it.
 */

import { type Checkpoint, checkpointParts, decodeCheckpoint } from "./checkpoint.ts";
import { CheckpointError, sentence } from "./error.ts";
import type { CheckpointFiles } from "./files.ts";
import { isNatural } from "./json.ts";
import { join } from "./safetensors.ts";

export interface CheckpointDirectoryOptions {
  /** Checkpoints to keep, at least 1, default 3; `Infinity` for all. */
  readonly keep?: number;
}

/** Bytes that small tensors are gathered to before they are written. */
const CHUNK = 2 ** 20;

const TEMPORARY = /^checkpoint-\d{12,}\.safetensors\.tmp$/;

/**
 * Saves and loads checkpoints by step. One writer a directory at a time; any number may read. Calls of `save` and
 * `remove` on one instance wait for each other.
 *
 * @throws RangeError for `keep` out of range.
 * @example
 * const directory = new CheckpointDirectory(nodeFiles(fs, "runs/7"));
 * const step = await directory.latest();
 * if (step !== undefined) optimizer.load((await directory.load(step)).optimizer);
 */
export class CheckpointDirectory {
  private readonly files: CheckpointFiles;
  private readonly keep: number;
  private pending: Promise<unknown> = Promise.resolve();

  constructor(files: CheckpointFiles, { keep = 3 }: CheckpointDirectoryOptions = {}) {
    if (!((Number.isSafeInteger(keep) && keep >= 1) || keep === Number.POSITIVE_INFINITY)) {
      const expected = "`keep` must be an integer of at least 1, or Infinity";
      throw new RangeError(sentence("CheckpointDirectory", expected, keep));
    }
    this.files = files;
    this.keep = keep;
  }

  /**
   * Saves a checkpoint under a step that is at least the latest; that of the same step is replaced. The arrays must
   * not change until it resolves, which those of `optimizer.save()` do not. When it resolves, the checkpoint is there
   * to stay. When it fails, or the process dies, the one saved last before is still there and complete.
   *
   * @throws TypeError as `encodeCheckpoint`; RangeError for a step that is no natural number or before the latest;
   * whatever the files throw.
   */
  save(step: number, checkpoint: Checkpoint): Promise<void> {
    return this.enqueue(async () => {
      const parts = checkpointParts(checkpoint);
      const name = nameOf("save", step);
      const before = await this.list();
      const latest = before.at(-1) ?? 0;
      if (step < latest) {
        throw new RangeError(
          sentence(
            "save",
            `\`step\` must be at least the latest saved, ${latest}`,
            step,
            "remove the later ones, or use another folder",
          ),
        );
      }
      await this.clean();
      await this.write(name, parts);
      const old = before.filter((saved) => saved !== step);
      for (const saved of old.slice(0, Math.max(0, old.length + 1 - this.keep))) {
        await this.files.remove(nameOf("save", saved));
      }
    });
  }

  /** The step saved last; undefined when there is none. */
  async latest(): Promise<number | undefined> {
    return (await this.list()).at(-1);
  }

  /** The steps saved, in order. */
  async list(): Promise<readonly number[]> {
    const steps: number[] = [];
    for (const { name, size } of await this.files.list()) {
      const digits = /^checkpoint-(\d+)\.safetensors$/.exec(name)?.[1];
      const step = Number(digits);
      // No complete file is empty: where a file appears under its name before its bytes do, this tells.
      if (digits !== undefined && isNatural(step) && name === nameOf("list", step) && size > 0) {
        steps.push(step);
      }
    }
    return steps.toSorted((a, b) => a - b);
  }

  /** @throws CheckpointError `NOT_FOUND`, or what `decodeCheckpoint` throws. */
  async load(step: number): Promise<Checkpoint> {
    await this.requireSaved("load", step);
    return decodeCheckpoint(await this.files.read(nameOf("load", step)));
  }

  /**
   * Removes the checkpoint of a step.
   *
   * @throws CheckpointError `NOT_FOUND`.
   */
  remove(step: number): Promise<void> {
    return this.enqueue(async () => {
      await this.requireSaved("remove", step);
      await this.files.remove(nameOf("remove", step));
      await this.files.syncFolder();
    });
  }

  private async requireSaved(where: string, step: number): Promise<void> {
    const steps = await this.list();
    if (!steps.includes(step)) {
      const saved = steps.length === 0 ? "none is saved" : `saved are ${steps.join(", ")}`;
      const message = sentence(where, "`step` must be one that was saved", step, saved);
      throw new CheckpointError("NOT_FOUND", message);
    }
  }

  private async write(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const temporary = `${name}.tmp`;
    try {
      const file = await this.files.create(temporary);
      try {
        for (const chunk of chunksOf(parts)) {
          await file.write(chunk);
        }
        await file.sync();
      } catch (error) {
        await file.close().catch(() => {});
        throw error;
      }
      await file.close();
      await this.files.rename(temporary, name);
    } catch (error) {
      // What went wrong matters more than what cannot be tidied up; the next save tries again.
      await this.files.remove(temporary).catch(() => {});
      throw error;
    }
    await this.files.syncFolder();
  }

  /** Removes what a killed process left. */
  private async clean(): Promise<void> {
    for (const { name } of await this.files.list()) {
      if (TEMPORARY.test(name)) {
        await this.files.remove(name);
      }
    }
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.pending.then(work);
    this.pending = result.catch(() => {});
    return result;
  }
}

/** @throws RangeError for a step that is no natural number. */
function nameOf(where: string, step: number): string {
  if (!isNatural(step)) {
    throw new RangeError(sentence(where, "`step` must be a natural number", step));
  }
  return `checkpoint-${String(step).padStart(12, "0")}.safetensors`;
}

/** The same bytes in fewer pieces: a file system call costs more than copying a small tensor. */
function* chunksOf(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let size = 0;
  for (const part of parts) {
    if (size > 0 && size + part.length > CHUNK) {
      yield join(gathered);
      gathered = [];
      size = 0;
    }
    if (part.length > CHUNK) {
      yield part;
    } else {
      gathered.push(part);
      size += part.length;
    }
  }
  if (size > 0) {
    yield join(gathered);
  }
}
