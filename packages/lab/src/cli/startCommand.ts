/** `adastra start`: the comparison that shows what Adastra does, sized for a minute on two cores. */

import { startStudio } from "../studio/server.ts";
import { type CompareWorld, compareCommand } from "./compareCommand.ts";
import type { CommandOptions } from "./options.ts";

/** The mission's methods that run on one machine, beside the two that everybody knows. */
const optimizers = [
  "adashift",
  "adam",
  "momentum",
  "adai",
  "fastadabelief",
  "sadam",
  "cprop-adam",
] as const;

/**
 * Runs the comparison with the studio beside it, which a browser can follow; on a terminal the studio then stays
 * until Ctrl-C.
 *
 * @returns the comparison's exit code.
 */
export async function startCommand(
  options: CommandOptions["start"],
  world: CompareWorld,
): Promise<number> {
  const { terminal, clock } = world;
  const studio = await startStudio({ clock });
  try {
    terminal.err(
      `Comparing ${optimizers.length} optimizers on MNIST, the same tuning budget and the same seeds for each.\nWatch it live: ${studio.url}\n`,
    );
    const { exitCode, comparison } = await compareCommand(
      "mnist-mlp",
      { ...options, optimizers, trials: 3, seeds: 3, epochs: 0.75, tuningEpochs: 0.2 },
      { ...world, watch: (message) => studio.publish(message) },
    );
    if (terminal.isTty && !comparison.interrupted) {
      terminal.err(`The studio stays at ${studio.url} until you press Ctrl-C.\n`);
      await new Promise<void>((resolve) => {
        const release = world.onInterrupt(() => {
          release();
          resolve();
        });
      });
    }
    return exitCode;
  } finally {
    await studio.close();
  }
}
