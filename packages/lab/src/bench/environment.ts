/** What a result must carry to be read later. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, platform, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Stamp {
  readonly cpu: string;
  readonly cores: number;
  readonly os: string;
  readonly node: string;
  /** Flags of Node, and of V8 through NODE_OPTIONS. */
  readonly flags: string;
  /** Of this code, where it stands in a repository. */
  readonly revision: string;
  readonly clean: boolean | null;
  /** Over one, five and fifteen minutes, when the run began. */
  readonly load: readonly number[];
  readonly date: string;
  readonly packages: Readonly<Record<string, string>>;
}

/** The line above a table: where, of what and when. */
export function describeStamp(stamp: Stamp): string {
  const { cpu, cores, node, revision, clean, load, date } = stamp;
  const changes = clean === true ? "" : " with changes";
  return `${cpu}, ${cores} cores, Node ${node}, revision ${revision}${changes}, load ${load.join(", ")}, ${date}`;
}

/** @param packages - names whose versions are noted where they are installed. */
export function environment(date: Date, packages: readonly string[] = []): Stamp {
  const status = git("status", "--porcelain");
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    os: `${platform()} ${release()}`,
    node: process.version,
    flags: [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ").trim(),
    revision: git("rev-parse", "--short", "HEAD") ?? "unknown",
    clean: status === undefined ? null : status === "",
    load: loadavg().map((value) => Number(value.toFixed(2))),
    date: date.toISOString().slice(0, 10),
    packages: Object.fromEntries(
      packages.flatMap((name) => {
        const version = versionOf(name);
        return version === undefined ? [] : [[name, version]];
      }),
    ),
  };
}

/** The version of an installed package, found as an import from here would find it. */
function versionOf(name: string): string | undefined {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve(name));
    while (!folder.endsWith(join("node_modules", ...name.split("/")))) {
      const above = dirname(folder);
      if (above === folder) {
        return undefined;
      }
      folder = above;
    }
    const manifest = readFileSync(join(folder, "package.json"), "utf8");
    return (JSON.parse(manifest) as { version: string }).version;
  } catch {
    return undefined;
  }
}

function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, {
      cwd: dirname(fileURLToPath(import.meta.url)),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}
