/** A client of a star: works on what the server sends and sends what came out; `server.ts` has the exchange. */

import type { Timers } from "../clock.ts";
import { Alarms } from "../peer/alarms.ts";
import { atOnce, type Compute } from "../peer/compute.ts";
import type { Message, Peer, Round } from "../protocol/message.ts";
import type { Values } from "../train/values.ts";
import type { Transport } from "../transport/transport.ts";

export interface FederationClientOptions {
  readonly transport: Transport;
  readonly timers: Timers;
  /** The centre's place in the roster, default 0. */
  readonly server?: Peer;
  /** Works on values; must not change them, and must be a function of them: it may be asked again. */
  readonly work: (values: Values) => Promise<Values> | Values;
  /** Between two signs of life, default 1000 ms; as the server's. */
  readonly heartbeatMs?: number;
  /** How long a result may be unconfirmed before it is sent again, default 5000 ms; doubled every time. */
  readonly retryMs?: number;
  /** Called after each job, with how many there were. */
  readonly onJob?: (done: number) => void;
  /** Called once: the server has no more to do, the client was stopped, or its work failed. */
  readonly onEnd?: (error?: unknown) => void;
  /** As of `PeerLoop`. */
  readonly compute?: Compute;
}

export interface FederationClient {
  /** Leaves: the server gives the job to another one. */
  stop(): void;
}

interface Job {
  readonly session: number;
  readonly number: Round;
  readonly values: Values;
  result: Values | undefined;
  /** Whether the server said that it has the result. */
  delivered: boolean;
}

/** Works for the server of a star until it says that there is no more to do; a client whose work throws leaves. */
export function federationClient(options: FederationClientOptions): FederationClient {
  return new Client(options);
}

class Client implements FederationClient {
  private readonly options: FederationClientOptions;
  private readonly server: Peer;
  private readonly alarms: Alarms;
  /** What it is at or was at last. */
  private job: Job | undefined;
  /** What it was asked for meanwhile. */
  private next: Job | undefined;
  private working = false;
  private done = 0;
  private ended = false;

  constructor(options: FederationClientOptions) {
    const { transport, timers, server = 0 } = options;
    this.options = options;
    this.server = server;
    this.alarms = new Alarms(timers);
    transport.listen({
      message: (from, message) => {
        if (from === server && !this.ended) {
          this.receive(message);
        }
      },
      up: (peer) => {
        if (peer === server && !this.ended) {
          this.sayHello();
          this.sendResult();
        }
      },
    });
    this.beat();
  }

  stop(): void {
    this.end();
  }

  private receive(message: Message): void {
    switch (message.kind) {
      case "values":
        if (message.payload.form === "dense") {
          this.take(message.settled.session, message.round, message.payload.values);
        }
        return;
      case "have":
        if (message.round === this.job?.number) {
          this.job.delivered = true;
          this.alarms.clear("result");
        }
        return;
      case "leave":
        this.end();
        return;
      default:
        return; // a sign of life, or a message of peers that mix
    }
  }

  private take(session: number, number: Round, values: Values): void {
    this.options.transport.send(this.server, { kind: "have", round: number });
    const isSame = (job: Job | undefined): boolean =>
      job?.number === number && job.session === session;
    if (this.job !== undefined && isSame(this.job)) {
      this.job.delivered = false;
      this.sendResult();
    } else if (!isSame(this.next)) {
      this.next = { session, number, values, result: undefined, delivered: false };
      this.begin();
    }
  }

  private begin(): void {
    if (this.working || this.next === undefined || this.ended) {
      return;
    }
    const job = this.next;
    [this.job, this.next, this.working] = [job, undefined, true];
    const { work, compute = atOnce, onJob } = this.options;
    compute(
      async () => {
        job.result = await work(job.values);
      },
      () => {
        this.working = false;
        this.done += 1;
        if (!this.ended) {
          this.sendResult();
          onJob?.(this.done);
          this.begin();
        }
      },
      (error) => this.end(error),
    );
  }

  /** Sends what came out, where it is there and the server does not have it; and again until it says so. */
  private sendResult(retryMs = this.options.retryMs ?? 5000): void {
    const { job } = this;
    if (job?.result === undefined || job.delivered) {
      return;
    }
    this.options.transport.send(this.server, {
      kind: "values",
      round: job.number,
      settled: { session: job.session, mixed: 0, closed: 0, unknown: 0 },
      payload: { form: "dense", values: job.result },
    });
    this.alarms.set("result", retryMs, () => this.sendResult(2 * retryMs));
  }

  private sayHello(): void {
    const { session = 0, number = 0 } = this.job ?? {};
    this.options.transport.send(this.server, {
      kind: "beat",
      round: number,
      settled: { session, mixed: 0, closed: 0, unknown: 0 },
    });
  }

  private beat(): void {
    this.sayHello();
    this.alarms.set("beat", this.options.heartbeatMs ?? 1000, () => this.beat());
  }

  private end(error?: unknown): void {
    if (!this.ended) {
      this.ended = true;
      this.alarms.clearAll();
      this.options.transport.send(this.server, { kind: "leave" });
      this.options.onEnd?.(error);
    }
  }
}
