/** Peers of a whole graph in one process, in virtual time: the same loop that runs on the network. */

import { mulberry32, type OptimizerState, type Random } from "@adastra/core";
import type { Mixing } from "../mixing/mixing.ts";
import { PeerLoop } from "../peer/peer.ts";
import type { PeerOptions, RoundReport } from "../peer/peerOptions.ts";
import type { Peer, Round } from "../protocol/message.ts";
import type { Trainer } from "../train/trainer.ts";
import { Life } from "./life.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { VirtualTime } from "./virtualTime.ts";

/** What happens to a peer. */
export type Fault =
  /**
   * It dies at once, without a word. After `forMs`, where given, it returns: with its last checkpoint (default; from the
   * start where it has none), or with what a neighbour has.
   */
  | {
      readonly kind: "crash";
      readonly peer: Peer;
      readonly atMs: number;
      readonly forMs?: number;
      readonly returns?: "checkpoint" | "neighbor";
    }
  /** It stands still. */
  | { readonly kind: "pause"; readonly peer: Peer; readonly atMs: number; readonly forMs: number };

export interface SimulateOptions
  extends Pick<
    PeerOptions,
    | "compression"
    | "consensusStep"
    | "clip"
    | "deadline"
    | "heartbeatMs"
    | "misses"
    | "lingerMs"
    | "rounds"
  > {
  readonly mixing: Mixing;
  /** Makes a peer's trainer; called again when it returns from a crash. */
  readonly trainer: (peer: Peer) => Trainer;
  /** Virtual milliseconds of a gradient and a step, of every peer or by peer; default 10. */
  readonly computeMs?: number | ((peer: Peer, random: Random) => number);
  readonly network?: NetworkOptions;
  readonly faults?: readonly Fault[];
  /** Rounds between two checkpoints of a peer that may crash, default 10. */
  readonly checkpointEvery?: number;
  /** Of all draws, default 0. */
  readonly seed?: number;
  /** Called after each round of each peer, at its virtual time. */
  readonly onRound?: (report: RoundReport & { readonly atMs: number }) => void;
  /** Stops the run where it is. */
  readonly signal?: { readonly aborted: boolean };
}

/** How a simulation ended. */
export interface Simulation {
  /** Virtual milliseconds until the last peer was done. */
  readonly ms: number;
  /** By peer: its trainer as the run left it. */
  readonly trainers: readonly Trainer[];
  readonly peers: readonly PeerSummary[];
}

export interface PeerSummary {
  /** Rounds it took part in, and the edges of them by how they ended. */
  readonly rounds: number;
  readonly mixed: number;
  readonly dropped: number;
  readonly unknown: number;
  readonly late: number;
  /** Longest time between the ends of two rounds, in virtual milliseconds; crashes and pauses of its own apart. */
  readonly longestStallMs: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/**
 * Runs every peer of a graph to its last round.
 *
 * Deterministic: seed and options decide every number, whatever the machine; gradients may take their time on other threads.
 *
 * @throws what a trainer throws, and RangeError for options out of range.
 */
export function simulate(options: SimulateOptions): Promise<Simulation> {
  return new Simulator(options).run();
}

/** A peer over all its lives. */
interface Subject {
  readonly random: Random;
  life: Life | undefined;
  trainer: Trainer | undefined;
  saved: { readonly round: Round; readonly state: OptimizerState } | undefined;
  /** Whether it is done, or dead for good. */
  over: boolean;
  /** When its last round ended, or its life began. */
  last: number;
  readonly summary: { -readonly [Key in keyof PeerSummary]: PeerSummary[Key] };
}

class Simulator {
  private readonly options: SimulateOptions;
  private readonly time = new VirtualTime();
  private readonly network: Network;
  private readonly sessions: Random;
  private readonly subjects: readonly Subject[];
  private readonly crashing: ReadonlySet<Peer>;
  private failure: { readonly error: unknown } | undefined;

  constructor(options: SimulateOptions) {
    const { mixing, network, faults = [], seed = 0 } = options;
    this.options = options;
    const random = mulberry32(seed);
    this.network = new Network(this.time, random.fork("network"), mixing.graph, network);
    this.sessions = random.fork("sessions");
    this.crashing = new Set(faults.flatMap(({ kind, peer }) => (kind === "crash" ? [peer] : [])));
    this.subjects = mixing.graph.neighbors.map((_, peer) => ({
      random: random.fork(`peer ${peer}`),
      life: undefined,
      trainer: undefined,
      saved: undefined,
      over: false,
      last: 0,
      summary: { ...NOTHING },
    }));
    for (const fault of faults) {
      if (this.subjects[fault.peer] === undefined || !(fault.atMs >= 0)) {
        throw new RangeError(
          `simulate: a fault must happen to a peer of the graph at a time of at least 0, got peer ${fault.peer} at ${fault.atMs} ms`,
        );
      }
      this.time.after(fault.atMs, () => this.strike(fault));
    }
  }

  async run(): Promise<Simulation> {
    const { signal } = this.options;
    for (const peer of this.subjects.keys()) {
      this.begin(peer, "new");
    }
    await this.time.run(
      () =>
        this.failure !== undefined ||
        signal?.aborted === true ||
        this.subjects.every(({ over }) => over),
    );
    if (this.failure !== undefined) {
      throw this.failure.error;
    }
    return {
      ms: this.time.now(),
      trainers: this.subjects.map(({ trainer }) => trainer as Trainer),
      peers: this.subjects.map(({ summary }) => summary),
    };
  }

  /** A life of a peer begins. */
  private begin(peer: Peer, how: "new" | "checkpoint" | "neighbor"): void {
    const { trainer, computeMs = 10 } = this.options;
    const subject = this.subjects[peer] as Subject;
    const life = new Life(this.time, this.network.connect(peer));
    const own = trainer(peer);
    const saved = how === "checkpoint" ? subject.saved : undefined;
    if (saved !== undefined) {
      own.load(saved.state);
    }
    subject.life = life;
    subject.trainer = own;
    subject.last = this.time.now();
    const duration = (): number =>
      typeof computeMs === "number" ? computeMs : computeMs(peer, subject.random);
    const loop = new PeerLoop({
      ...this.options,
      transport: life.transport,
      timers: life,
      trainer: own,
      session: this.sessions.integer(2 ** 32),
      after: saved?.round ?? 0,
      fetch: how === "neighbor",
      compute: (work, then, fail) => life.work(duration() / 2, work, then, fail),
      onRound: (report) => this.observe(subject, report),
      onEnd: (error) => {
        if (error !== undefined) {
          this.failure ??= { error };
        }
        this.endLife(subject);
        subject.over = true;
      },
    });
    loop.start();
  }

  private observe(subject: Subject, report: RoundReport): void {
    const now = this.time.now();
    const { summary } = subject;
    summary.rounds += 1;
    summary.mixed += report.mixed;
    summary.dropped += report.dropped;
    summary.unknown += report.unknown;
    summary.late += report.late;
    summary.longestStallMs = Math.max(summary.longestStallMs, now - subject.last);
    subject.last = now;
    const { checkpointEvery = 10, onRound } = this.options;
    if (this.crashing.has(report.peer) && report.round % checkpointEvery === 0) {
      subject.saved = { round: report.round, state: (subject.trainer as Trainer).save() };
    }
    onRound?.({ ...report, atMs: now });
  }

  private strike(fault: Fault): void {
    const subject = this.subjects[fault.peer] as Subject;
    if (subject.life === undefined) {
      return; // done, or dead already
    }
    if (fault.kind === "pause") {
      subject.life.pause(fault.forMs);
      subject.last = this.time.now() + fault.forMs;
      return;
    }
    this.endLife(subject);
    const { forMs, returns = "checkpoint" } = fault;
    if (forMs === undefined) {
      subject.over = true;
    } else {
      this.time.after(forMs, () => this.begin(fault.peer, returns));
    }
  }

  private endLife(subject: Subject): void {
    const { life, summary } = subject;
    if (life !== undefined) {
      subject.life = undefined;
      const { sent, received } = life.transport.traffic;
      summary.bytesSent += sent;
      summary.bytesReceived += received;
      life.end();
    }
  }
}

const NOTHING: PeerSummary = {
  rounds: 0,
  mixed: 0,
  dropped: 0,
  unknown: 0,
  late: 0,
  longestStallMs: 0,
  bytesSent: 0,
  bytesReceived: 0,
};
