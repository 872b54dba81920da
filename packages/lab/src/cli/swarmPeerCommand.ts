/** `adastra swarm identity | invite | join | status`: real peers. */

import { readFile } from "node:fs/promises";
import { mulberry32 } from "@adastra/core";
import { layoutId, metropolis, type RoundReport } from "@adastra/swarm";
import type { Roster } from "@adastra/swarm/libp2p";
import { parseGraph } from "../swarm/graphSpec.ts";
import type { MemberResult } from "../swarm/member.ts";
import { type RunConfig, requireConfig } from "../swarm/runConfig.ts";
import { drawRun, drawSession, INVITATION, KEY, readInvited } from "./invited.ts";
import { createLiveLine } from "./liveLine.ts";
import { type CommandOptions, flagOf } from "./options.ts";
import { writeAtomically } from "./resultFiles.ts";
import { align } from "./resultTable.ts";
import type { SwarmWorld } from "./swarmWorld.ts";
import { exitCodes, UsageError } from "./terminal.ts";

type Options = CommandOptions["swarm"];

/** Of a run's start and of who has which examples. */
const SEED = 1;

/** Prints the peer id of a key, which is made where there is none. */
export async function showIdentity(
  { key = KEY, json }: Options,
  { terminal }: SwarmWorld,
): Promise<number> {
  const { loadIdentity } = await import("@adastra/swarm/libp2p");
  const { id } = await loadIdentity(key);
  terminal.out(json ? `${JSON.stringify({ id, key })}\n` : `${id}\n`);
  return exitCodes.ok;
}

/** How peers train: what a run's first invitation settles for all that go on with it. */
export const TRAINING: readonly (keyof Options)[] = [
  "problem",
  "methods",
  "rates",
  "skew",
  "localSteps",
  "compression",
  "consensusStep",
  "clip",
  "b1",
  "b2",
  "eps",
];

/**
 * Founds a run, or with `--continues` goes on with one on another graph: writes who takes part, on which graph and how they
 * train, signed with the key.
 *
 * @throws UsageError without members or with more than one method or rate, and for what a run that goes on has settled;
 * RangeError for what a roster cannot be.
 */
export async function invite(
  options: Options,
  { terminal, randomBytes }: SwarmWorld,
): Promise<number> {
  const { key = KEY, invitation = INVITATION, graph = "ring", json, continues } = options;
  const { createInvitation, loadIdentity, readInvitation } = await import("@adastra/swarm/libp2p");
  const earlier =
    continues === undefined
      ? undefined
      : await readInvitation(await readFile(continues, "utf8"), (await loadIdentity(key)).id);
  const settled = TRAINING.find((name) => earlier !== undefined && options[name] !== undefined);
  if (settled !== undefined) {
    throw new UsageError(
      `swarm: ${flagOf(settled)} must stay what it is in a run that goes on, got another; leave it out`,
    );
  }
  const members = options.members ?? earlier?.peers ?? [];
  if (members.length < 2) {
    throw new UsageError(
      `swarm: --members must name at least two peers, got ${members.length}; ask each for the id that adastra swarm identity prints`,
    );
  }
  const { config, problem, method } = completeConfig(options, earlier, members.length);
  const { layoutOf, startTask } = await import("../swarm/member.ts");
  const task = startTask(await problem.open(), config, members.length);
  const layout = layoutOf(task, method.exchanged);
  const run = earlier?.run ?? drawRun(randomBytes);
  const epoch = earlier === undefined ? 0 : earlier.epoch + 1;
  const roster: Roster = {
    run,
    epoch,
    layout: await layoutId(layout, epoch),
    mixing: metropolis(
      parseGraph("swarm: --graph", graph, members.length, mulberry32(SEED).fork("graph")),
    ),
    peers: members,
    config,
  };
  const founder = await loadIdentity(key);
  writeAtomically(invitation, `${await createInvitation(roster, founder)}\n`);
  const which = epoch === 0 ? "" : `, graph epoch ${epoch}`;
  terminal.out(
    json
      ? `${JSON.stringify({ run, epoch, founder: founder.id, invitation, peers: members.length })}\n`
      : `run ${run}${which} of ${members.length} peers, ${config.rounds} rounds of ${config.method}: ${invitation}\n` +
          `each joins with: adastra swarm join --invitation ${invitation} --founder ${founder.id}\n`,
  );
  return exitCodes.ok;
}

/** How peers train: as the options say, or as the run that goes on does, to a later round where one is named. */
function completeConfig(
  options: Options,
  earlier: Roster | undefined,
  peers: number,
): ReturnType<typeof requireConfig> {
  if (earlier !== undefined) {
    const { config } = requireConfig(earlier.config);
    return requireConfig({ ...config, rounds: options.rounds ?? config.rounds });
  }
  const { methods = ["damsgrad"], rates = [1e-3] } = options;
  const [method] = methods;
  const [learningRate] = rates;
  if (method === undefined || learningRate === undefined || methods.length + rates.length > 2) {
    throw new UsageError(
      `swarm: a run must have one method and one rate, got ${methods.join(", ")} and ${rates.join(", ")}; compare them with simulate first`,
    );
  }
  const { localSteps = 1, compression = "none", consensusStep = 1, clip = null } = options;
  const { b1, b2, eps, skew = { kind: "none" }, problem = "mnist-mlp" } = options;
  const withRounds = (rounds: number): ReturnType<typeof requireConfig> =>
    requireConfig({
      problem,
      method,
      options: {
        ...(b1 !== undefined && { b1 }),
        ...(b2 !== undefined && { b2 }),
        ...(eps !== undefined && { eps }),
      },
      learningRate,
      rounds,
      seed: SEED,
      skew,
      localSteps,
      compression,
      consensusStep,
      clip,
    } satisfies RunConfig);
  const stepsPerEpoch = withRounds(1).problem.stepsPerEpoch(peers);
  return withRounds(options.rounds ?? Math.max(1, 2 * stepsPerEpoch));
}

/**
 * Takes part in a run until its last round, with what it does on standard error and how it ended on standard output.
 *
 * The first Ctrl-C leaves the run, with its state kept where --state names a folder; the exit code is then 130.
 *
 * @throws UsageError without a founder; RangeError for an invitation that is not the founder's, an identity that is not
 * invited, and the state of another run.
 */
export async function join(options: Options, world: SwarmWorld): Promise<number> {
  const { state, metrics: port, listen } = options;
  const { terminal, clock, randomBytes, onInterrupt } = world;
  const { roster, identity } = await readInvited("swarm", options);
  const { runMember } = await import("../swarm/member.ts");
  const metrics =
    port === undefined ? undefined : await (await import("../swarm/metrics.ts")).serveMetrics(port);
  const controller = new AbortController();
  const release = onInterrupt(() => {
    terminal.err("\nleaving; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  const { config } = requireConfig(roster.config);
  const started = clock.now();
  const live = createLiveLine(terminal, clock);
  try {
    const result = await runMember({
      roster,
      identity,
      clock,
      session: drawSession(randomBytes),
      signal: controller.signal,
      ...(state !== undefined && { state }),
      ...(listen !== undefined && { listen: [listen] }),
      onRound: (report, stallMs, traffic) => {
        metrics?.observe(report, stallMs, traffic);
        const seconds = (clock.now() - started) / 1000;
        live.show(() => liveLine(report, config.rounds, seconds, traffic.sent));
      },
    });
    live.end();
    terminal.out(options.json ? `${JSON.stringify(result)}\n` : summary(result));
    return result.interrupted ? exitCodes.interrupted : exitCodes.ok;
  } finally {
    release();
    await metrics?.close();
  }
}

/** What a round says on one line. */
function liveLine(
  { round, loss, distance, awaited, mixed, ms }: RoundReport,
  rounds: number,
  seconds: number,
  bytes: number,
): string {
  const left = Math.ceil((seconds / round) * (rounds - round));
  return `round ${round} of ${rounds}, loss ${loss.toPrecision(3)}, ${mixed} of ${awaited} neighbours mixed, ${distance.toPrecision(2)} apart, ${ms.toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB sent, about ${left} s left`;
}

function summary(result: MemberResult): string {
  const { peer, round, rounds, metric, longestStallMs, traffic } = result;
  const ends = result.mixed + result.dropped + result.unknown;
  const refused = Object.entries(traffic.refused).map(([fault, count]) => `${count} ${fault}`);
  return [
    `peer ${peer}: round ${round} after ${rounds} of its own, own model ${metric.toFixed(2)}`,
    `${result.mixed} of ${ends} exchanges mixed, ${result.late} later; longest time without a round ${(longestStallMs / 1000).toFixed(1)} s`,
    `${(traffic.sent / 1e6).toFixed(1)} MB sent, ${(traffic.received / 1e6).toFixed(1)} MB received; refused: ${refused.length === 0 ? "nothing" : refused.join(", ")}`,
    "",
  ].join("\n");
}

/**
 * What a peer of this machine tells about itself.
 *
 * @throws UsageError without the port of its metrics, Error where nothing answers there.
 */
export async function showStatus(
  { metrics: port, json }: Options,
  { terminal }: SwarmWorld,
): Promise<number> {
  if (port === undefined) {
    throw new UsageError(
      "swarm: --metrics must name the port of a peer that was joined with it, got none",
    );
  }
  const url = `http://127.0.0.1:${port}/metrics`;
  const response = await fetch(url).catch((cause: unknown) => {
    throw new Error(
      `swarm: a peer must answer at ${url}, got ${cause instanceof Error ? cause.message : String(cause)}; join with --metrics ${port}`,
      { cause },
    );
  });
  const values = parseMetrics(await response.text());
  terminal.out(
    json
      ? `${JSON.stringify(Object.fromEntries(values))}\n`
      : `${align([...values].map(([name, value]) => [name, String(value)])).join("\n")}\n`,
  );
  return exitCodes.ok;
}

/** Name and value of each line that has them, without the common prefix. */
function parseMetrics(text: string): Map<string, number> {
  const lines = text.matchAll(/^adastra_swarm_(\w+)(?:\{\w+="([^"]*)"\})? (\S+)$/gm);
  return new Map(
    Array.from(lines, ([, name = "", label, value]) => [
      label === undefined ? name : `${name} ${label}`,
      Number(value),
    ]),
  );
}
