/** Downloads of data sets: only when somebody asks, and whole or not there. */

import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import {
  type DataFile,
  type DataOptions,
  type DataSet,
  dataFolder,
  hashNames,
  readData,
} from "./dataset.ts";
import { tarFiles } from "./tar.ts";

export interface DownloadOptions extends Pick<DataOptions, "environment"> {
  /** URL of a folder that holds the same files; default: where the set is published. */
  readonly from?: string;
  /** Stops the download; what was under way is removed, files that were complete stay. */
  readonly signal?: AbortSignal;
  /** Takes the share of bytes that are there, from 0 to 1, and the file that arrives. */
  readonly onProgress?: (share: number, doing: string) => void;
}

export interface Download {
  readonly folder: string;
  /** Names of the files that came, and of those that were there already. */
  readonly downloaded: readonly string[];
  readonly kept: readonly string[];
}

/**
 * Downloads the files of a data set that are not there yet, or not as published, into the data folder.
 *
 * A file arrives under another name, `<name>.<process>.part`, and gets its own once length and hash are right and it is
 * on disk: stopped at any moment, no file is there in part, and the next download goes on with the files that are left.
 *
 * @throws Error in one sentence for a set without a public address, an address that does not answer, other bytes than
 * the published ones, a disk that is full; the signal's reason when it stopped.
 */
export async function downloadData(
  set: DataSet,
  { environment = process.env, from, signal, onProgress }: DownloadOptions = {},
): Promise<Download> {
  if (set.download === undefined) {
    throw new Error(
      `downloadData: data set must have a public address, got "${set.name}"; ${set.advice}`,
    );
  }
  const folder = join(dataFolder(environment), set.name, set.version);
  const kept = set.files.filter((file) => isThere(set, folder, file));
  const missing = set.files.filter((file) => !kept.includes(file));
  const total = missing.reduce((sum, { bytes }) => sum + bytes, 0);
  let arrived = 0;
  const base = from ?? set.download.from;
  await writing(folder, () => mkdir(folder, { recursive: true }));
  await removeOrphans(folder);
  const take = (file: DataFile, content: AsyncIterable<Uint8Array>, url: string) =>
    save(folder, file, content, url, (bytes) => {
      signal?.throwIfAborted();
      arrived += bytes;
      onProgress?.(arrived / total, file.name);
    });

  if (set.download.archive === undefined) {
    for (const file of missing) {
      const url = addressOf(base, `${file.name}.gz`);
      await take(file, content(url, signal), url);
    }
  } else if (missing.length > 0) {
    await takeFromArchive(addressOf(base, set.download.archive), missing, take, signal);
  }
  const names = (files: readonly DataFile[]) => files.map(({ name }) => name);
  return { folder, downloaded: names(missing), kept: names(kept) };
}

function isThere(set: DataSet, folder: string, { name }: DataFile): boolean {
  try {
    readData("downloadData", set, folder, name);
    return true;
  } catch {
    return false; // absent, or to be replaced
  }
}

/** Removes what a download left whose process was killed. */
async function removeOrphans(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /\.(\d+)\.part$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) {
      await rm(join(folder, name), { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // signal 0 asks only
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function addressOf(base: string, name: string): string {
  return `${base}${base.endsWith("/") ? "" : "/"}${name}`;
}

async function takeFromArchive(
  url: string,
  missing: readonly DataFile[],
  take: (file: DataFile, content: AsyncIterable<Uint8Array>, url: string) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const left = new Map(missing.map((file) => [file.name, file]));
  for await (const { path, content: bytes } of arriving(
    tarFiles(content(url, signal)),
    url,
    signal,
  )) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const file = left.get(name);
    if (file !== undefined) {
      await take(file, bytes, url);
      left.delete(name);
    }
    if (left.size === 0) {
      return; // the rest of the archive is not asked for
    }
  }
  throw new Error(
    `downloadData: "${url}" must hold ${[...left.keys()].join(", ")}, got an archive without; pass --from with another address`,
  );
}

/** What stands at an address, decompressed. */
async function* content(url: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const response = await answer(url, signal);
  const body = arriving(response.body ?? [], url, signal);
  const first = await body.next();
  if (first.done) {
    return;
  }
  const whole = (async function* () {
    yield first.value;
    yield* body;
  })();
  // A server may send a .gz file as such, or as a plain file in a compressed transfer, which fetch undoes.
  // No file here begins with gzip's first byte when it is decompressed.
  yield* first.value[0] === GZIP
    ? arriving(
        pipeline(Readable.from(whole), createGunzip(), () => undefined),
        url,
        signal,
      )
    : whole;
}

const GZIP = 0x1f;

async function answer(url: string, signal: AbortSignal | undefined): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new Error(
      `downloadData: "${url}" must answer, got ${reasonOf(cause)}; check the network, or pass --from with another address`,
      { cause },
    );
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(
      `downloadData: "${url}" must answer 200, got ${response.status} ${response.statusText}; pass --from with another address`,
    );
  }
  return response;
}

/** The same items; when they break off, an error that says where they came from. */
async function* arriving<T>(
  items: AsyncIterable<T> | Iterable<T>,
  url: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  try {
    yield* items;
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof Error && cause.message.startsWith("downloadData: ")) {
      throw cause;
    }
    throw new Error(
      `downloadData: "${url}" must arrive whole, got ${reasonOf(cause)}; run it again, or pass --from with another address`,
      { cause },
    );
  }
}

/** Writes under a temporary name, checks, renames; removes what it wrote when anything fails. */
async function save(
  folder: string,
  { name, bytes: expected, hash: [algorithm, hex] }: DataFile,
  content: AsyncIterable<Uint8Array>,
  url: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const path = join(folder, name);
  const temporary = `${path}.${process.pid}.part`;
  const other = (what: string) =>
    new Error(
      `downloadData: "${name}" from "${url}" must have ${what}; nothing of it was kept, pass --from with another address`,
    );
  const file = await writing(temporary, () => open(temporary, "w"));
  try {
    const hash = createHash(algorithm);
    let length = 0;
    for await (const chunk of content) {
      length += chunk.length;
      if (length > expected) {
        throw other(`${expected} bytes, got more`);
      }
      hash.update(chunk);
      await writing(temporary, () => file.writeFile(chunk));
      onBytes(chunk.length);
    }
    if (length !== expected) {
      throw other(`${expected} bytes, got ${length}`);
    }
    const got = hash.digest("hex");
    if (got !== hex) {
      throw other(`${hashNames[algorithm]} ${hex}, got ${got}`);
    }
    await writing(temporary, () => file.sync());
    await file.close();
    await writing(path, () => rename(temporary, path));
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw new Error(
      `downloadData: "${path}" must be writable, got ${reasonOf(cause)}; free some space, or set ADASTRA_DATA_DIR to another folder`,
      { cause },
    );
  }
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message : String(inner);
}
