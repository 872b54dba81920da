/** What a directory of checkpoints needs of a place to keep files in. */

/**
 * Files by name in one folder. The order of a save is create, write, sync, close, rename, syncFolder; after a crash
 * anywhere in between, a file must be found under the name it was renamed to only if all of it is there.
 */
export interface CheckpointFiles {
  /** The files there are; none where the folder does not exist. */
  list(): Promise<readonly CheckpointFileEntry[]>;
  /** All bytes of a file. */
  read(name: string): Promise<Uint8Array>;
  /** A new file, in the place of one of that name; makes the folder. */
  create(name: string): Promise<CheckpointFile>;
  /** Gives a closed file another name, in the place of one of that name, all at once. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Resolves when earlier renames and removals would survive a loss of power. */
  syncFolder(): Promise<void>;
}

export interface CheckpointFileEntry {
  readonly name: string;
  readonly size: number;
}

/** A file being written, from its start to its end. */
export interface CheckpointFile {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when what was written would survive a loss of power. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
