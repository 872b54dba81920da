/**
 * The fair comparison: every optimizer gets the same number of tuning trials, at the same places of its own range of
 * learning rates and judged on held-out data, and then runs from the same seeds at the rate that did best.
 */

import { type Clock, mulberry32 } from "@adastra/core";
import type { CatalogueEntry } from "../optimizers.ts";
import type { Problem } from "../problems/problem.ts";
import type {
  Comparison,
  Entry,
  OptimizerInfo,
  TrialEvent,
  TrialResult,
  TrialSpec,
} from "../protocol.ts";
import type { TrialPool } from "../runner/pool.ts";
import { chooseLearningRate, logUniform, stratifiedDraws } from "./search.ts";
import { judge, summarise } from "./summary.ts";

export interface CompareOptions {
  readonly problem: Problem;
  readonly optimizers: readonly CatalogueEntry[];
  /** Tuning trials an optimizer, at least 1. */
  readonly trials: number;
  /** Runs at the chosen rate an optimizer, from seeds 1, 2, ...; at least 1. */
  readonly seeds: number;
  /** Passes over the training data in a run, above 0; a fraction ends within an epoch. */
  readonly epochs: number;
  /** The same in a tuning trial. */
  readonly tuningEpochs: number;
  /** Seeds the draw of learning rates and the bootstrap. */
  readonly searchSeed: number;
}

export interface CompareContext {
  readonly pool: TrialPool;
  readonly clock: Clock;
  /** The machine, as the result file shows it. */
  readonly environment: Omit<Comparison["environment"], "optimizerBackend" | "engineBackend">;
  readonly onEvent: (event: TrialEvent) => void;
  /** Aborted: running trials stop before their next step, and what is there is returned. */
  readonly signal?: AbortSignal;
}

/** Tuning uses the one seed that no run does. */
const tuningSeed = 0;

/**
 * Runs a comparison to its end, or until `signal` is aborted.
 *
 * A trial that diverges or fails costs its optimizer that trial and nothing else.
 *
 * @throws RangeError for a budget out of range, an optimizer named twice or none at all.
 */
export async function compare(
  options: CompareOptions,
  { pool, clock, environment, onEvent, signal }: CompareContext,
): Promise<Comparison> {
  checkOptions(options);
  const { problem, optimizers, trials, seeds, epochs, tuningEpochs, searchSeed } = options;
  const started = clock.now();
  let optimizerBackend = "none";
  let trialsDone = 0;

  const runAll = async (specs: readonly TrialSpec[]): Promise<TrialResult[]> => {
    const results = await Promise.all(
      specs.map((spec) =>
        pool.run(spec, (event) => {
          if (event.kind === "started") {
            optimizerBackend = event.optimizerBackend;
          } else if (event.kind === "finished" && event.result.status !== "interrupted") {
            trialsDone += 1;
          }
          onEvent(event);
        }),
      ),
    );
    // A trial that was interrupted before its first point has nothing to show.
    return results.filter(({ status, points }) => status !== "interrupted" || points.length > 0);
  };

  const draws = stratifiedDraws(trials, mulberry32(searchSeed).fork("rates"));
  const interrupt = () => pool.interrupt();
  if (signal?.aborted) {
    interrupt();
  }
  signal?.addEventListener("abort", interrupt);
  const entries = await Promise.all(
    optimizers.map(async ({ name, title, paper, stateBytes, ...entry }): Promise<Entry> => {
      const learningRates = problem.learningRates ?? entry.learningRates;
      const optimizer: OptimizerInfo = { name, title, paper, stateBytes, learningRates };
      const spec = { problem: problem.info.name, optimizer: name };
      const tuning = await runAll(
        draws.map((share, trial) => ({
          ...spec,
          id: `${name}/tune/${trial + 1}`,
          learningRate: logUniform(learningRates, share),
          seed: tuningSeed,
          epochs: tuningEpochs,
          phase: "tune",
        })),
      );
      const chosenLearningRate = chooseLearningRate(tuning, problem.info.metric.better);
      const runs =
        chosenLearningRate === null || signal?.aborted
          ? []
          : await runAll(
              Array.from({ length: seeds }, (_, i) => ({
                ...spec,
                id: `${name}/seed/${i + 1}`,
                learningRate: chosenLearningRate,
                seed: i + 1,
                epochs,
                phase: "seed",
              })),
            );
      const summary = summarise(runs, problem.info, searchSeed);
      return { optimizer, tuning, chosenLearningRate, runs, summary };
    }),
  );
  signal?.removeEventListener("abort", interrupt);

  return {
    schema: "adastra-comparison/1",
    problem: problem.info,
    protocol: { trials, seeds, epochs, tuningEpochs, batch: problem.batch, searchSeed },
    environment: { ...environment, optimizerBackend, engineBackend: problem.engine },
    entries,
    verdicts: judge(entries, problem.info.metric.better),
    wallSeconds: (clock.now() - started) / 1000,
    trialsDone,
    trialsPlanned: plannedTrials(options),
    interrupted: signal?.aborted ?? false,
  };
}

/** Trials of a whole comparison, tuning included. */
export function plannedTrials({
  optimizers,
  trials,
  seeds,
}: Pick<CompareOptions, "optimizers" | "trials" | "seeds">): number {
  return optimizers.length * (trials + seeds);
}

function checkOptions(options: CompareOptions): void {
  for (const name of ["trials", "seeds"] as const) {
    const value = options[name];
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`compare: \`${name}\` must be an integer of at least 1, got ${value}`);
    }
  }
  for (const name of ["epochs", "tuningEpochs"] as const) {
    const value = options[name];
    if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`compare: \`${name}\` must be finite and above 0, got ${value}`);
    }
  }
  const names = options.optimizers.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RangeError(`compare: \`optimizers\` must be different, got "${twice}" twice`);
  }
  if (names.length === 0) {
    throw new RangeError("compare: `optimizers` must name at least one, got none");
  }
}
