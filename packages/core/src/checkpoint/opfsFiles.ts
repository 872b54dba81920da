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
  slice(start: number, end: number): OpfsBlob;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface OpfsWritable {
  write(data: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
}

/** Bytes that a copy holds in memory at a time. */
const CHUNK = 2 ** 24;

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
    read: async (name) => bytesOf(await fileOf(name)),
    create: async (name) => {
      const handle = await directory.getFileHandle(name, { create: true });
      const writable = await handle.createWritable();
      return {
        write: (bytes) => writable.write(unshared(bytes)),
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
      const blob = await handle.getFile();
      for (let start = 0; start < blob.size; start += CHUNK) {
        await writable.write(await bytesOf(blob.slice(start, start + CHUNK)));
      }
      await writable.close();
      await directory.removeEntry(from);
    },
    remove: (name) => directory.removeEntry(name),
    syncFolder: async () => {},
  };
}

async function bytesOf(blob: OpfsBlob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
}

/** The browser writes nothing from shared memory. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = bytes;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, length)
    : new Uint8Array(bytes);
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
