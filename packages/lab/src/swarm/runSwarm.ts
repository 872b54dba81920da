/** One simulated run of peers, and how good the models are that they end with. */

import type { Leaves } from "@adastra/core";
import {
  createMixer,
  createTrainer,
  type Method,
  type Mixer,
  type Mixing,
  type SimulateOptions,
  simulate,
  type Trainer,
} from "@adastra/swarm";
import type { SwarmTask } from "./problems.ts";

/** How peers exchange, and what happens to them and their messages. */
export type SimulationOptions = Partial<
  Pick<SimulateOptions, "compression" | "consensusStep" | "clip" | "network" | "faults">
>;

export interface SwarmPlan {
  readonly method: Method;
  readonly learningRate: number;
  readonly mixing: Mixing;
  readonly rounds: number;
  readonly seed: number;
  readonly localSteps?: number;
  readonly simulation?: SimulationOptions;
  /** Points of the curve, at least 1. */
  readonly points: number;
}

export interface SwarmPoint {
  readonly round: number;
  /** Metric of the model that is the mean of all peers'. */
  readonly metric: number;
  /** Root mean square distance of a peer's parameters from their mean. */
  readonly distance: number;
  /** Mean over the peers of the losses of the round's gradients. */
  readonly loss: number;
}

export interface SwarmRun {
  readonly status: "finished" | "diverged" | "interrupted";
  readonly seed: number;
  readonly learningRate: number;
  /** Of the mean of all peers' models, and of the worst and the mean peer's own; null unless finished. */
  readonly metrics: {
    readonly mean: number;
    readonly worst: number;
    readonly average: number;
  } | null;
  readonly curve: readonly SwarmPoint[];
  /** Virtual time of the run, and the longest that a peer went without a round. */
  readonly virtualMs: number;
  readonly longestStallMs: number;
  /** Bytes that the mean peer sent in a round. */
  readonly bytesPerRound: number;
  /** Shares of all edges of all rounds: mixed by an end at once, or later. */
  readonly mixedShare: number;
}

export interface SwarmWatch {
  readonly better: "higher" | "lower";
  /** Called after every round of peer 0. */
  readonly onRound?: (progress: { round: number; loss: number; distance: number }) => void;
  readonly signal?: { readonly aborted: boolean };
}

/**
 * Trains the peers of a task together in virtual time.
 *
 * @returns `diverged` where the mean model's parameters are not finite in the end.
 */
export async function runSwarm(
  task: SwarmTask,
  plan: SwarmPlan,
  { better, onRound, signal = { aborted: false } }: SwarmWatch,
): Promise<SwarmRun> {
  const { mixing, rounds, seed, learningRate, points, method, localSteps = 1, simulation } = plan;
  const { peers } = mixing.graph;
  const trainers: Trainer[] = [];
  const every = Math.max(1, Math.ceil(rounds / points));
  const snapshots: { round: number; params: Leaves; distance: number; loss: number }[] = [];
  let mixer: Mixer | undefined;
  const result = await simulate({
    ...simulation,
    mixing,
    rounds,
    seed,
    signal,
    trainer: (peer) => {
      const own = createTrainer({
        method,
        params: task.params,
        learningRate,
        dtype: task.dtype,
        localSteps,
        gradient: (params, gradients, step) => task.gradient(peer, params, gradients, step),
        ...(mixer && { mixer }),
      });
      mixer ??= createMixer(own.vectors * own.parameters, own.dtype);
      trainers[peer] = own;
      return own;
    },
    onRound: ({ peer, round, loss, distance }) => {
      if (peer !== 0) {
        return;
      }
      onRound?.({ round, loss, distance });
      if (round % every === 0 || round === rounds) {
        const params = meanParams(trainers);
        snapshots.push({
          round,
          params,
          distance: distanceFrom(params, trainers),
          loss: trainers.reduce((sum, { loss: own }) => sum + own, 0) / peers,
        });
      }
    },
  });
  const summaries = result.peers;
  const total = (of: (peer: (typeof summaries)[number]) => number): number =>
    summaries.reduce((sum, peer) => sum + of(peer), 0);
  const ends = total(({ mixed, dropped, unknown }) => mixed + dropped + unknown);
  const shared = {
    seed,
    learningRate,
    virtualMs: result.ms,
    longestStallMs: Math.max(...summaries.map(({ longestStallMs }) => longestStallMs)),
    bytesPerRound: total(({ bytesSent }) => bytesSent) / total(({ rounds: taken }) => taken),
    mixedShare: ends === 0 ? 1 : total(({ mixed, late }) => mixed + late) / ends,
  };
  if (signal.aborted) {
    return { ...shared, status: "interrupted", metrics: null, curve: [] };
  }
  const final = meanParams(result.trainers);
  if (!isFinite(final)) {
    return { ...shared, status: "diverged", metrics: null, curve: [] };
  }
  const curve: SwarmPoint[] = [];
  for (const { params, ...point } of snapshots) {
    curve.push({ ...point, metric: await task.evaluate(params) });
  }
  const own: number[] = [];
  for (const { optimizer } of result.trainers) {
    own.push(await task.evaluate(optimizer.params));
  }
  const metrics = {
    mean: await task.evaluate(final),
    worst: better === "higher" ? Math.min(...own) : Math.max(...own),
    average: own.reduce((sum, value) => sum + value, 0) / own.length,
  };
  return { ...shared, status: "finished", metrics, curve };
}

function meanParams(trainers: readonly Trainer[]): Leaves {
  const [first] = trainers;
  return Object.fromEntries(
    Object.entries(first?.optimizer.params ?? {}).map(([path, { shape, data }]) => {
      const mean = data.map((_, i) => {
        const sum = trainers.reduce(
          (total, { optimizer }) => total + (optimizer.params[path]?.data[i] as number),
          0,
        );
        return sum / trainers.length;
      });
      return [path, { shape, data: mean }];
    }),
  );
}

/** √(Σᵢ ‖xᵢ − x̄‖² / N n). */
function distanceFrom(mean: Leaves, trainers: readonly Trainer[]): number {
  let [squares, count] = [0, 0];
  for (const { optimizer } of trainers) {
    for (const [path, { data }] of Object.entries(mean)) {
      const own = optimizer.params[path]?.data ?? data;
      for (let i = 0; i < data.length; i++) {
        squares += ((own[i] as number) - (data[i] as number)) ** 2;
      }
      count += data.length;
    }
  }
  return Math.sqrt(squares / count);
}

function isFinite(leaves: Leaves): boolean {
  return Object.values(leaves).every(({ data }) => data.every(Number.isFinite));
}
