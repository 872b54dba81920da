/** Decentralized methods under one protocol: the same rates tried, the best one run from the same seeds. */

import { mulberry32 } from "@adastra/core";
import { metropolis, spectralGap } from "@adastra/swarm";
import { bootstrapMean, holm, pairedTTest } from "../compare/statistics.ts";
import type { Interval } from "../protocol.ts";
import { parseGraph } from "./graphSpec.ts";
import type { MethodEntry, MethodOptions } from "./methods.ts";
import type { SwarmProblem } from "./problems.ts";
import { runSwarm, type SwarmPlan, type SwarmRun } from "./runSwarm.ts";
import type { Skew } from "./split.ts";

export interface SwarmProtocol extends Pick<SwarmPlan, "localSteps" | "simulation"> {
  readonly problem: SwarmProblem;
  readonly methods: readonly MethodEntry[];
  readonly options: MethodOptions;
  /** Rates that are tried, each with one run on held-out data, where there are several. */
  readonly rates: readonly number[];
  readonly seeds: number;
  readonly graph: string;
  readonly peers: number;
  readonly skew: Skew;
  readonly rounds: number;
  readonly tuningRounds: number;
  readonly points: number;
}

export interface SwarmEntry {
  readonly method: string;
  readonly title: string;
  readonly tuning: readonly SwarmRun[];
  readonly learningRate: number | null;
  readonly runs: readonly SwarmRun[];
  /** Over the finished runs: mean and 95 % interval; null where none finished. */
  readonly summary: { readonly mean: Interval; readonly worst: Interval } | null;
  /** Of the difference to the best method, paired by seed, Holm-corrected; null for the best itself and without pairs. */
  readonly pValues: { readonly mean: number | null; readonly worst: number | null };
}

export interface SwarmComparison {
  readonly problem: Pick<SwarmProblem, "name" | "title" | "metric" | "data">;
  readonly graph: { readonly name: string; readonly peers: number; readonly spectralGap: number };
  readonly protocol: Omit<SwarmProtocol, "problem" | "methods"> & {
    readonly methods: readonly string[];
  };
  readonly entries: readonly SwarmEntry[];
  readonly interrupted: boolean;
}

/** Seed of the tuning runs: none of the others. */
const TUNING_SEED = 1000;

/** @param onProgress - takes the share done and what runs. */
export async function compareSwarm(
  protocol: SwarmProtocol,
  onProgress: (share: number, doing: string) => void,
  signal: { readonly aborted: boolean } = { aborted: false },
): Promise<SwarmComparison> {
  const { problem, methods, rates, seeds, rounds, tuningRounds, peers } = protocol;
  const graph = parseGraph("swarm: --graph", protocol.graph, peers, mulberry32(1).fork("graph"));
  const mixing = metropolis(graph);
  const opened = await problem.open();
  const tunes = rates.length > 1;
  const total = methods.length * ((tunes ? rates.length * tuningRounds : 0) + seeds * rounds);
  let done = 0;

  const run = async (
    entry: MethodEntry,
    learningRate: number,
    phase: "tune" | "seed",
    seed: number,
  ): Promise<SwarmRun> => {
    const task = opened.start({ seed, phase, peers, skew: protocol.skew });
    const own = phase === "tune" ? tuningRounds : rounds;
    const { localSteps, simulation } = protocol;
    const result = await runSwarm(
      task,
      {
        method: entry.build(protocol.options),
        learningRate,
        mixing,
        rounds: own,
        seed,
        points: phase === "tune" ? 1 : protocol.points,
        ...(localSteps !== undefined && { localSteps }),
        ...(simulation !== undefined && { simulation }),
      },
      {
        better: problem.metric.better,
        signal,
        onRound: ({ round, loss, distance }) =>
          onProgress(
            (done + round) / total,
            `${entry.name} at ${learningRate}, round ${round} of ${own}, loss ${loss.toPrecision(3)}, neighbours ${distance.toPrecision(2)} apart`,
          ),
      },
    );
    done += own;
    return result;
  };

  const entries: SwarmEntry[] = [];
  for (const entry of methods) {
    const tuning: SwarmRun[] = [];
    for (const rate of tunes ? rates : []) {
      if (!signal.aborted) {
        tuning.push(await run(entry, rate, "tune", TUNING_SEED));
      }
    }
    const learningRate = tunes ? bestRate(tuning, problem.metric.better) : (rates[0] ?? null);
    const runs: SwarmRun[] = [];
    for (let seed = 1; seed <= seeds && learningRate !== null && !signal.aborted; seed++) {
      runs.push(await run(entry, learningRate, "seed", seed));
    }
    entries.push({
      method: entry.name,
      title: entry.title,
      tuning,
      learningRate,
      runs,
      summary: summarise(runs),
      pValues: { mean: null, worst: null },
    });
  }
  const { methods: _, problem: __, ...plain } = protocol;
  return {
    problem: {
      name: problem.name,
      title: problem.title,
      metric: problem.metric,
      data: problem.data,
    },
    graph: { name: protocol.graph, peers, spectralGap: spectralGap(mixing) },
    protocol: { ...plain, methods: methods.map(({ name }) => name) },
    entries: judged(entries, problem.metric.better),
    interrupted: signal.aborted,
  };
}

type Which = "mean" | "worst";

/** Of several rates the best on held-out data; null where every run diverged. */
function bestRate(tuning: readonly SwarmRun[], better: "higher" | "lower"): number | null {
  const finished = tuning.filter(({ metrics }) => metrics !== null);
  const [best] = finished.toSorted(
    (a, b) => (better === "higher" ? -1 : 1) * ((a.metrics?.mean ?? 0) - (b.metrics?.mean ?? 0)),
  );
  return best?.learningRate ?? null;
}

function summarise(runs: readonly SwarmRun[]): SwarmEntry["summary"] {
  const of = (which: Which): number[] =>
    runs.flatMap(({ metrics }) => (metrics === null ? [] : [metrics[which]]));
  const interval = (which: Which): Interval => bootstrapMean(of(which), mulberry32(1).fork(which));
  return of("mean").length === 0 ? null : { mean: interval("mean"), worst: interval("worst") };
}

/** Tests the method with the best mean model against each other one, and so for the worst peer's. */
function judged(entries: readonly SwarmEntry[], better: "higher" | "lower"): SwarmEntry[] {
  const pValuesOf = (which: Which): (number | null)[] => {
    const value = ({ summary }: SwarmEntry): number => summary?.[which].mean ?? Number.NaN;
    const [best] = entries
      .filter(({ summary }) => summary !== null)
      .toSorted((a, b) => (better === "higher" ? -1 : 1) * (value(a) - value(b)));
    return holm(
      entries.map((entry) =>
        entry === best || best === undefined ? null : pairedTTest(differences(best, entry, which)),
      ),
    );
  };
  const [means, worsts] = [pValuesOf("mean"), pValuesOf("worst")];
  return entries.map((entry, i) => ({
    ...entry,
    pValues: { mean: means[i] ?? null, worst: worsts[i] ?? null },
  }));
}

function differences(a: SwarmEntry, b: SwarmEntry, which: Which): number[] {
  return a.runs.flatMap(({ seed, metrics }) => {
    const other = b.runs.find((run) => run.seed === seed)?.metrics;
    return metrics === null || other === null || other === undefined
      ? []
      : [metrics[which] - other[which]];
  });
}
