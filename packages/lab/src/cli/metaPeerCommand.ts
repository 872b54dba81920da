/** `adastra meta invite | serve | join`: a server's rounds with clients at real peers. */

import { layoutId, metropolis, star } from "@adastra/swarm";
import type { Roster } from "@adastra/swarm/libp2p";
import { describeRun } from "../meta/run.ts";
import { drawRun, drawSession, INVITATION, KEY, readInvited } from "./invited.ts";
import { createLiveLine } from "./liveLine.ts";
import type { MetaOptions } from "./metaOptions.ts";
import { trainIn } from "./metaTrain.ts";
import { problemNamed, runOf } from "./metaWords.ts";
import type { MetaWorld } from "./metaWorld.ts";
import { writeAtomically } from "./resultFiles.ts";
import { exitCodes, UsageError } from "./terminal.ts";

/**
 * Founds a run: writes who serves it, who works for it and what it trains, signed with the key.
 *
 * @throws UsageError without a server and a client; RangeError for what a roster cannot be, or a method whose tasks follow
 * one another.
 */
export async function invite(
  problemName: string,
  options: MetaOptions,
  { terminal, randomBytes }: MetaWorld,
): Promise<number> {
  const { key = KEY, invitation = INVITATION, members = [], json } = options;
  const problem = problemNamed(problemName);
  const run = runOf("meta invite", problem, options);
  if (members.length < 2) {
    throw new UsageError(
      `meta invite: --members must name the server and at least one client, got ${members.length}; ask each for the id that adastra swarm identity prints`,
    );
  }
  const [{ createInvitation, loadIdentity }, { valuesOf }] = await Promise.all([
    import("@adastra/swarm/libp2p"),
    import("../federation/federation.ts"),
  ]);
  const { layout } = valuesOf(await problem.open(), run);
  const founder = await loadIdentity(key);
  const roster: Roster = {
    run: drawRun(randomBytes),
    epoch: 0,
    layout: await layoutId(layout, 0),
    mixing: metropolis(star(members.length)),
    peers: members,
    config: { kind: "meta", run },
  };
  writeAtomically(invitation, `${await createInvitation(roster, founder)}\n`);
  const clients = members.length - 1;
  terminal.out(
    json
      ? `${JSON.stringify({ run: roster.run, founder: founder.id, invitation, clients })}\n`
      : `run ${roster.run}, ${describeRun(run)}, with ${clients} ${clients === 1 ? "client" : "clients"}: ${invitation}\n` +
          `its server: adastra meta serve --invitation ${invitation} --founder ${founder.id}\n` +
          `each client: adastra meta join --invitation ${invitation} --founder ${founder.id}\n`,
  );
  return exitCodes.ok;
}

/**
 * Takes a run's rounds as its server, with the result of `adastra meta train` of the same run.
 *
 * The first Ctrl-C ends it with a checkpoint; clients then wait for `--resume`.
 *
 * @throws UsageError without a founder; RangeError for an invitation that is not the founder's, or not to this server.
 */
export async function serve(options: MetaOptions, world: MetaWorld): Promise<number> {
  const { roster, identity } = await readInvited("meta serve", options);
  const { requireFederation, serveFederation } = await import("../federation/federation.ts");
  const { run, problem } = requireFederation(roster);
  const { clock, randomBytes } = world;
  const { listen } = options;
  return trainIn("meta serve", run, options, world, async () => {
    const federated = await serveFederation(await problem.open(), {
      roster,
      identity,
      clock,
      session: drawSession(randomBytes),
      ...(listen !== undefined && { listen: [listen] }),
    });
    const invitedClients = roster.peers.length - 1;
    return {
      training: federated.training,
      // A round may wait for clients for ever: it is dropped, and nothing has changed by it.
      interrupt: () => void federated.close(false),
      status: () =>
        `, ${federated.clients} of ${invitedClients} clients, ${megabytes(federated.traffic.sent)} sent`,
      close: (isOver) => federated.close(isOver),
    };
  });
}

/**
 * Trains on the tasks that a run's server gives, until there are no more.
 *
 * @throws UsageError without a founder; RangeError for an invitation that is not the founder's or not to this client.
 */
export async function join(options: MetaOptions, world: MetaWorld): Promise<number> {
  const { terminal, clock, onInterrupt } = world;
  const { roster, identity } = await readInvited("meta join", options);
  const { joinFederation } = await import("../federation/federation.ts");
  const controller = new AbortController();
  const release = onInterrupt(() => {
    terminal.err("\nleaving; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  const live = createLiveLine(terminal, clock);
  try {
    const result = await joinFederation({
      roster,
      identity,
      clock,
      signal: controller.signal,
      onTask: (done, { sent, received }) =>
        live.show(
          () =>
            `${done} ${done === 1 ? "task" : "tasks"}, ${megabytes(received)} received, ${megabytes(sent)} sent`,
        ),
    });
    live.end();
    const { tasks, traffic, interrupted } = result;
    terminal.out(
      options.json
        ? `${JSON.stringify(result)}\n`
        : `trained on ${tasks} tasks, ${megabytes(traffic.sent)} sent, ${megabytes(traffic.received)} received\n`,
    );
    return interrupted ? exitCodes.interrupted : exitCodes.ok;
  } finally {
    release();
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
