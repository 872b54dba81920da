/** `adastra data`: which data sets lie where, and a download of one that is asked for. */

import type { Clock } from "@adastra/core";
import { type DataSetEntry, type DataState, dataSets, stateOf } from "../data/catalogue.ts";
import type { DataOptions } from "../data/dataset.ts";
import { downloadData } from "../data/download.ts";
import { lookUp } from "../lookUp.ts";
import { createBenchProgress } from "./benchProgress.ts";
import type { CommandOptions } from "./options.ts";
import { exitCodes, type Terminal, UsageError } from "./terminal.ts";

export interface DataWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Registers what Ctrl-C does from now on; returns what takes it back. */
  readonly onInterrupt: (handler: () => void) => () => void;
  /** Names the folders that are looked in. */
  readonly processEnvironment: NonNullable<DataOptions["environment"]>;
}

/**
 * Without `fetch`, the state of every data set; with it, a download and the state of that one.
 *
 * @returns 0; 1 when a data set is there but not as published; 130 when Ctrl-C stopped the download.
 * @throws UsageError for `from` without `fetch`; Error in one sentence when the download fails.
 */
export async function dataCommand(
  { fetch, from, json }: CommandOptions["data"],
  world: DataWorld,
): Promise<number> {
  if (fetch === undefined && from !== undefined) {
    throw new UsageError(`data: --from must stand beside --fetch, got "${from}" alone`);
  }
  let listed = dataSets;
  if (fetch !== undefined) {
    const entries = dataSets.map((entry) => ({ name: entry.set.name, entry }));
    const { entry } = lookUp("data", "--fetch", fetch, entries);
    if (!(await download(entry, from, world))) {
      return exitCodes.interrupted;
    }
    listed = [entry];
  }
  const states = listed.map((entry) => ({
    entry,
    state: stateOf(entry, { environment: world.processEnvironment }),
  }));
  world.terminal.out(
    json
      ? `${JSON.stringify({ dataSets: states.map(({ entry, state }) => ({ ...about(entry), ...state })) })}\n`
      : states.map(({ entry, state }) => describe(entry, state)).join(""),
  );
  return states.some(({ state }) => state.status === "damaged") ? exitCodes.failed : exitCodes.ok;
}

/** Whether it came to its end. */
async function download(
  { set }: DataSetEntry,
  from: string | undefined,
  { terminal, clock, onInterrupt, processEnvironment: environment }: DataWorld,
): Promise<boolean> {
  const controller = new AbortController();
  const progress = createBenchProgress(terminal, clock);
  const release = onInterrupt(() => controller.abort());
  try {
    const { folder, downloaded, kept } = await downloadData(set, {
      environment,
      ...(from !== undefined && { from }),
      signal: controller.signal,
      onProgress: progress.update,
    });
    progress.stop();
    terminal.err(
      downloaded.length === 0
        ? `all ${kept.length} files of ${set.name} were in ${folder} already\n`
        : `downloaded ${downloaded.join(", ")} into ${folder}\n`,
    );
    return true;
  } catch (error) {
    if (!controller.signal.aborted) {
      throw error;
    }
    progress.stop();
    terminal.err("stopped; files that had arrived whole are kept, nothing else\n");
    return false;
  } finally {
    progress.stop();
    release();
  }
}

function about({ set: { name, version }, title, licence }: DataSetEntry) {
  return { name, version, title, licence };
}

function describe({ set: { name }, title }: DataSetEntry, state: DataState): string {
  const line = (mark: string, where: string) => `${mark}  ${name.padEnd(13)}  ${title}${where}\n`;
  switch (state.status) {
    case "found":
      return [
        line("found  ", `, in ${state.folder}`),
        ...state.files.map((file) => `         SHA-256 ${file.sha256}  ${file.name}\n`),
      ].join("");
    case "absent":
      return `${line("absent ", "")}         ${state.reason}\n`;
    case "damaged":
      return `${line("DAMAGED", "")}         ${state.reason}\n`;
    default:
      return state satisfies never;
  }
}
