/** Files of the browser's origin private file system. */

import type { CheckpointFileEntry, CheckpointFiles } from "./files.ts";

/** The part of `FileSystemDirectoryHandle` that is used. */
export interface OpfsDirectory {
  keys(): AsyncIterable<string>;
  getFileHandle(name: string, options?: { readonly create?: boolean }): Promise<OpfsFile>;
  removeEntry(name: string): Promise<void>;
}

export interface OpfsFile {
  getFile(): Promise<OpfsBlob>;
  createWritable(): Promise<OpfsWritable>;
  /** Not in every browser. */
  move?(name: string): Promise<void>;
}

export interface OpfsBlob {
  readonly size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface OpfsWritable {
  write(data: Uint8Array | OpfsBlob): Promise<void>;
  close(): Promise<void>;
}

/**
 * A folder of the origin private file system, as `navigator.storage.getDirectory()` gives it.
 *
 * What holds: a writable's bytes reach its file when it is closed, all of them or none, so a tab that is closed or
 * killed at any moment leaves files that are complete or empty, and a directory of checkpoints passes over empty
 * ones. A rename is the handle's `move` where the browser has it; elsewhere a copy under the new name, committed by
 * its close, and then the removal of the old one. What does not hold: there is nothing to sync, so how much of the
 * last second survives a loss of power is the browser's affair.
 */
export function opfsFiles(directory: OpfsDirectory): CheckpointFiles {
  const fileOf = async (name: string): Promise<OpfsBlob> =>
    (await directory.getFileHandle(name)).getFile();
  return {
    list: async () => {
      const entries: CheckpointFileEntry[] = [];
      for await (const name of directory.keys()) {
        const size = await sizeOf(directory, name);
        if (size !== undefined) {
          entries.push({ name, size });
        }
      }
      return entries;
    },
    read: async (name) => new Uint8Array(await (await fileOf(name)).arrayBuffer()),
    create: async (name) => {
      const handle = await directory.getFileHandle(name, { create: true });
      const writable = await handle.createWritable();
      return {
        write: (bytes) => writable.write(bytes),
        sync: async () => {},
        close: () => writable.close(),
      };
    },
    rename: async (from, to) => {
      const handle = await directory.getFileHandle(from);
      if (handle.move !== undefined) {
        await handle.move(to);
        return;
      }
      const target = await directory.getFileHandle(to, { create: true });
      const writable = await target.createWritable();
      await writable.write(await handle.getFile());
      await writable.close();
      await directory.removeEntry(from);
    },
    remove: (name) => directory.removeEntry(name),
    syncFolder: async () => {},
  };
}

/** Undefined for a folder, and for a file that is gone. */
async function sizeOf(directory: OpfsDirectory, name: string): Promise<number | undefined> {
  try {
    return (await (await directory.getFileHandle(name)).getFile()).size;
  } catch (error) {
    const kind = (error as { readonly name?: unknown } | null)?.name;
    if (kind === "TypeMismatchError" || kind === "NotFoundError") {
      return undefined;
    }
    throw error;
  }
}
