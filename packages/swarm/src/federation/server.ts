/**
 * The centre of a star: gives clients values to work on and takes theirs, in the frames that peers of any graph exchange.
 *
 *     →  values j     work on these: job j of this session
 *     ←  have j       they are here
 *     ←  beat j       still at it, or at what the job says
 *     ←  values j     what came out; sent again until
 *     →  have j       it is here
 *     →  leave        there is no more to do
 *
 * A client is asked for one job at a time. What it does is a function of the values that it was given, so a job whose client
 * dies or falls silent is given to another one, and one that takes three times as long as jobs usually do to a second one as
 * well: the first answer counts, and nobody waits for a slow client while another is free.
 */

import type { Timers } from "../clock.ts";
import { Alarms } from "../peer/alarms.ts";
import { Deadline, type DeadlineOptions } from "../peer/deadline.ts";
import type { Message, Payload, Peer, Round } from "../protocol/message.ts";
import type { Values } from "../train/values.ts";
import type { Transport } from "../transport/transport.ts";

export interface FederationServerOptions {
  readonly transport: Transport;
  readonly timers: Timers;
  /** Told apart from this server's earlier sessions; drawn at random. */
  readonly session: number;
  /**
   * How long a job may take before another client is given it too, and before `askClient` gives up: at first 30 s, then three
   * times the median of the last ones, 1 s at least and 10 min at most.
   */
  readonly deadline?: DeadlineOptions;
  /** Between two signs of life, default 1000 ms: of clients, too. */
  readonly heartbeatMs?: number;
  /** How long a job may be unconfirmed before it is sent again, default 5000 ms; doubled every time. */
  readonly retryMs?: number;
  /** How long a server that closes stays to tell clients so, default 500 ms. */
  readonly lingerMs?: number;
}

export interface FederationServer {
  /** Clients that can be asked, busy ones among them. */
  readonly clients: number;
  /** Jobs that were given to a second client: its first one was gone, silent or slow. */
  readonly repeated: number;
  /**
   * Has one of the clients work on values, whichever is free first; waits for as long as there is none.
   *
   * @returns what came out; rejects once the server is closed.
   */
  ask(values: Values): Promise<Values>;
  /** Has this client and no other work on values; undefined where it is away, goes, or does not answer in time. */
  askClient(client: Peer, values: Values): Promise<Values | undefined>;
  /**
   * Ends; jobs that are open are rejected.
   *
   * @param isOver - whether clients are told that there is no more to do, default true; else they wait for the server's return.
   */
  close(isOver?: boolean): Promise<void>;
}

/** Heartbeats in a row that are missed by who fell silent. */
const SILENT_BEATS = 5;

const DEADLINE: Required<DeadlineOptions> = {
  firstMs: 30_000,
  leastMs: 1000,
  mostMs: 600_000,
  factor: 3,
};

interface Job {
  readonly number: Round;
  readonly values: Values;
  /** The one client that may be given it. */
  readonly only: Peer | undefined;
  /** Clients that were given it, and those of them that are at it. */
  readonly given: Set<Peer>;
  readonly at: Set<Peer>;
  /** From when on it takes time: when it was first given to a client, or asked of the one. */
  started: number;
  readonly resolve: (values: Values | undefined) => void;
  readonly reject: (error: Error) => void;
}

interface Client {
  present: boolean;
  heardAt: number;
  /** What it is at; still that where another one has answered meanwhile. */
  job: Job | undefined;
  /** Whether it said that it knows of the job. */
  confirmed: boolean;
}

/**
 * Serves the clients of a star, whoever of them is there.
 *
 * @throws RangeError for a session that is no u32.
 */
export function federationServer(options: FederationServerOptions): FederationServer {
  return new Server(options);
}

class Server implements FederationServer {
  private readonly transport: Transport;
  private readonly timers: Timers;
  private readonly alarms: Alarms;
  private readonly deadline: Deadline;
  private readonly session: number;
  private readonly options: Required<
    Pick<FederationServerOptions, "heartbeatMs" | "retryMs" | "lingerMs">
  >;
  private readonly known = new Map<Peer, Client>();
  private readonly open = new Map<Round, Job>();
  /** Open jobs that no client is at, in the order in which they are to be given. */
  private readonly waiting: Job[] = [];
  private last: Round = 0;
  private repeats = 0;
  private closed = false;
  private isOver = false;

  constructor({
    transport,
    timers,
    session,
    deadline = {},
    heartbeatMs = 1000,
    retryMs = 5000,
    lingerMs = 500,
  }: FederationServerOptions) {
    if (!(Number.isInteger(session) && session >= 0 && session < 2 ** 32)) {
      throw new RangeError(
        `federationServer: \`session\` must be an integer in [0, 2^32), got ${session}`,
      );
    }
    this.transport = transport;
    this.timers = timers;
    this.session = session;
    this.alarms = new Alarms(timers);
    this.deadline = new Deadline({ ...DEADLINE, ...deadline });
    this.options = { heartbeatMs, retryMs, lingerMs };
    transport.listen({
      message: (from, message) => this.receive(from, message),
      up: (peer) => this.hear(peer),
      down: (peer) => this.lose(peer),
    });
    this.beat();
  }

  get clients(): number {
    return [...this.known.values()].filter(({ present }) => present).length;
  }

  get repeated(): number {
    return this.repeats;
  }

  async ask(values: Values): Promise<Values> {
    return (await this.begin(values, undefined)) as Values;
  }

  askClient(client: Peer, values: Values): Promise<Values | undefined> {
    return this.known.get(client)?.present === true
      ? this.begin(values, client)
      : Promise.resolve(undefined);
  }

  close(isOver = true): Promise<void> {
    if (this.closed) {
      return Promise.resolve();
    }
    this.closed = true;
    this.isOver = isOver;
    this.alarms.clearAll();
    for (const { reject } of this.open.values()) {
      reject(new Error("federationServer: the server was closed before the job was done"));
    }
    this.open.clear();
    if (!isOver) {
      return Promise.resolve();
    }
    for (const client of this.known.keys()) {
      this.transport.send(client, { kind: "leave" });
    }
    return new Promise((resolve) => this.timers.after(this.options.lingerMs, resolve));
  }

  private begin(values: Values, only: Peer | undefined): Promise<Values | undefined> {
    if (this.closed) {
      return Promise.reject(new Error("federationServer: the server is closed"));
    }
    return new Promise((resolve, reject) => {
      this.last += 1;
      const job: Job = {
        number: this.last,
        values,
        only,
        given: new Set(),
        at: new Set(),
        started: only === undefined ? Number.POSITIVE_INFINITY : this.timers.now(),
        resolve,
        reject,
      };
      this.open.set(job.number, job);
      this.waiting.push(job);
      this.assign();
    });
  }

  /** Gives jobs to clients that are free. */
  private assign(): void {
    for (const [peer, client] of this.known) {
      if (client.present && client.job === undefined) {
        const index = this.waiting.findIndex(({ only }) => only === undefined || only === peer);
        const [job] = index < 0 ? [] : this.waiting.splice(index, 1);
        if (job !== undefined) {
          this.give(peer, client, job);
        }
      }
    }
  }

  private give(peer: Peer, client: Client, job: Job): void {
    client.job = job;
    job.started = Math.min(job.started, this.timers.now());
    this.repeats += Number(job.given.size > 0 && !job.given.has(peer));
    job.given.add(peer);
    job.at.add(peer);
    this.sendJob(peer, client, job, this.options.retryMs);
  }

  /** Sends a job, and again until the client says that it knows of it. */
  private sendJob(peer: Peer, client: Client, job: Job, retryMs: number): void {
    client.confirmed = false;
    this.transport.send(peer, {
      kind: "values",
      round: job.number,
      settled: { session: this.session, mixed: 0, closed: 0, unknown: 0 },
      payload: { form: "dense", values: job.values },
    });
    this.alarms.set(`retry ${peer}`, retryMs, () => {
      if (client.job === job && !client.confirmed) {
        this.remind(peer, client, job, 2 * retryMs);
      }
    });
  }

  /** A client does not know of its job. */
  private remind(peer: Peer, client: Client, job: Job, retryMs: number): void {
    if (this.open.has(job.number)) {
      this.sendJob(peer, client, job, retryMs);
    } else {
      client.job = undefined;
      this.assign();
    }
  }

  private receive(from: Peer, message: Message): void {
    if (this.closed) {
      if (this.isOver && message.kind !== "leave") {
        this.transport.send(from, { kind: "leave" });
      }
      return;
    }
    if (message.kind === "leave") {
      this.lose(from);
      return;
    }
    const client = this.hear(from);
    const { job } = client;
    switch (message.kind) {
      case "have":
        client.confirmed ||= job?.number === message.round;
        return;
      case "beat": {
        const knows = job?.number === message.round && message.settled.session === this.session;
        if (job !== undefined && client.confirmed && !knows) {
          this.remind(from, client, job, this.options.retryMs); // it began anew
        }
        client.confirmed ||= knows;
        return;
      }
      case "values": {
        this.transport.send(from, { kind: "have", round: message.round });
        if (message.settled.session === this.session) {
          this.answer(from, client, message.round, message.payload);
        }
        return;
      }
      default:
        return; // a message of peers that mix
    }
  }

  private answer(from: Peer, client: Client, round: Round, payload: Payload): void {
    if (client.job?.number === round) {
      client.job = undefined;
      this.alarms.clear(`retry ${from}`);
    }
    const job = this.open.get(round);
    if (job?.given.has(from) === true && payload.form === "dense") {
      this.deadline.observe(this.timers.now() - job.started);
      this.end(job, payload.values);
    }
    this.assign();
  }

  /** A job is over. Others that are at it are free once they say what came out. */
  private end(job: Job, values: Values | undefined): void {
    this.open.delete(job.number);
    const index = this.waiting.indexOf(job);
    if (index >= 0) {
      this.waiting.splice(index, 1);
    }
    job.resolve(values);
  }

  private hear(peer: Peer): Client {
    const known = this.known.get(peer);
    const now = this.timers.now();
    if (known?.present === true) {
      known.heardAt = now;
      return known;
    }
    const client: Client = { present: true, heardAt: now, job: undefined, confirmed: false };
    this.known.set(peer, client);
    if (!this.closed) {
      this.assign();
    } else if (this.isOver) {
      this.transport.send(peer, { kind: "leave" });
    }
    return client;
  }

  /** A client is gone. */
  private lose(peer: Peer): void {
    const client = this.known.get(peer);
    if (client === undefined) {
      return;
    }
    const { job } = client;
    client.present = false;
    client.job = undefined;
    this.alarms.clear(`retry ${peer}`);
    if (job === undefined || !this.open.has(job.number)) {
      return;
    }
    job.at.delete(peer);
    if (job.only !== undefined) {
      this.end(job, undefined);
    } else if (job.at.size === 0) {
      this.waiting.unshift(job);
      this.assign();
    }
  }

  /** Shows clients that the server lives, and looks for those that do not and for jobs that take long. */
  private beat(): void {
    const { heartbeatMs } = this.options;
    const now = this.timers.now();
    const settled = { session: this.session, mixed: 0, closed: 0, unknown: 0 };
    for (const [peer, client] of this.known) {
      if (client.present && now - client.heardAt >= SILENT_BEATS * heartbeatMs) {
        this.lose(peer);
      } else if (client.present) {
        this.transport.send(peer, { kind: "beat", round: this.last, settled });
      }
    }
    for (const job of this.open.values()) {
      if (now - job.started > this.deadline.ms) {
        this.hasten(job);
      }
    }
    this.alarms.set("beat", heartbeatMs, () => this.beat());
  }

  private hasten(job: Job): void {
    if (job.only !== undefined) {
      this.end(job, undefined);
      return;
    }
    const free = [...this.known].find(
      ([peer, { present, job: other }]) => present && other === undefined && !job.at.has(peer),
    );
    if (free !== undefined && job.at.size === 1) {
      this.give(...free, job);
    }
  }
}
