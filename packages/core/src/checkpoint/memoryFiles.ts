/** Files in memory: for tests, and for runs that end with their process. */

import { CheckpointError, sentence } from "./error.ts";
import type { CheckpointFiles } from "./files.ts";
import { join } from "./safetensors.ts";

/** Keeps nothing past the process; a file exists from `create` on and grows as it is written. */
export function memoryFiles(): CheckpointFiles {
  const files = new Map<string, Uint8Array[]>();
  const find = (where: string, name: string): Uint8Array[] => {
    const parts = files.get(name);
    if (parts === undefined) {
      throw new CheckpointError("NOT_FOUND", sentence(where, "there must be such a file", name));
    }
    return parts;
  };
  return {
    list: async () =>
      Array.from(files, ([name, parts]) => ({
        name,
        size: parts.reduce((sum, part) => sum + part.length, 0),
      })),
    read: async (name) => join(find("read", name)),
    create: async (name) => {
      const parts: Uint8Array[] = [];
      files.set(name, parts);
      return {
        write: async (bytes) => {
          parts.push(new Uint8Array(bytes));
        },
        sync: async () => {},
        close: async () => {},
      };
    },
    rename: async (from, to) => {
      files.set(to, find("rename", from));
      files.delete(from);
    },
    remove: async (name) => {
      find("remove", name);
      files.delete(name);
    },
    syncFolder: async () => {},
  };
}
