#!/usr/bin/env node
/** The `adastra` command: the one place that knows process, clock and streams. */

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import process from "node:process";
import type { Comparison } from "../protocol.ts";
import { replayFiles } from "../replay/command.ts";
import { createPool } from "../runner/pool.ts";
import { benchCommand } from "./benchCommand.ts";
import { type CompareWorld, compareCommand } from "./compareCommand.ts";
import { dataCommand } from "./dataCommand.ts";
import { doctorCommand } from "./doctorCommand.ts";
import { metaCommand } from "./metaCommand.ts";
import { type Actions, runProgram } from "./program.ts";
import { startCommand } from "./startCommand.ts";
import { swarmCommand } from "./swarmCommand.ts";
import type { SwarmWorld } from "./swarmWorld.ts";
import { exitCodes, type Terminal, UsageError } from "./terminal.ts";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTty: process.stderr.isTTY === true && process.stdout.isTTY === true,
};

const environment: Omit<Comparison["environment"], "optimizerBackend" | "engineBackend"> = {
  adastra: version,
  node: process.versions.node,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
};

const world: CompareWorld & SwarmWorld = {
  terminal,
  // Milliseconds since the process started, so that "first point after" counts from the command.
  clock: { now: () => performance.now() },
  now: () => new Date(),
  environment,
  createPool: (problem, workers) =>
    createPool({ problem, ...(workers !== undefined && { workers }) }),
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  onInterrupt: (handler) => {
    let asked = false;
    const answer = (): void => {
      if (asked) {
        process.exit(exitCodes.interrupted);
      }
      asked = true;
      handler();
    };
    process.on("SIGINT", answer);
    return () => process.off("SIGINT", answer);
  },
};

const actions: Actions = {
  start: (_, options) => startCommand(options, world),
  compare: async ([problem = ""], options) =>
    (await compareCommand(problem, options, world)).exitCode,
  replay: async (files, { backend = "evaluate", dtype = "float64", ...options }) => {
    const command = { ...options, backend, dtype, files };
    const { failed } = await replayFiles(command, (line) => terminal.out(`${line}\n`));
    return failed > 0 ? exitCodes.failed : exitCodes.ok;
  },
  bench: ([question = ""], options) =>
    benchCommand(question, options, { ...world, python: process.env.ADASTRA_PYTHON }),
  swarm: ([action = ""], options) => swarmCommand(action, options, world),
  meta: (operands, options) => metaCommand(operands, options, world),
  data: (_, options) => dataCommand(options, { ...world, processEnvironment: process.env }),
  doctor: (_, options) => doctorCommand(options, terminal),
};

try {
  process.exitCode = await runProgram(process.argv.slice(2), actions, terminal, version);
} catch (error) {
  terminal.err(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
}
