/** `adastra meta invite | serve | join`: a server's rounds with clients at real peers. */

import { readFile } from "node:fs/promises";
import { layoutId, metropolis, star } from "@adastra/swarm";
import type { Identity, Roster } from "@adastra/swarm/libp2p";
import { describeRun } from "../meta/run.ts";
import { trainIn } from "./metaTrain.ts";
import { problemNamed, runOf } from "./metaWords.ts";
import type { MetaWorld } from "./metaWorld.ts";
import type { CommandOptions } from "./options.ts";
import { writeAtomically } from "./resultFiles.ts";
import { exitCodes, UsageError } from "./terminal.ts";

type Options = CommandOptions["meta"];

const KEY = "adastra.key";
const INVITATION = "invitation.json";

/**
 * Founds a run: writes who serves it, who works for it and what it trains, signed with the key.
 *
 * @throws UsageError without a server and a client; RangeError for what a roster cannot be, or a method whose tasks follow
 * one another.
 */
export async function invite(
  problemName: string,
  options: Options,
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
    run: Array.from(randomBytes(8), (byte) => byte.toString(16).padStart(2, "0")).join(""),
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
export async function serve(options: Options, world: MetaWorld): Promise<number> {
  const { roster, identity } = await invited("meta serve", options);
  const { requireFederation, serveFederation } = await import("../federation/federation.ts");
  const { run, problem } = requireFederation(roster);
  const { clock, randomBytes } = world;
  const { listen } = options;
  return trainIn("meta serve", run, options, world, async () => {
    const federated = await serveFederation(await problem.open(), {
      roster,
      identity,
      clock,
      session: new DataView(randomBytes(4).buffer).getUint32(0),
      ...(listen !== undefined && { listen: [listen] }),
    });
    const invitedClients = roster.peers.length - 1;
    return {
      training: federated.training,
      status: () =>
        `, ${federated.clients} of ${invitedClients} clients, ${(federated.traffic.sent / 1e6).toFixed(1)} MB sent`,
      close: (isOver) => federated.close(isOver),
    };
  });
}

/**
 * Trains on the tasks that a run's server gives, until there are no more.
 *
 * @throws UsageError without a founder; RangeError for an invitation that is not the founder's or not to this client.
 */
export async function join(options: Options, world: MetaWorld): Promise<number> {
  const { terminal, clock, onInterrupt } = world;
  const { roster, identity } = await invited("meta join", options);
  const { joinFederation } = await import("../federation/federation.ts");
  const controller = new AbortController();
  const release = onInterrupt(() => {
    terminal.err("\nleaving; press Ctrl-C again to leave at once\n");
    controller.abort();
  });
  let shown = Number.NEGATIVE_INFINITY;
  try {
    const result = await joinFederation({
      roster,
      identity,
      clock,
      signal: controller.signal,
      onTask: (done, { sent, received }) => {
        const now = clock.now();
        if (now - shown >= (terminal.isTty ? 200 : 5000)) {
          shown = now;
          const line = `${done} ${done === 1 ? "task" : "tasks"}, ${(received / 1e6).toFixed(1)} MB received, ${(sent / 1e6).toFixed(1)} MB sent`;
          terminal.err(terminal.isTty ? `\r\u001b[K${line}` : `${line}\n`);
        }
      },
    });
    if (terminal.isTty) {
      terminal.err("\n");
    }
    const { tasks, traffic, interrupted } = result;
    terminal.out(
      options.json
        ? `${JSON.stringify(result)}\n`
        : `trained on ${tasks} tasks, ${(traffic.sent / 1e6).toFixed(1)} MB sent, ${(traffic.received / 1e6).toFixed(1)} MB received\n`,
    );
    return interrupted ? exitCodes.interrupted : exitCodes.ok;
  } finally {
    release();
  }
}

/** The invitation that the options name, and the identity of this machine. */
async function invited(
  where: string,
  { key = KEY, invitation = INVITATION, founder }: Options,
): Promise<{ readonly roster: Roster; readonly identity: Identity }> {
  if (founder === undefined) {
    throw new UsageError(
      `${where}: --founder must name the peer id whose invitations are taken, got none; ask who sent the invitation`,
    );
  }
  const { loadIdentity, readInvitation } = await import("@adastra/swarm/libp2p");
  const roster = await readInvitation(await readFile(invitation, "utf8"), founder);
  return { roster, identity: await loadIdentity(key) };
}
