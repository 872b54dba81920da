/**
 * Meta-training whose clients are peers: the invitation says who serves, who works and what the run is.
 *
 *     server    rounds, φ and rates: `MetaTraining`, its clients behind a star
 *     client    draws the task of a place, trains on it in a process of its own, sends what came out
 *
 * A task is a function of its place and start, so the result is that of the run on one machine, whoever works on what.
 */

import type { Clock } from "@adastra/core";
import type { Client, MetaTraining } from "@adastra/meta";
import { federationClient, federationServer, type Traffic, type Transport } from "@adastra/swarm";
import { type Identity, libp2pTransport, type Roster } from "@adastra/swarm/libp2p";
import { createClientPool } from "../meta/clientPool.ts";
import type { MakeClient, MetaProblem, OpenMetaProblem } from "../meta/metaProblem.ts";
import { findMetaProblem } from "../meta/problems.ts";
import { isRun, type MetaRun } from "../meta/run.ts";
import { systemTimers } from "../swarm/systemTimers.ts";
import { type JobValues, jobValues } from "./jobValues.ts";

/** The server's place in the roster. */
export const SERVER = 0;

/** What stands in an invitation to work for a server. */
export interface FederationConfig {
  readonly kind: "meta";
  readonly run: MetaRun;
}

/**
 * The run of an invitation, which anybody may have written.
 *
 * @throws RangeError for an invitation to something else, a problem that there is not, or a method that it does not take.
 */
export function requireFederation({ config, mixing }: Pick<Roster, "config" | "mixing">): {
  readonly run: MetaRun;
  readonly problem: MetaProblem;
} {
  const { kind, run } = (config ?? {}) as Partial<FederationConfig>;
  if (kind !== "meta" || !isRun(run)) {
    throw new RangeError(
      `meta: the invitation must be to meta-training, got ${JSON.stringify(config).slice(0, 80)}; take one that adastra meta invite wrote, or adastra swarm join for a swarm's`,
    );
  }
  const { neighbors } = mixing.graph;
  if (neighbors[SERVER]?.length !== neighbors.length - 1) {
    throw new RangeError(
      `meta: the invitation's graph must be a star around its first peer, got ${neighbors[SERVER]?.length ?? 0} neighbours of it among ${neighbors.length} peers; ask its founder for another`,
    );
  }
  return { run, problem: findMetaProblem(run.problem) };
}

/**
 * What travels between the server of a run and its clients.
 *
 * @throws RangeError for a method whose optimizer goes from task to task: its state does not travel.
 */
export function valuesOf(opened: OpenMetaProblem, run: MetaRun): JobValues {
  const training = opened.start(run);
  if (training.learner.carries) {
    throw new RangeError(
      `meta: --method must leave tasks independent for clients at peers, got ${run.method}, which carries its optimizer from task to task; take aruba, sgd or fomaml`,
    );
  }
  const learnsRates = training.learner.aruba !== undefined;
  const second = run.method === "fomaml" ? "queryGradient" : "none";
  return jobValues(training.params, learnsRates ? "rates" : second);
}

export interface FederationOptions {
  readonly roster: Roster;
  readonly identity: Identity;
  readonly clock: Clock;
  /** Where it listens, where that is not what the roster tells. */
  readonly listen?: readonly string[];
}

export interface FederatedTraining {
  readonly training: MetaTraining;
  /** Clients that are there, and tasks that were given to a second one. */
  readonly clients: number;
  readonly repeated: number;
  readonly traffic: Traffic;
  /** Leaves the network; clients are told that the run is over, or wait for the server's return where it is not. */
  close(isOver: boolean): Promise<void>;
}

/**
 * Listens as the server of a run. A round waits for clients as long as there are none.
 *
 * @param session - of this start of the server, drawn at random.
 * @throws RangeError where the identity is not the server's, and what `libp2pTransport` and `valuesOf` throw.
 */
export async function serveFederation(
  opened: OpenMetaProblem,
  { roster, session, ...options }: FederationOptions & { readonly session: number },
): Promise<FederatedTraining> {
  const { run } = requireFederation(roster);
  if (roster.peers[SERVER]?.id !== options.identity.id) {
    throw new RangeError(
      `meta serve: the key must be that of the invitation's first peer, ${roster.peers[SERVER]?.id}, got that of ${options.identity.id}; name it with --key, or join`,
    );
  }
  const values = valuesOf(opened, run);
  const transport = await connect(values, { roster, ...options });
  const server = federationServer({ transport, timers: systemTimers(options.clock), session });
  const makeClient: MakeClient =
    (place, { examples }): Client =>
    async (start) =>
      values.unpackResult(await server.ask(values.packStart(place, start)), examples);
  return {
    training: opened.start(run, makeClient),
    get clients() {
      return server.clients;
    },
    get repeated() {
      return server.repeated;
    },
    get traffic() {
      return transport.traffic;
    },
    close: async (isOver) => {
      await server.close(isOver);
      await transport.close();
    },
  };
}

export interface JoinResult {
  /** Tasks trained on. */
  readonly tasks: number;
  readonly traffic: Traffic;
  readonly interrupted: boolean;
}

/**
 * Works for the server of a run until it says that there is no more to do.
 *
 * @throws what `libp2pTransport` and `valuesOf` throw, and Error where a task could not be trained on; it has left then.
 */
export async function joinFederation({
  onTask = () => undefined,
  signal,
  ...options
}: FederationOptions & {
  readonly onTask?: (done: number, traffic: Traffic) => void;
  readonly signal?: AbortSignal;
}): Promise<JoinResult> {
  const { run, problem } = requireFederation(options.roster);
  const values = valuesOf(await problem.open(), run);
  const transport = await connect(values, options);
  // A process of its own: signs of life go on while it trains.
  const pool = createClientPool(run, 1);
  let tasks = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      const client = federationClient({
        transport,
        timers: systemTimers(options.clock),
        server: SERVER,
        work: async (asked) => {
          const { place, start } = values.unpackStart(asked);
          return values.packResult(await pool.client(place)(start));
        },
        onJob: (done) => {
          tasks = done;
          onTask(done, transport.traffic);
        },
        onEnd: (error) => (error === undefined ? resolve() : reject(error as Error)),
      });
      signal?.addEventListener("abort", () => client.stop(), { once: true });
      if (signal?.aborted) {
        client.stop();
      }
    });
  } finally {
    pool.close();
    await transport.close();
  }
  return { tasks, traffic: transport.traffic, interrupted: signal?.aborted ?? false };
}

function connect(
  { layout }: JobValues,
  { roster, identity, clock, listen }: FederationOptions,
): Promise<Transport> {
  return libp2pTransport({
    identity,
    roster,
    layout,
    timers: systemTimers(clock),
    ...(listen !== undefined && { listen }),
  });
}
