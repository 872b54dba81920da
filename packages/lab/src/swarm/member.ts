/** One real peer of a run: its share of the data, the loop over libp2p, checkpoints, metrics. */

import * as fs from "node:fs/promises";
import type { Clock } from "@adastra/core";
import { CheckpointDirectory, nodeFiles } from "@adastra/core/checkpoint";
import {
  createTrainer,
  type Layout,
  layoutId,
  PeerLoop,
  type RoundReport,
  type Traffic,
  type Trainer,
} from "@adastra/swarm";
import { type Identity, libp2pTransport, type Roster } from "@adastra/swarm/libp2p";
import type { OpenSwarm, SwarmTask } from "./problems.ts";
import { type RunConfig, requireConfig } from "./runConfig.ts";
import { systemTimers } from "./systemTimers.ts";

export interface MemberOptions {
  readonly roster: Roster;
  readonly identity: Identity;
  readonly clock: Clock;
  /** Of this start of the peer, drawn at random. */
  readonly session: number;
  /** Where it listens, where that is not what the roster tells. */
  readonly listen?: readonly string[];
  /** Folder of checkpoints; goes on from the last one. None are kept where absent. */
  readonly state?: string;
  /** Rounds between two checkpoints, default 20. */
  readonly checkpointEvery?: number;
  /** How long to wait for all neighbours at first, default 30 s. */
  readonly gatherMs?: number;
  readonly onRound?: (report: RoundReport, stallMs: number, traffic: Traffic) => void;
  readonly signal?: AbortSignal;
}

export interface MemberResult {
  readonly peer: number;
  /** The last round, and those that this start of the peer took part in. */
  readonly round: number;
  readonly rounds: number;
  readonly metric: number;
  readonly loss: number;
  readonly longestStallMs: number;
  readonly mixed: number;
  readonly dropped: number;
  readonly unknown: number;
  readonly late: number;
  readonly traffic: Traffic;
  readonly interrupted: boolean;
}

/**
 * Rounds of a small model take milliseconds, and a busy machine makes a process wait for its turn longer than three of them.
 */
const DEADLINE = { leastMs: 250 } as const;

/** What travels in a run of a config; the founder computes the roster's layout from it, and every peer checks it. */
export function layoutOf(
  task: Pick<SwarmTask, "params" | "dtype">,
  exchanged: readonly string[],
): Layout {
  return { dtype: task.dtype, leaves: task.params, vectors: ["p", ...exchanged] };
}

/** The task of a run's config, as every peer has it. */
export function startTask(opened: OpenSwarm, { seed, skew }: RunConfig, peers: number): SwarmTask {
  return opened.start({ seed, phase: "seed", peers, skew });
}

/**
 * Trains as one peer of a roster to the run's last round, or until it is aborted, and evaluates its own model.
 *
 * @throws RangeError for a config, identity or layout that does not fit, CheckpointError for a state that cannot be read, and
 * RangeError for the state of another run or epoch; nothing has been sent or written then.
 */
export async function runMember({
  roster,
  identity,
  clock,
  session,
  listen,
  state,
  checkpointEvery = 20,
  gatherMs = 30_000,
  onRound = () => undefined,
  signal,
}: MemberOptions): Promise<MemberResult> {
  const { config, problem, method } = requireConfig(roster.config);
  const self = roster.peers.findIndex(({ id }) => id === identity.id);
  const task = startTask(await problem.open(), config, roster.peers.length);
  const { learningRate, localSteps, rounds, compression, consensusStep, clip } = config;
  const trainer = createTrainer({
    method,
    params: task.params,
    learningRate,
    dtype: task.dtype,
    localSteps,
    gradient: (params, gradients, step) => task.gradient(self, params, gradients, step),
  });
  const directory = state === undefined ? undefined : await openState(state);
  const layout = layoutOf(task, method.exchanged);
  const after =
    directory === undefined ? 0 : await resume(directory, trainer, roster, layout, state ?? "");
  const timers = systemTimers(clock);
  const transport = await libp2pTransport({
    identity,
    roster,
    layout,
    timers,
    ...(listen !== undefined && { listen }),
  });

  const counts = { mixed: 0, dropped: 0, unknown: 0, late: 0 };
  let [round, taken, longestStallMs, last] = [after, 0, 0, Number.NaN];
  let saving: Promise<void> = Promise.resolve();
  const save = (): void => {
    const checkpoint = {
      optimizer: trainer.save(),
      extra: { run: roster.run, epoch: roster.epoch, layout: roster.layout, round },
    };
    saving = saving.then(() => directory?.save(round, checkpoint));
    // A failure is told at the end; the peers go on.
    saving.catch(() => undefined);
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const loop = new PeerLoop({
        transport,
        timers,
        trainer,
        mixing: roster.mixing,
        rounds,
        session,
        after,
        fetch: after === 0 ? "behind" : false,
        gatherMs,
        deadline: DEADLINE,
        compression,
        consensusStep,
        ...(clip !== null && { clip }),
        onRound: (report) => {
          const now = timers.now();
          longestStallMs = Number.isNaN(last) ? 0 : Math.max(longestStallMs, now - last);
          last = now;
          round = report.round;
          taken += 1;
          for (const key of ["mixed", "dropped", "unknown", "late"] as const) {
            counts[key] += report[key];
          }
          if (directory !== undefined && (taken % checkpointEvery === 0 || round === rounds)) {
            save();
          }
          onRound(report, longestStallMs, transport.traffic);
        },
        onEnd: (error) => (error === undefined ? resolve() : reject(error as Error)),
      });
      signal?.addEventListener("abort", () => loop.stop(), { once: true });
      loop.start();
    });
    if (directory !== undefined && taken > 0) {
      save();
    }
    await saving;
  } finally {
    await transport.close();
  }
  return {
    peer: self,
    round,
    rounds: taken,
    metric: await task.evaluate(trainer.optimizer.params),
    loss: trainer.loss,
    longestStallMs,
    ...counts,
    traffic: transport.traffic,
    interrupted: signal?.aborted ?? false,
  };
}

async function openState(folder: string): Promise<CheckpointDirectory> {
  await fs.mkdir(folder, { recursive: true });
  return new CheckpointDirectory(nodeFiles(fs, folder));
}

/**
 * Loads the last checkpoint; returns its round, 0 without one. Of an earlier graph of the run it is taken too: the founder's
 * invitation says that the run goes on.
 */
async function resume(
  directory: CheckpointDirectory,
  trainer: Trainer,
  roster: Roster,
  layout: Layout,
  folder: string,
): Promise<number> {
  const step = await directory.latest();
  if (step === undefined) {
    return 0;
  }
  const { optimizer, extra } = await directory.load(step);
  const saved = (extra ?? {}) as Partial<Record<string, unknown>>;
  const refuse = (name: string, wanted: string, got: unknown): never => {
    throw new RangeError(
      `swarm: the state in ${folder} must be of ${name} ${wanted}, got one of ${String(got)}; name another folder`,
    );
  };
  if (saved["run"] !== roster.run) {
    refuse("run", roster.run, saved["run"]);
  }
  const { epoch } = saved;
  if (!(typeof epoch === "number" && epoch <= roster.epoch)) {
    return refuse("graph epoch", `${roster.epoch} or before`, epoch);
  }
  const expected = await layoutId(layout, epoch);
  if (saved["layout"] !== expected) {
    refuse("layout", expected, saved["layout"]);
  }
  trainer.load(optimizer);
  if (epoch < roster.epoch) {
    trainer.beginEpoch();
  }
  return step;
}
