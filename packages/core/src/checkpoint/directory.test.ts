import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Random } from "../contracts.ts";
import { adam } from "../optimizers/adam.ts";
import { mulberry32 } from "../random.ts";
import { type Checkpoint, encodeCheckpoint } from "./checkpoint.ts";
import { CheckpointDirectory } from "./directory.ts";
import { CheckpointError } from "./error.ts";
import type { CheckpointFile, CheckpointFiles } from "./files.ts";
import { memoryFiles } from "./memoryFiles.ts";
import { nodeFiles } from "./nodeFiles.ts";

const optimizer = compileOptimizer(adam(), {
  params: { x: { shape: [3], data: Float32Array.of(1, 2, 3) } },
  learningRate: 0.1,
});
const state = optimizer.save();

/** A checkpoint that tells its step, and how often it was saved. */
function at(step: number, again = 0): Checkpoint {
  return { optimizer: state, extra: { step, again, ballast: new Uint8Array(100).fill(step) } };
}

const nameOf = (step: number): string => `checkpoint-${String(step).padStart(12, "0")}.safetensors`;

async function namesIn(files: CheckpointFiles): Promise<string[]> {
  return (await files.list()).map(({ name }) => name).toSorted();
}

let folder: string;

beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "adastra-checkpoint-"));
});

afterEach(async () => {
  await fs.rm(folder, { recursive: true });
});

describe.each([
  ["memory", () => memoryFiles()],
  ["a folder of Node's", () => nodeFiles(fs, join(folder, "not", "there yet"))],
] as const)("a CheckpointDirectory in %s", (_, open) => {
  it("saves, lists and loads by step, and keeps the last", async () => {
    const files = open();
    const directory = new CheckpointDirectory(files, { keep: 2 });
    expect(await directory.latest()).toBeUndefined();
    expect(await directory.list()).toEqual([]);
    for (const step of [0, 5, 100, 99_999_999_999_999]) {
      await directory.save(step, at(step));
      expect(await directory.latest()).toBe(step);
      expect(await directory.load(step)).toStrictEqual(at(step));
    }
    expect(await directory.list()).toEqual([100, 99_999_999_999_999]);
    expect(await namesIn(files)).toEqual([
      "checkpoint-000000000100.safetensors",
      "checkpoint-99999999999999.safetensors",
    ]);
    expect(await files.read(nameOf(100))).toEqual(encodeCheckpoint(at(100)));
  });

  it("keeps three unless told otherwise, and all when asked", async () => {
    for (const [options, kept] of [
      [{}, [2, 3, 4]],
      [{ keep: 1 }, [4]],
      [{ keep: Number.POSITIVE_INFINITY }, [1, 2, 3, 4]],
    ] as const) {
      const files = memoryFiles();
      const directory = new CheckpointDirectory(files, options);
      for (const step of [1, 2, 3, 4]) {
        await directory.save(step, at(step));
      }
      expect(await directory.list()).toEqual(kept);
    }
  });

  it("replaces the checkpoint of the same step and refuses an earlier one", async () => {
    const directory = new CheckpointDirectory(open(), { keep: 2 });
    await directory.save(1, at(1));
    await directory.save(2, at(2));
    await directory.save(2, at(2, 1));
    expect(await directory.list()).toEqual([1, 2]);
    expect(await directory.load(2)).toStrictEqual(at(2, 1));
    await expect(directory.save(1, at(1, 1))).rejects.toThrow(
      "save: `step` must be at least the latest saved, 2, got 1; remove the later ones, or use another folder",
    );
    expect(await directory.load(1)).toStrictEqual(at(1));
    await directory.remove(2);
    await directory.save(1, at(1, 1));
    expect(await directory.load(1)).toStrictEqual(at(1, 1));
  });

  it("takes calls one after the other, in order, a failed one between", async () => {
    const directory = new CheckpointDirectory(open(), { keep: 2 });
    const results = await Promise.allSettled([
      directory.save(1, at(1)),
      directory.save(2, at(2)),
      directory.save(1.5, at(1)),
      directory.save(3, at(3)),
      directory.remove(3),
      directory.save(4, at(4)),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await directory.list()).toEqual([2, 4]);
  });

  it("writes tensors of any size, in few pieces", async () => {
    const directory = new CheckpointDirectory(open());
    const extra = Object.fromEntries(
      [3_000_000, 500_000, 500_000, 500_000, 1, 0].map((length, i) => [
        `array${i}`,
        new Uint8Array(length).map((__, j) => i + j),
      ]),
    );
    const checkpoint = { optimizer: state, extra };
    await directory.save(1, checkpoint);
    const loaded = await directory.load(1);
    expect(Buffer.compare(encodeCheckpoint(loaded), encodeCheckpoint(checkpoint))).toBe(0);
  });

  it("passes over files that are not its own, and removes what a killed process left", async () => {
    const files = open();
    const put = async (name: string, bytes: Uint8Array): Promise<void> => {
      const file = await files.create(name);
      await file.write(bytes);
      await file.close();
    };
    const strangers = [
      "checkpoint-5.safetensors",
      "checkpoint-000000000007.safetensors.bak",
      "notes.txt",
      "notes.tmp",
    ];
    for (const name of strangers) {
      await put(name, Uint8Array.of(1));
    }
    await put(`${nameOf(8)}.tmp`, encodeCheckpoint(at(8)).subarray(0, 50));
    // A file of no bytes is none yet: an OPFS without `move` makes the name before the bytes.
    await put(nameOf(9), new Uint8Array(0));
    const directory = new CheckpointDirectory(files);
    expect(await directory.list()).toEqual([]);
    await directory.save(3, at(3));
    expect(await directory.list()).toEqual([3]);
    expect(await namesIn(files)).toEqual([...strangers, nameOf(3), nameOf(9)].toSorted());
  });
});

describe("a CheckpointDirectory", () => {
  it("refuses what is out of range, or not there", async () => {
    for (const keep of [0, 1.5, Number.NaN, -1]) {
      expect(() => new CheckpointDirectory(memoryFiles(), { keep })).toThrow(
        `CheckpointDirectory: \`keep\` must be an integer of at least 1, or Infinity, got ${keep}`,
      );
    }
    const files = memoryFiles();
    const directory = new CheckpointDirectory(files);
    await expect(directory.load(3)).rejects.toThrow(
      expect.objectContaining({
        code: "NOT_FOUND",
        message: "load: `step` must be one that was saved, got 3; none is saved",
      }),
    );
    await directory.save(1, at(1));
    await directory.save(2, at(2));
    await expect(directory.remove(3)).rejects.toThrow(
      "remove: `step` must be one that was saved, got 3; saved are 1, 2",
    );
    await expect(directory.save(-1, at(1))).rejects.toThrow(
      "save: `step` must be a natural number, got -1",
    );
    await expect(directory.save(3, {} as Checkpoint)).rejects.toThrow(TypeError);
    await expect(memoryFiles().read("a")).rejects.toThrow(
      'read: there must be such a file, got "a"',
    );
    expect(await directory.list()).toEqual([1, 2]);
  });

  it("says what is wrong with a file that was damaged after it was saved", async () => {
    const directory = new CheckpointDirectory(nodeFiles(fs, folder));
    await directory.save(1, at(1));
    await fs.truncate(join(folder, nameOf(1)), 1000);
    await expect(directory.load(1)).rejects.toThrow(CheckpointError);
  });

  it("works where a folder cannot be opened or synced, and fails where a file cannot", async () => {
    const failing = (code: string) => () =>
      Promise.reject(Object.assign(new Error(code), { code }));
    const noFolders = nodeFiles(
      {
        ...fs,
        open: async (path, flags) => (path === folder ? failing("EISDIR")() : fs.open(path, flags)),
      },
      folder,
    );
    await new CheckpointDirectory(noFolders).save(1, at(1));
    const noSync = nodeFiles(
      {
        ...fs,
        open: async (path, flags) => {
          const handle = await fs.open(path, flags);
          handle.sync = failing(path === folder ? "EPERM" : "EIO");
          return handle;
        },
      },
      folder,
    );
    await expect(new CheckpointDirectory(noSync).save(2, at(2))).rejects.toThrow("EIO");
    expect(await fs.readdir(folder)).toEqual([nameOf(1)]);
  });

  it("syncs the folders above one that it makes, and its own after a rename", async () => {
    const synced: string[] = [];
    const watching = nodeFiles(
      {
        ...fs,
        open: async (path, flags) => {
          const handle = await fs.open(path, flags);
          const sync = handle.sync.bind(handle);
          handle.sync = async () => {
            await sync();
            synced.push(path);
          };
          return handle;
        },
      },
      `${folder}/a/b`,
    );
    const directory = new CheckpointDirectory(watching);
    await directory.save(1, at(1));
    const file = `${folder}/a/b/${nameOf(1)}.tmp`;
    expect(synced.slice(0, 3)).toEqual(
      ["/..", "/../..", "/../../.."].map((up) => `${folder}/a/b${up}`),
    );
    expect(synced.slice(-2)).toEqual([file, `${folder}/a/b`]);
    synced.length = 0;
    await directory.save(1, at(1));
    expect(synced).toEqual([file, `${folder}/a/b`]);
  });

  it("reads and writes on where the system does part of the work", async () => {
    const partial = nodeFiles(
      {
        ...fs,
        open: async (path, flags) => {
          const handle = await fs.open(path, flags);
          return {
            read: (buffer, offset, length, position) =>
              handle.read(buffer, offset, Math.min(7, length), position),
            write: (buffer, offset, length) => handle.write(buffer, offset, Math.min(7, length)),
            stat: () => handle.stat(),
            sync: () => handle.sync(),
            close: () => handle.close(),
          };
        },
      },
      folder,
    );
    const directory = new CheckpointDirectory(partial);
    await directory.save(1, at(1));
    expect(await directory.load(1)).toStrictEqual(at(1));
    expect(await nodeFiles(fs, folder).read(nameOf(1))).toEqual(encodeCheckpoint(at(1)));
  });
});

/**
 * A disk behind a cache. A killed process leaves the cache; a loss of power leaves what was synced and any part of
 * what was not: of a folder any of its changes since the last sync, of a file any piece of what was written since.
 */
class Disk {
  private readonly cached: Map<string, Inode>;
  private durable: ReadonlyMap<string, Inode>;
  private pending: ((names: Map<string, Inode>) => void)[] = [];
  /** Operations done so far. */
  operations = 0;
  private dead = false;
  private readonly fatal: number;
  private readonly reach: "before" | "torn" | "after" | "error";

  /** @param fatal - the operation that does not come back; `reach`: how far it gets. */
  constructor(
    fatal = -1,
    reach: "before" | "torn" | "after" | "error" = "before",
    names: ReadonlyMap<string, Inode> = new Map(),
  ) {
    this.fatal = fatal;
    this.reach = reach;
    this.cached = new Map(names);
    this.durable = new Map(names);
  }

  files(): CheckpointFiles {
    const change = (apply: (names: Map<string, Inode>) => void) =>
      this.operate(() => {
        apply(this.cached);
        this.pending.push(apply);
      });
    return {
      list: () =>
        this.operate(() =>
          Array.from(this.cached, ([name, { bytes }]) => ({ name, size: bytes.length })),
        ),
      read: (name) => this.operate(() => (this.cached.get(name) as Inode).bytes),
      create: async (name) => {
        const inode: Inode = { bytes: new Uint8Array(0), synced: 0 };
        await change((names) => names.set(name, inode));
        return this.open(inode);
      },
      rename: (from, to) => {
        const inode = this.cached.get(from) as Inode;
        return change((names) => {
          names.delete(from);
          names.set(to, inode);
        });
      },
      remove: (name) => change((names) => names.delete(name)),
      syncFolder: () =>
        this.operate(() => {
          this.durable = new Map(this.cached);
          this.pending = [];
        }),
    };
  }

  afterKill(): CheckpointFiles {
    return filesOf(this.cached);
  }

  afterPowerLoss(random: Random): CheckpointFiles {
    const names = new Map(this.durable);
    for (const apply of this.pending) {
      if (random.next() < 0.5) {
        apply(names);
      }
    }
    const surviving = Array.from(names, ([name, { bytes, synced }]) => {
      const reached = synced + random.integer(bytes.length - synced + 1);
      const rest = new Uint8Array(random.next() < 0.5 ? bytes.length : reached);
      rest.set(bytes.subarray(0, reached));
      return [name, { bytes: rest, synced: rest.length }] as const;
    });
    return filesOf(new Map(surviving));
  }

  private open(inode: Inode): CheckpointFile {
    return {
      write: (bytes) => {
        const before = inode.bytes;
        const append = (length: number): void => {
          inode.bytes = Uint8Array.from([...before, ...bytes.subarray(0, length)]);
        };
        return this.operate(
          () => append(bytes.length),
          () => append(bytes.length >> 1),
        );
      },
      sync: () =>
        this.operate(() => {
          inode.synced = inode.bytes.length;
        }),
      close: () => this.operate(() => {}),
    };
  }

  private async operate<T>(work: () => T, tear: () => void = () => {}): Promise<T> {
    if (this.dead) {
      throw new Error("killed");
    }
    if (this.operations++ !== this.fatal) {
      return work();
    }
    if (this.reach === "error") {
      throw new Error("no space left");
    }
    this.dead = true;
    if (this.reach === "after") {
      work();
    } else if (this.reach === "torn") {
      tear();
    }
    throw new Error("killed");
  }
}

interface Inode {
  bytes: Uint8Array;
  /** Bytes that a loss of power does not take. */
  synced: number;
}

/** A disk that came up again: what is there is there. */
function filesOf(names: ReadonlyMap<string, Inode>): CheckpointFiles {
  const synced = Array.from(
    names,
    ([name, { bytes }]) => [name, { bytes, synced: bytes.length }] as const,
  );
  return new Disk(-1, "before", new Map(synced)).files();
}

interface Extra {
  readonly again: number;
}

describe("a save that dies", () => {
  /** Saves steps 1 to 5, the fourth twice; says which came back. */
  async function run(disk: Disk, keep: number): Promise<number[]> {
    const directory = new CheckpointDirectory(disk.files(), { keep });
    const saved: number[] = [];
    for (const [i, step] of [1, 2, 3, 4, 4, 5].entries()) {
      try {
        await directory.save(step, at(step, i));
      } catch {
        return saved;
      }
      saved.push(step);
    }
    return saved;
  }

  async function expectIntact(files: CheckpointFiles, saved: readonly number[], keep: number) {
    const directory = new CheckpointDirectory(files, { keep });
    const latest = await directory.latest();
    if (latest === undefined) {
      expect(saved).toEqual([]);
    } else {
      // The one saved last, or, if all of it made it to the disk, the one that was being saved.
      const { extra } = await directory.load(latest);
      expect([saved.length - 1, saved.length]).toContain((extra as unknown as Extra).again);
    }
    for (const step of await directory.list()) {
      const checkpoint = await directory.load(step);
      expect(checkpoint).toStrictEqual(at(step, (checkpoint.extra as unknown as Extra).again));
    }
    await directory.save(9, at(9));
    expect(await directory.latest()).toBe(9);
    expect((await namesIn(files)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }

  it.each([1, 2])(
    "leaves the last complete checkpoint, wherever it dies, keeping %i",
    async (keep) => {
      const whole = new Disk();
      expect(await run(whole, keep)).toEqual([1, 2, 3, 4, 4, 5]);
      const random = mulberry32(keep);
      for (let fatal = 0; fatal < whole.operations; fatal++) {
        for (const reach of ["before", "torn", "after"] as const) {
          const disk = new Disk(fatal, reach);
          const saved = await run(disk, keep);
          for (let i = 0; i < 8; i++) {
            await expectIntact(disk.afterPowerLoss(random), saved, keep);
          }
          await expectIntact(disk.afterKill(), saved, keep);
        }
      }
      // Two lists, create, write, sync, close, rename, sync of the folder.
      expect(whole.operations).toBeGreaterThan(6 * 8);
    },
  );

  it("notices a directory that would sync too late", async () => {
    // The same test on files whose sync does nothing must find a checkpoint that is not complete.
    let broken = 0;
    const random = mulberry32(3);
    for (let fatal = 0; fatal < 60; fatal++) {
      const disk = new Disk(fatal, "after");
      const files = disk.files();
      const careless: CheckpointFiles = {
        ...files,
        create: async (name) => ({ ...(await files.create(name)), sync: async () => {} }),
      };
      const directory = new CheckpointDirectory(careless);
      await (async () => {
        for (const step of [1, 2, 3]) {
          await directory.save(step, at(step));
        }
      })().catch(() => {});
      const survivor = new CheckpointDirectory(disk.afterPowerLoss(random));
      for (const step of await survivor.list()) {
        await survivor.load(step).catch(() => broken++);
      }
    }
    expect(broken).toBeGreaterThan(0);
  });

  it("fails as its files do, and leaves nothing behind, when one operation fails", async () => {
    const whole = new Disk();
    await new CheckpointDirectory(whole.files(), { keep: 1 }).save(1, at(1));
    const first = whole.operations;
    await new CheckpointDirectory(whole.files(), { keep: 1 }).save(2, at(2));
    for (let fatal = first; fatal < whole.operations; fatal++) {
      const disk = new Disk(fatal, "error");
      const files = disk.files();
      const directory = new CheckpointDirectory(files, { keep: 1 });
      await directory.save(1, at(1));
      await expect(directory.save(2, at(2))).rejects.toThrow("no space left");
      expect((await namesIn(files)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
      const [last] = (await directory.list()).slice(-1) as [number];
      expect(await directory.load(last)).toStrictEqual(at(last));
      await directory.save(2, at(2));
      expect(await directory.list()).toEqual([2]);
    }
  });
});
