/** `adastra replay`: trace files in, differences out. */

import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ReplayOptions } from "./options.ts";
import type { CaseResult } from "./replay.ts";
import { replayCase } from "./replay.ts";
import { parseCases, parseProblems, type TraceCase, type TraceProblem } from "./schema.ts";

export interface ReplayCommand extends ReplayOptions {
  readonly files: readonly string[];
  /** Problems file; `problems.json` beside each trace file without. */
  readonly problems?: string;
  /** Replay this case alone. */
  readonly case?: string;
  /** Where the parameters after every step go, as JSON. */
  readonly out?: string;
}

export interface ReplaySummary {
  readonly passed: number;
  /** Cases off by more than their tolerance, and cases that cannot be run as written. */
  readonly failed: number;
  /** Cases without recorded parameters: run, but not compared. */
  readonly computed: number;
  readonly unsupported: number;
  readonly results: readonly CaseResult[];
}

/**
 * Replays every case of every file and prints a line a case. A case that cannot be run as written counts as
 * failed, with its reason; the others run.
 *
 * @param print - takes one line of text.
 * @throws TypeError or RangeError, before any case runs, for a file that cannot be read or is not of the schema,
 * for an `out` without a folder, and for a case id that no file holds; after them for an `out` that cannot be written.
 */
export async function replayFiles(
  command: ReplayCommand,
  print: (line: string) => void,
): Promise<ReplaySummary> {
  if (command.out !== undefined) {
    await requireFolder(command.out);
  }
  const recordings = await readRecordings(command);
  const results: CaseResult[] = [];
  for (const { file, cases, problems } of recordings) {
    for (const trace of cases) {
      const result = await replayCase(trace, problems, command);
      results.push(result);
      print(describe(result, file));
    }
  }
  const summary = summarise(results);
  print(closing(summary, results));
  if (command.out !== undefined) {
    await writeTrajectories(command.out, results);
  }
  return summary;
}

interface Recording {
  readonly file: string;
  readonly cases: readonly TraceCase[];
  readonly problems: ReadonlyMap<string, TraceProblem | TypeError>;
}

/** All files before any case runs: what is wrong with the last one is said before the work on the first. */
async function readRecordings(command: ReplayCommand): Promise<readonly Recording[]> {
  const recordings: Recording[] = [];
  for (const file of command.files) {
    const all = parseCases(await readText(file), file);
    const cases = all.filter(({ id }) => command.case === undefined || id === command.case);
    recordings.push({ file, cases, problems: await problemsFor(command, file, cases) });
  }
  if (command.case !== undefined && recordings.every(({ cases }) => cases.length === 0)) {
    throw new RangeError(
      `replay: \`--case\` must be the id of a case in the files, got "${command.case}"; leave it out to see the ids`,
    );
  }
  return recordings;
}

async function problemsFor(
  command: ReplayCommand,
  file: string,
  cases: readonly TraceCase[],
): Promise<ReadonlyMap<string, TraceProblem | TypeError>> {
  if (!cases.some(({ problem }) => problem !== undefined)) {
    return new Map();
  }
  const path = command.problems ?? join(dirname(file), "problems.json");
  return parseProblems(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new TypeError(
      `replay: ${path} must be a readable file, got ${codeOf(cause)}; check the path`,
      { cause },
    );
  }
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);

function describe(result: CaseResult, file: string): string {
  switch (result.status) {
    case "passed":
    case "failed": {
      const difference = result.difference.toExponential(1);
      const mark = result.status === "passed" ? "ok  " : "FAIL";
      const where = result.status === "passed" ? "" : ` at step ${result.step}`;
      return `${mark} ${result.id}  difference ${difference}, tolerance ${result.tolerance.toExponential(1)}${where}`;
    }
    case "computed":
      return `ran  ${result.id}  no numbers recorded, nothing compared`;
    case "refused":
      return `FAIL ${result.id}  cannot be run as ${file} has it: ${result.reason}`;
    case "unsupported":
      return `none ${result.id}  unsupported: ${result.reason}`;
    default:
      return result satisfies never;
  }
}

function summarise(results: readonly CaseResult[]): ReplaySummary {
  const count = (status: CaseResult["status"]): number =>
    results.filter((result) => result.status === status).length;
  return {
    passed: count("passed"),
    failed: count("failed") + count("refused"),
    computed: count("computed"),
    unsupported: count("unsupported"),
    results,
  };
}

function closing(summary: ReplaySummary, results: readonly CaseResult[]): string {
  const worst = results.reduce(
    (most, result) => ("difference" in result ? Math.max(most, result.difference) : most),
    0,
  );
  const reasons = new Set(
    results.flatMap((result) => (result.status === "unsupported" ? [result.reason] : [])),
  );
  return [
    `${summary.passed} passed, ${summary.failed} failed`,
    ...(summary.computed > 0 ? [`${summary.computed} not compared`] : []),
    `${summary.unsupported} unsupported${reasons.size > 0 ? ` (${[...reasons].join("; ")})` : ""}`,
    `largest difference ${worst.toExponential(1)}`,
  ].join(", ");
}

/** Before the work whose result it will take. */
async function requireFolder(out: string): Promise<void> {
  if (!(await isFolder(dirname(out)))) {
    throw new TypeError(
      `replay: \`--out\` must be a file in a folder that exists, got "${out}"; make the folder first`,
    );
  }
  if (await isFolder(out)) {
    throw new TypeError(
      `replay: \`--out\` must be a file, got the folder "${out}"; name a file in it`,
    );
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );

/** `{ cases: [{ id, params }] }`, of ARUBA `{ id, rounds, finetune }`, under a temporary name first: a half-written file never bears the name. */
async function writeTrajectories(out: string, results: readonly CaseResult[]): Promise<void> {
  const cases = results.flatMap((result) =>
    "output" in result ? [{ id: result.id, ...result.output }] : [],
  );
  const temporary = `${out}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, JSON.stringify({ cases }));
    await rename(temporary, out);
  } catch (cause) {
    // The failure to tell is that of the writing, whatever becomes of its rest.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new TypeError(
      `replay: \`--out\` must be a file that can be written, got ${codeOf(cause)} for "${out}"; pass another path`,
      { cause },
    );
  }
}
