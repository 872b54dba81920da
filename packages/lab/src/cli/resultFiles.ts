/** Result files: whole or not there. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a whole file; `node:fs` in life, something that fails in tests. */
export type WriteFile = (path: string, text: string) => void;

/**
 * Makes the folder of a result, before the work whose result it will take.
 *
 * @throws Error in one sentence when it cannot be made.
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new Error(
      `compare: --out must be a folder that can be made, got "${folder}" (${codeOf(cause)}); pass another`,
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
 * Writes the files of a result, by name, one after another.
 *
 * @returns the paths written, and one sentence for the first file that could not be.
 */
export function writeResults(
  folder: string,
  files: Readonly<Record<string, string>>,
  write: WriteFile = writeAtomically,
): { readonly written: readonly string[]; readonly problem?: string } {
  const written: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    try {
      write(path, text);
      written.push(path);
    } catch (error) {
      const problem =
        codeOf(error) === "ENOSPC"
          ? `compare: writing "${path}" needs ${Math.ceil(Buffer.byteLength(text) / 1024)} kB of disk, got a full disk; free some space and run again, or pass --out on another disk`
          : `compare: "${path}" must be writable, got ${codeOf(error)}; pass another --out`;
      return { written, problem };
    }
  }
  return { written };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
