/** `adastra swarm`: peers that train together, simulated or real. */

import { rename, writeFile } from "node:fs/promises";
import { lookUp } from "../lookUp.ts";
import { compareSwarm, type SwarmComparison, type SwarmEntry } from "../swarm/compareSwarm.ts";
import { methods } from "../swarm/methods.ts";
import { swarmProblems } from "../swarm/problems.ts";
import { createBenchProgress } from "./benchProgress.ts";
import { type CommandOptions, flagOf } from "./options.ts";
import { align } from "./resultTable.ts";
import { invite, join, showIdentity, showStatus, TRAINING } from "./swarmPeerCommand.ts";
import type { SwarmWorld } from "./swarmWorld.ts";
import { exitCodes, UsageError } from "./terminal.ts";

/** Options that an action takes; others would be ignored. */
const RUN: readonly (keyof CommandOptions["swarm"])[] = [...TRAINING, "graph", "rounds", "json"];
const ACTIONS: Readonly<
  Record<
    string,
    {
      readonly takes: readonly (keyof CommandOptions["swarm"])[];
      readonly run: (options: CommandOptions["swarm"], world: SwarmWorld) => Promise<number>;
    }
  >
> = {
  simulate: {
    takes: [...RUN, "seeds", "peers", "tuningRounds", "loss", "crash", "out"],
    run: simulateSwarm,
  },
  identity: { takes: ["key", "json"], run: showIdentity },
  invite: { takes: [...RUN, "key", "members", "invitation", "continues"], run: invite },
  join: {
    takes: ["key", "invitation", "founder", "state", "metrics", "listen", "json"],
    run: join,
  },
  status: { takes: ["metrics", "json"], run: showStatus },
};

/**
 * Does what the action says.
 *
 * @throws UsageError for an unknown action, or an option that it would ignore.
 */
export async function swarmCommand(
  action: string,
  options: CommandOptions["swarm"],
  world: SwarmWorld,
): Promise<number> {
  const found = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (found === undefined) {
    throw new UsageError(
      `swarm: the action must be one of ${Object.keys(ACTIONS).join(", ")}, got "${action}"; see adastra swarm --help`,
    );
  }
  const foreign = (Object.keys(options) as (keyof typeof options)[]).find(
    (key) => !found.takes.includes(key),
  );
  if (foreign !== undefined) {
    throw new UsageError(
      `swarm: ${flagOf(foreign)} must stand with another action, got it with ${action}; leave it out`,
    );
  }
  return found.run(options, world);
}

/**
 * Simulates, with progress on standard error and the result on standard output.
 *
 * The first Ctrl-C ends the run under way: what is finished is shown and written, and the exit code is 130.
 *
 * @throws UsageError for options that do not go together, RangeError for what the simulation refuses.
 */
async function simulateSwarm(
  options: CommandOptions["swarm"],
  { terminal, clock, onInterrupt }: SwarmWorld,
): Promise<number> {
  const entries = swarmProblems.map((problem) => ({ name: problem.name, problem }));
  const { problem } = lookUp("swarm", "--problem", options.problem ?? "mnist-mlp", entries);
  const peers = options.peers ?? problem.peers ?? 5;
  if (problem.peers !== undefined && peers !== problem.peers) {
    throw new UsageError(
      `swarm: --peers must be ${problem.peers} for ${problem.name}, got ${peers}; leave it out`,
    );
  }
  const rounds = options.rounds ?? Math.max(1, 2 * problem.stepsPerEpoch(peers));
  const { localSteps, compression, consensusStep, clip, b1, b2, eps, loss, crash } = options;
  const controller = new AbortController();
  const progress = createBenchProgress(terminal, clock);
  const release = onInterrupt(() => {
    terminal.err("\nstopping; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  let comparison: SwarmComparison;
  try {
    comparison = await compareSwarm(
      {
        problem,
        methods: methods.filter(({ name }) => (options.methods ?? ["damsgrad"]).includes(name)),
        options: {
          ...(b1 !== undefined && { b1 }),
          ...(b2 !== undefined && { b2 }),
          ...(eps !== undefined && { eps }),
        },
        rates: options.rates ?? [1e-3],
        seeds: options.seeds ?? 1,
        graph: options.graph ?? "ring",
        peers,
        skew: options.skew ?? { kind: "none" },
        rounds,
        tuningRounds: options.tuningRounds ?? Math.ceil(rounds / 2),
        points: 10,
        ...(localSteps !== undefined && { localSteps }),
        simulation: {
          ...(compression !== undefined && { compression }),
          ...(consensusStep !== undefined && { consensusStep }),
          ...(clip !== undefined && { clip }),
          ...(loss !== undefined && { network: { loss } }),
          ...(crash !== undefined && { faults: crash }),
        },
      },
      progress.update,
      controller.signal,
    );
  } finally {
    progress.stop();
    release();
  }
  if (options.out !== undefined) {
    const temporary = `${options.out}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify(comparison, undefined, 2)}\n`);
    await rename(temporary, options.out);
  }
  terminal.out(options.json ? `${JSON.stringify(comparison)}\n` : renderSwarm(comparison));
  return comparison.interrupted ? exitCodes.interrupted : exitCodes.ok;
}

/** Aligned text: what was compared, a row a method, what a run cost. */
export function renderSwarm({ problem, graph, protocol, entries }: SwarmComparison): string {
  const { unit, name, better } = problem.metric;
  const sign = better === "higher" ? -1 : 1;
  const sorted = entries.toSorted(
    (a, b) =>
      Number(a.summary === null) - Number(b.summary === null) ||
      sign * ((a.summary?.mean.mean ?? 0) - (b.summary?.mean.mean ?? 0)),
  );
  const { skew } = protocol;
  const dealt =
    skew.kind === "none"
      ? "evenly"
      : skew.kind === "labels"
        ? `by ${skew.each} labels each`
        : `by Dirichlet(${skew.alpha})`;
  return [
    `${problem.title}: ${name}${unit && ` in ${unit}`} after ${protocol.rounds} rounds`,
    `${graph.peers} peers on ${graph.name}, spectral gap ${graph.spectralGap.toFixed(4)}, examples dealt ${dealt}`,
    "",
    ...align([
      [
        "method",
        "rate",
        "mean model",
        "against the best",
        "worst peer",
        "against the best",
        "kB a round and peer",
        "edges mixed",
      ],
      ...sorted.map((entry) => row(entry)),
    ]),
    "",
    `Mean over ${protocol.seeds} paired ${protocol.seeds === 1 ? "seed" : "seeds"} [95 % interval]${protocol.rates.length > 1 ? `; each method took the best of ${protocol.rates.length} rates on held-out data, ${protocol.tuningRounds} rounds each` : ""}.`,
    "",
  ].join("\n");
}

function row({ method, learningRate, summary, pValues, runs, tuning }: SwarmEntry): string[] {
  const head = [method, learningRate?.toString() ?? "none"];
  if (summary === null) {
    const all = [...tuning, ...runs];
    const diverged = all.length > 0 && all.every(({ status }) => status === "diverged");
    return [...head, diverged ? "diverged" : "no finished run", "", "", "", "", ""];
  }
  const finished = runs.filter(({ status }) => status === "finished");
  const average = (of: (run: (typeof runs)[number]) => number): number =>
    finished.reduce((sum, run) => sum + of(run), 0) / finished.length;
  return [
    ...head,
    interval(summary.mean),
    against(pValues.mean),
    interval(summary.worst),
    against(pValues.worst),
    (average(({ bytesPerRound }) => bytesPerRound) / 1000).toPrecision(4),
    `${(100 * average(({ mixedShare }) => mixedShare)).toFixed(1)} %`,
  ];
}

function interval({ mean, low, high }: NonNullable<SwarmEntry["summary"]>["mean"]): string {
  const [a, b, c] = [mean, low, high].map((value) =>
    Math.abs(value) >= 10 ? value.toFixed(2) : value.toFixed(6),
  );
  return low === high ? `${a}` : `${a} [${b}, ${c}]`;
}

function against(pValue: number | null): string {
  if (pValue === null) {
    return "";
  }
  const p = pValue < 0.001 ? "p < 0.001" : `p = ${pValue.toPrecision(2)}`;
  return pValue < 0.05 ? `worse (${p})` : `not distinguishable (${p})`;
}
