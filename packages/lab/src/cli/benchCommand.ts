/** `adastra bench`: measurements against named peers, as a table or as JSON. */

import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "@adastra/core";
import { environment, type Stamp } from "../bench/environment.ts";
import { benchGradient, gradientPackages, gradientPeers } from "../bench/gradient/benchGradient.ts";
import { renderGradientTable } from "../bench/gradient/gradientTable.ts";
import { modelNames } from "../bench/gradient/models.ts";
import { benchStep } from "../bench/step/benchStep.ts";
import { entries } from "../bench/step/ours.ts";
import { openPeers, peerNames, peerPackages } from "../bench/step/peers/index.ts";
import { defaultSizes, parseSize } from "../bench/step/sizes.ts";
import { renderStepTable } from "../bench/step/stepTable.ts";
import { benchSwarm, swarmPackages } from "../bench/swarm/benchSwarm.ts";
import { simulated } from "../bench/swarm/simulator.ts";
import { renderSwarmTable } from "../bench/swarm/swarmTable.ts";
import { createBenchProgress } from "./benchProgress.ts";
import type { CommandOptions } from "./options.ts";
import { type WriteFile, writeResult } from "./resultFiles.ts";
import { exitCodes, type Terminal, UsageError } from "./terminal.ts";

export interface BenchWorld {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Dates the result. */
  readonly now: () => Date;
  /** Registers what Ctrl-C does from now on; returns what takes it back. */
  readonly onInterrupt: (handler: () => void) => () => void;
  /** The Python that PyTorch runs in. */
  readonly python: string | undefined;
  readonly writeFile?: WriteFile;
}

const ROUNDS = 31;
const THREADS = [1, 2];
/** Parameters of an exchange between peers. */
const EXCHANGED = [100_000, 1_000_000, 5_000_000];
/** Simulations of each graph: each takes rounds of its own. */
const SIMULATIONS = 5;

/** A result as JSON has it, and as the table shows it. */
interface Measured {
  readonly result: { readonly interrupted: boolean };
  readonly table: string;
}

/** What a measurement is told while it runs. */
interface Running {
  readonly clock: Clock;
  readonly environment: Stamp;
  readonly signal: AbortSignal;
  readonly onProgress: (share: number, doing: string) => void;
}

interface Question {
  /** Options that only another question has. */
  readonly foreign: readonly (keyof CommandOptions["bench"])[];
  readonly peers: readonly string[];
  readonly packages: readonly string[];
  readonly measure: (
    options: CommandOptions["bench"],
    running: Running,
    python: string | undefined,
  ) => Promise<Measured>;
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  step: {
    foreign: ["models", "threads"],
    peers: peerNames,
    packages: peerPackages,
    measure: async (options, running, python) => {
      const wanted = peerNames.filter((name) => options.peers?.includes(name) ?? true);
      const peers = await openPeers(wanted, python);
      try {
        const result = await benchStep(
          {
            sizes: options.sizes ?? defaultSizes.map((name) => parseSize("bench: --sizes", name)),
            entries: entries.filter(({ name }) => options.optimizers?.includes(name) ?? true),
            peers,
            rounds: options.rounds ?? ROUNDS,
          },
          running,
        );
        return { result, table: renderStepTable(result) };
      } finally {
        for (const peer of peers.values()) {
          if ("close" in peer) {
            peer.close?.();
          }
        }
      }
    },
  },
  gradient: {
    foreign: ["sizes", "optimizers"],
    peers: gradientPeers,
    packages: gradientPackages,
    measure: async (options, running, python) => {
      const result = await benchGradient(
        {
          models: modelNames.filter((name) => options.models?.includes(name) ?? true),
          threads: options.threads ?? THREADS,
          peers: gradientPeers.filter((name) => options.peers?.includes(name) ?? true),
          rounds: options.rounds ?? ROUNDS,
          python,
        },
        running,
      );
      return { result, table: renderGradientTable(result) };
    },
  },
  swarm: {
    foreign: ["models", "threads", "optimizers", "peers"],
    peers: [],
    packages: swarmPackages,
    measure: async ({ sizes, rounds = ROUNDS }, running) => {
      const result = await benchSwarm(
        {
          sizes: sizes?.map(({ parameters }) => parameters) ?? EXCHANGED,
          simulated,
          rounds,
          simulations: Math.min(rounds, SIMULATIONS),
        },
        running,
      );
      return { result, table: renderSwarmTable(result) };
    },
  },
};

/**
 * Answers a question with progress on standard error and the result on standard output.
 *
 * The first Ctrl-C ends after the step under way: what is finished is printed and written, and the exit code is 130.
 *
 * @throws UsageError for a question that there is not, an option it does not have or a file whose folder there is
 * not, Error when outputs do not agree.
 */
export async function benchCommand(
  question: string,
  options: CommandOptions["bench"],
  world: BenchWorld,
): Promise<number> {
  const asked = questionOf(question, options);
  if (options.out !== undefined) {
    requireFile(options.out);
  }
  const { terminal, clock } = world;
  const controller = new AbortController();
  const progress = createBenchProgress(terminal, clock);
  const release = world.onInterrupt(() => {
    terminal.err("\nstopping after this step; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  const running: Running = {
    clock,
    environment: environment(world.now(), asked.packages),
    signal: controller.signal,
    onProgress: progress.update,
  };
  try {
    const { result, table } = await asked.measure(options, running, world.python);
    progress.stop();
    const text = `${JSON.stringify(result, undefined, 2)}\n`;
    terminal.out(options.json ? text : table);
    const written = options.out === undefined || write(options.out, text, world);
    return result.interrupted ? exitCodes.interrupted : written ? exitCodes.ok : exitCodes.failed;
  } finally {
    progress.stop();
    release();
  }
}

function questionOf(question: string, options: CommandOptions["bench"]): Question {
  const asked = Object.hasOwn(QUESTIONS, question) ? QUESTIONS[question] : undefined;
  if (asked === undefined) {
    throw new UsageError(
      `bench: question must be one of ${Object.keys(QUESTIONS).join(", ")}, got "${question}"`,
    );
  }
  const foreign = asked.foreign.find((key) => options[key] !== undefined);
  if (foreign !== undefined) {
    throw new UsageError(`bench: ${question} must do without --${foreign}, got it; leave it out`);
  }
  const stranger = options.peers?.find((name) => !asked.peers.includes(name));
  if (stranger !== undefined) {
    throw new UsageError(
      `bench: --peers of ${question} must be among ${asked.peers.join(", ")}, got "${stranger}"`,
    );
  }
  return asked;
}

function write(path: string, text: string, { terminal, writeFile }: BenchWorld): boolean {
  const complaint = writeResult(path, text, writeFile, "bench");
  terminal.err(`${complaint ?? `wrote ${path}`}\n`);
  return complaint === undefined;
}

/** Before the minutes whose result it will take. */
function requireFile(out: string): void {
  const folder = statSync(dirname(out), { throwIfNoEntry: false });
  if (folder?.isDirectory() !== true || statSync(out, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(
      `bench: --out must be a file in a folder that exists, got "${out}"; make the folder first`,
    );
  }
}
