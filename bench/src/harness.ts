/**
 * Interleaved timing: every contestant once a round, the order reversed each round, minimum and median.
 *
 * On a shared machine absolute times drift by tens of percent; within a round all contestants meet the same
 * machine, so the ratios hold.
 */

import { execFileSync, spawn } from "node:child_process";
import { cpus, loadavg, platform, release } from "node:os";
import { createInterface } from "node:readline";

export interface Contestant {
  readonly name: string;
  /** Does the work once and says how many milliseconds it took. */
  run(): number | Promise<number>;
}

export interface Timing {
  readonly name: string;
  readonly minMs: number;
  readonly medianMs: number;
  /** 90th over 10th percentile: how restless the machine was. */
  readonly spread: number;
}

/** Times contestants over `rounds` rounds after `warmups` unrecorded ones. */
export async function interleave(
  contestants: readonly Contestant[],
  rounds: number,
  warmups = 3,
): Promise<Timing[]> {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (let round = -warmups; round < rounds; round++) {
    const order = round % 2 === 0 ? contestants : [...contestants].reverse();
    for (const contestant of order) {
      const ms = await contestant.run();
      if (round >= 0) {
        times.get(contestant.name)?.push(ms);
      }
    }
  }
  return [...times].map(([name, values]) => {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
    return { name, minMs: at(0), medianMs: at(0.5), spread: at(0.9) / at(0.1) };
  });
}

/** Runs `work` and says how long it took. */
export function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** A Python process that answers each line of input with one line; undefined without ADASTRA_PYTHON. */
export interface PythonPeer {
  readonly banner: string;
  ask(line: string): Promise<string>;
  close(): void;
}

/**
 * Starts the Python that `ADASTRA_PYTHON` names on `program`, which prints a banner and then answers lines.
 *
 * @returns undefined when the variable is not set: the peer is then left out, and the table says so.
 */
export async function startPython(program: string): Promise<PythonPeer | undefined> {
  const python = process.env.ADASTRA_PYTHON;
  if (python === undefined || python === "") {
    return undefined;
  }
  const child = spawn(python, ["-u", "-c", program], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) {
      throw new Error(
        "startPython: the Python peer must answer, got end of output; see its message",
      );
    }
    return value;
  };
  return {
    banner: await answer(),
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return answer();
    },
    close: () => {
      child.kill();
    },
  };
}

/** What a result must carry to be read later. */
export function environment(): Record<string, unknown> {
  const git = (...args: string[]): string => {
    try {
      return execFileSync("git", args, { encoding: "utf8" }).trim();
    } catch {
      return "unknown";
    }
  };
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    os: `${platform()} ${release()}`,
    node: process.version,
    revision: git("rev-parse", "--short", "HEAD"),
    clean: git("status", "--porcelain") === "",
    load: loadavg().map((value) => Number(value.toFixed(2))),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** A table of timings, each beside the ratio to the first; `bytes` adds bandwidth. */
export function printTable(
  title: string,
  timings: readonly (Timing & { readonly bytes?: number; readonly note?: string })[],
): void {
  const first = timings[0];
  console.log(title);
  for (const { name, minMs, medianMs, spread, bytes, note } of timings) {
    const ratio = first === undefined ? 1 : medianMs / first.medianMs;
    const bandwidth = bytes === undefined ? "" : `${(bytes / minMs / 1e6).toFixed(1)} GB/s`;
    console.log(
      [
        name.padEnd(34),
        `min ${minMs.toFixed(3)} ms`.padEnd(16),
        `median ${medianMs.toFixed(3)} ms`.padEnd(20),
        `x${ratio.toFixed(2)}`.padEnd(8),
        `spread ${spread.toFixed(2)}`.padEnd(13),
        bandwidth.padEnd(11),
        note ?? "",
      ].join(" "),
    );
  }
}

/** Largest difference of two arrays, relative to the largest magnitude of the second. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs((a[i] as number) - (b[i] as number)));
    scale = Math.max(scale, Math.abs(b[i] as number));
  }
  return difference / scale;
}
