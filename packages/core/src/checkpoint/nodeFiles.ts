/** Files of Node's file system. Core imports nothing from Node: the module comes in as an argument. */

import type { CheckpointFileEntry, CheckpointFiles } from "./files.ts";

/** The part of `node:fs/promises` that is used. */
export interface NodeFileSystem {
  open(path: string, flags: string): Promise<NodeFileHandle>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<{ readonly size: number }>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string, options: { readonly recursive: true }): Promise<unknown>;
}

export interface NodeFileHandle {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): Promise<{ readonly bytesWritten: number }>;
  stat(): Promise<{ readonly size: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** One call reads or writes at most 2 GiB. */
const CHUNK = 2 ** 30;

/**
 * A folder on disk, made when the first file is created.
 *
 * A rename replaces a file all at once (POSIX rename; MoveFileEx on Windows). Where the system cannot sync a folder,
 * as Windows, the rename is as durable as its file system makes it.
 *
 * @example new CheckpointDirectory(nodeFiles(await import("node:fs/promises"), "runs/7"))
 */
export function nodeFiles(fs: NodeFileSystem, folder: string): CheckpointFiles {
  const at = (name: string): string => `${folder}/${name}`;
  const syncFolder = async (path: string): Promise<void> => {
    const refusals = ["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"];
    const handle = await unless(refusals, fs.open(path, "r"));
    try {
      await unless(refusals, handle?.sync() ?? Promise.resolve());
    } finally {
      await handle?.close();
    }
  };
  return {
    list: async () => {
      const names = (await unless(["ENOENT"], fs.readdir(folder))) ?? [];
      const entries = await Promise.all(
        names.map(async (name): Promise<CheckpointFileEntry | undefined> => {
          // Another process may have removed it since.
          const found = await unless(["ENOENT"], fs.stat(at(name)));
          return found && { name, size: found.size };
        }),
      );
      return entries.filter((entry) => entry !== undefined);
    },
    read: async (name) => {
      const handle = await fs.open(at(name), "r");
      try {
        const { size } = await handle.stat();
        const bytes = new Uint8Array(size);
        let offset = 0;
        let bytesRead = -1;
        while (offset < size && bytesRead !== 0) {
          const length = Math.min(CHUNK, size - offset);
          ({ bytesRead } = await handle.read(bytes, offset, length, offset));
          offset += bytesRead;
        }
        return bytes.subarray(0, offset);
      } finally {
        await handle.close();
      }
    },
    create: async (name) => {
      if ((await fs.mkdir(folder, { recursive: true })) !== undefined) {
        // A new folder is an entry of its parent: every folder above is synced, whichever of them are new.
        let above = folder;
        for (let level = folder.split("/").length; level > 0; level--) {
          above += "/..";
          await syncFolder(above);
        }
      }
      const handle = await fs.open(at(name), "w");
      return {
        write: async (bytes) => {
          let offset = 0;
          while (offset < bytes.length) {
            const length = Math.min(CHUNK, bytes.length - offset);
            offset += (await handle.write(bytes, offset, length)).bytesWritten;
          }
        },
        sync: () => handle.sync(),
        close: () => handle.close(),
      };
    },
    rename: (from, to) => fs.rename(at(from), at(to)),
    remove: (name) => fs.unlink(at(name)),
    syncFolder: () => syncFolder(folder),
  };
}

/** What a promise resolves to; undefined when it fails with one of these codes. */
async function unless<T>(codes: readonly string[], promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (codes.includes(String((error as { readonly code?: unknown } | null)?.code))) {
      return undefined;
    }
    throw error;
  }
}
