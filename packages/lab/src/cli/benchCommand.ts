/** `adastra bench`: measurements against named peers, as a table or as JSON. */

import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "@adastra/core";
import { environment } from "../bench/environment.ts";
import { benchStep } from "../bench/step/benchStep.ts";
import { entries } from "../bench/step/ours.ts";
import { openPeers, peerNames, peerPackages } from "../bench/step/peers/index.ts";
import { defaultSizes, parseSize } from "../bench/step/sizes.ts";
import { renderStepTable } from "../bench/step/stepTable.ts";
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

/**
 * Answers a question with progress on standard error and the result on standard output.
 *
 * The first Ctrl-C ends after the step under way: what is finished is printed and written, and the exit code is 130.
 *
 * @throws UsageError for a question that there is not or a file whose folder there is not, Error when outputs do
 * not agree.
 */
export async function benchCommand(
  question: string,
  options: CommandOptions["bench"],
  world: BenchWorld,
): Promise<number> {
  if (question !== "step") {
    throw new UsageError(`bench: question must be step, got "${question}"`);
  }
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
  const stamp = environment(world.now(), peerPackages);
  const peers = await openPeers(options.peers ?? peerNames, world.python);
  try {
    const result = await benchStep(
      {
        sizes: options.sizes ?? defaultSizes.map((name) => parseSize("bench: --sizes", name)),
        entries: entries.filter(({ name }) => options.optimizers?.includes(name) ?? true),
        peers,
        rounds: options.rounds ?? ROUNDS,
      },
      { clock, environment: stamp, signal: controller.signal, onProgress: progress.update },
    );
    progress.stop();
    const text = `${JSON.stringify(result, undefined, 2)}\n`;
    terminal.out(options.json ? text : renderStepTable(result));
    const written = options.out === undefined || write(options.out, text, world);
    return result.interrupted ? exitCodes.interrupted : written ? exitCodes.ok : exitCodes.failed;
  } finally {
    progress.stop();
    release();
    for (const peer of peers.values()) {
      if ("close" in peer) {
        peer.close?.();
      }
    }
  }
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
