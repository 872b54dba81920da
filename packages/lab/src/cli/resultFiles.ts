/** Result files: whole or not there. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** Writes a whole file; `node:fs` in life, something that fails in tests. */
export type WriteFile = (path: string, text: string) => void;

/**
 * Makes the folder of a result, before the work whose result it will take.
 *
 * @throws Error in one sentence when it cannot be made.
 */
export function makeFolder(folder: string, where = "compare"): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new Error(
      `${where}: --out must be a folder that can be made, got "${folder}" (${codeOf(cause)}); pass another`,
      { cause },
    );
  }
}

/** Writes under a temporary name in the same folder and renames, so that a reader sees the old file or the new one. */
export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { flush: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Writes one file of a result.
 *
 * @returns one sentence when it could not be written; a caller with more to show goes on.
 */
export function writeResult(
  path: string,
  text: string,
  write: WriteFile = writeAtomically,
  where = "compare",
): string | undefined {
  try {
    write(path, text);
    return undefined;
  } catch (error) {
    return codeOf(error) === "ENOSPC"
      ? `${where}: writing "${path}" needs ${Math.ceil(Buffer.byteLength(text) / 1024)} kB of disk, got a full disk; free some space and run again, or pass --out on another disk`
      : `${where}: "${path}" must be writable, got ${codeOf(error)}; pass another --out`;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** `2026-03-04T05-06-07`, in local time: sorts, and is a file name everywhere. */
export function timestamp(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replaceAll(":", "-");
}
