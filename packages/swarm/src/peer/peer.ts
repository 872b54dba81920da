/**
 * The loop of one peer, over any transport and clock.
 *
 *     round r:   send values → own gradient, and neighbours' values meanwhile → mix what both ends agreed on → step
 *
 * A round ends when the own gradient is there and every neighbour that is awaited has answered or its time is up: the
 * round's deadline, three times the median of recent rounds. A neighbour that missed some rounds in a row, fell silent or
 * went down is not awaited until it is heard of again; so nobody waits for a dead peer more than once, nor for a slow one
 * longer than the deadline. A peer that was away enters at the round that its neighbours are at.
 */

import type { Clock } from "@adastra/core";
import type { Timers } from "../clock.ts";
import { decode, encode, requireCompression } from "../protocol/compression.ts";
import type { Message, Peer, Round, Settlement } from "../protocol/message.ts";
import type { Trainer } from "../train/trainer.ts";
import type { Values } from "../train/values.ts";
import type { Transport } from "../transport/transport.ts";
import { Alarms } from "./alarms.ts";
import { atOnce, type Compute } from "./compute.ts";
import { Deadline } from "./deadline.ts";
import { rootMeanSquare, sampledDistance, squaredDistance } from "./distance.ts";
import { Edge, type Exchange } from "./edge.ts";
import { Neighbor } from "./neighbor.ts";
import type { PeerOptions, RoundReport } from "./peerOptions.ts";
import { RetiredArrays } from "./retiredArrays.ts";
import { clipFactor } from "./robust.ts";

/** Rounds behind its neighbours that make a peer slow, or one that was away. */
const MUCH_BEHIND = 3;

/** Before it asks again, a peer waits so long at least. */
const LEAST_NUDGE_MS = 5;

export class PeerLoop {
  readonly self: Peer;
  private readonly options: Required<
    Pick<
      PeerOptions,
      "compression" | "consensusStep" | "clip" | "heartbeatMs" | "misses" | "lingerMs"
    >
  >;
  private readonly transport: Transport;
  private readonly timers: Timers & Clock;
  private readonly trainer: Trainer;
  private readonly rounds: Round;
  private readonly deadline: Deadline;
  private readonly compute: Compute;
  private readonly onRound: (report: RoundReport) => void;
  private readonly onEnd: (error?: unknown) => void;
  private readonly neighbors: ReadonlyMap<Peer, Neighbor>;
  /** Those that have not left for good. */
  private present: readonly Neighbor[];
  private round: Round;
  private fetches: boolean | "behind";
  private readonly gatherMs: number;
  private state: "gathering" | "fetching" | "running" | "lingering" | "ended" = "running";
  private started = 0;
  /** Whether the round's own gradient is there. */
  private prepared = false;
  /** Whether the round is open for neighbours' values. */
  private open = false;
  private overdue = false;
  private late = 0;
  /** The values of the round that runs, and whether any of them were sent twice. */
  private mine: Values | undefined;
  private resent = false;
  private readonly arrays = new RetiredArrays();
  /** Exchanges of the past that turned out to count. */
  private readonly waiting: [Edge, Exchange][] = [];
  private readonly alarms: Alarms;

  constructor(options: PeerOptions) {
    const { transport, timers, trainer, mixing, rounds, session, after = 0 } = options;
    const { compression = "none", consensusStep = 1, clip = Number.POSITIVE_INFINITY } = options;
    requireCompression("PeerLoop", compression);
    if (!(consensusStep > 0 && consensusStep <= 1)) {
      throw new RangeError(`PeerLoop: \`consensusStep\` must be in (0, 1], got ${consensusStep}`);
    }
    if (!(clip > 0)) {
      throw new RangeError(`PeerLoop: \`clip\` must be greater than 0, got ${clip}`);
    }
    const { heartbeatMs = 1000, misses = 2, lingerMs = 500 } = options;
    this.options = { compression, consensusStep, clip, heartbeatMs, misses, lingerMs };
    this.self = transport.self;
    this.transport = transport;
    this.timers = timers;
    this.alarms = new Alarms(timers);
    this.trainer = trainer;
    this.rounds = rounds;
    this.deadline = new Deadline(options.deadline);
    this.compute = options.compute ?? atOnce;
    this.onRound = options.onRound ?? (() => undefined);
    this.onEnd = options.onEnd ?? (() => undefined);
    this.round = after;
    const keepBases = typeof compression === "object";
    const shares = mixing.shares[this.self] ?? [];
    this.neighbors = new Map(
      (mixing.graph.neighbors[this.self] ?? []).map((peer, k) => [
        peer,
        new Neighbor(new Edge(peer, shares[k] as number, session, keepBases), timers.now()),
      ]),
    );
    this.present = [...this.neighbors.values()];
    this.fetches = options.fetch ?? false;
    this.gatherMs = options.gatherMs ?? 0;
  }

  /** Begins; called once. */
  start(): void {
    this.transport.listen({
      message: (from, message) => this.receive(from, message),
      up: (peer) => this.found(peer),
      down: (peer) => this.lost(peer),
    });
    this.beat();
    if (this.gatherMs > 0) {
      this.state = "gathering";
      this.alarms.set("gather", this.gatherMs, () => this.enter());
    } else {
      this.enter();
    }
  }

  /** Leaves the gathering once every neighbour has been heard of. */
  private enterWhenGathered(): void {
    if (this.state === "gathering" && this.present.every(({ seen }) => seen)) {
      this.alarms.clear("gather");
      this.enter();
    }
  }

  private enter(): void {
    const ahead = this.latestRound();
    if (this.fetches === true || (this.fetches === "behind" && ahead >= MUCH_BEHIND)) {
      this.state = "fetching";
      this.fetch();
    } else {
      this.state = "running";
      this.begin();
    }
  }

  /** Ends at once; a round that runs is not mixed. */
  stop(): void {
    this.end();
  }

  private begin(): void {
    this.mixLate();
    // A peer that was away joins its neighbours.
    const ahead = this.latestRound();
    // Whoever is much behind is slow: the round they are at may be over before its values arrive, in the next one they are early.
    const join = ahead - this.round >= MUCH_BEHIND ? ahead + 1 : ahead;
    this.round = Math.max(this.round + 1, join);
    if (this.round > this.rounds) {
      this.linger();
      return;
    }
    this.started = this.timers.now();
    this.prepared = false;
    this.open = false;
    this.overdue = false;
    if (this.trainer.delayed) {
      this.offer();
    }
    this.compute(
      () => this.trainer.prepare(),
      () => {
        if (this.state !== "running") {
          return;
        }
        this.prepared = true;
        if (!this.trainer.delayed) {
          this.offer();
        }
        this.closeWhenOver();
        if (!this.open) {
          return; // neighbours were there before the own gradient
        }
        const { ms } = this.deadline;
        const left = this.started + ms - this.timers.now();
        // However long the own gradient took, neighbours get the time of an exchange.
        this.alarms.set("deadline", Math.max(left, ms / 3), () => {
          this.overdue = true;
          this.closeWhenOver();
        });
        const took = this.timers.now() - this.started;
        this.nudge(Math.max(LEAST_NUDGE_MS, this.deadline.medianMs > 0 ? ms / 3 : took));
      },
      (error) => this.end(error),
    );
  }

  /** Sends this peer's values of the round, and takes those that came early. */
  private offer(): void {
    // What is said to be mixed is: the other end writes over the values of such a round.
    this.mixLate();
    const values = this.snapshot(
      this.arrays.take(Math.min(...this.present.map(({ mixed }) => mixed))),
    );
    this.mine = values;
    this.resent = false;
    const { compression } = this.options;
    // Without copies of its own the same payload goes to everybody.
    const shared = typeof compression === "object" ? undefined : encode(values, compression);
    const decoded = shared && decode(shared);
    this.open = true;
    for (const neighbor of this.neighbors.values()) {
      const { edge, left, awaited } = neighbor;
      const isSilent = neighbor.isSilent(this.timers.now(), this.options.heartbeatMs);
      if (left || (!awaited && isSilent)) {
        continue;
      }
      const payload = shared ?? encode(values, compression, edge.bases?.mine);
      edge.begin(this.round, decoded ?? decode(payload, edge.bases?.mine));
      const settled = { ...edge.settlement };
      neighbor.sent = { kind: "values", round: this.round, settled, payload };
      this.transport.send(edge.neighbor, neighbor.sent);
    }
    for (const [peer, neighbor] of this.neighbors) {
      const { early } = neighbor;
      if (early !== undefined && early.round <= this.round) {
        neighbor.early = undefined;
        this.take(peer, neighbor, early);
      }
    }
  }

  /** What is exchanged, as it stands, in a new array or the one given. */
  private snapshot(into?: Values): Values {
    const { dtype, parameters, vectors } = this.trainer;
    const length = parameters * vectors;
    const values =
      into ?? (dtype === "float64" ? new Float64Array(length) : new Float32Array(length));
    this.trainer.read(values);
    return values;
  }

  private receive(from: Peer, message: Message): void {
    const neighbor = this.neighbors.get(from);
    if (neighbor === undefined || this.state === "ended") {
      return;
    }
    neighbor.hear(this.timers.now());
    switch (message.kind) {
      case "values":
        neighbor.seenAt(message.round, this.round);
        neighbor.mixed = Math.max(neighbor.mixed, message.settled.mixed);
        this.settle(neighbor, message.settled);
        this.closeWhenOver();
        if (message.round > this.round || (message.round === this.round && !this.open)) {
          neighbor.early = message;
        } else {
          this.take(from, neighbor, message);
        }
        break;
      case "have":
        neighbor.edge.told(message.round);
        this.closeWhenOver();
        break;
      case "want":
        this.answer(from, neighbor, message);
        break;
      case "beat":
        neighbor.seenAt(message.round, this.round);
        this.settle(neighbor, message.settled);
        this.closeWhenOver();
        this.enterWhenGathered();
        break;
      case "fetch":
        this.answerFetch(from);
        break;
      case "snapshot":
        this.adopt(message);
        break;
      case "leave":
        neighbor.leave();
        this.present = this.present.filter(({ left }) => !left);
        this.closeWhenOver();
        break;
      default:
        message satisfies never;
    }
  }

  private take(
    from: Peer,
    { edge }: Neighbor,
    { round, payload }: Extract<Message, { kind: "values" }>,
  ): void {
    if (round !== edge.round) {
      return;
    }
    const base = edge.bases?.theirs;
    if (payload.form === "sparse" && payload.base !== base?.round) {
      return; // Changes of values that this end does not hold: the next ones come in full.
    }
    if (edge.take(round, decode(payload, base))) {
      this.transport.send(from, { kind: "have", round });
    }
    this.closeWhenOver();
  }

  /** Asks neighbours again, less and less often, while a round takes longer than usual: a message may have been lost. */
  private nudge(afterMs: number): void {
    this.alarms.set("nudge", afterMs, () => {
      for (const neighbor of this.present) {
        if (this.isPending(neighbor)) {
          const { holds, neighbor: peer } = neighbor.edge;
          this.transport.send(peer, { kind: "want", round: this.round, holds });
        }
      }
      this.nudge(2 * afterMs);
    });
  }

  /** Says again what a neighbour may have missed. */
  private answer(
    from: Peer,
    neighbor: Neighbor,
    { round, holds }: Extract<Message, { kind: "want" }>,
  ): void {
    const { edge, sent } = neighbor;
    if (round !== edge.round) {
      this.sendBeat(neighbor);
      return;
    }
    if (holds) {
      edge.told(round);
    } else if (sent !== undefined) {
      this.resent = true;
      this.transport.send(from, sent);
    }
    if (edge.holds) {
      this.transport.send(from, { kind: "have", round });
    }
    this.closeWhenOver();
  }

  /** A round of the past turned out to count, or not. */
  private settle({ edge }: Neighbor, theirs: Settlement): void {
    edge.told(theirs.mixed); // who mixed a round holds this end's values of it
    const exchange = edge.reconcile(theirs);
    if (exchange === undefined) {
      return;
    }
    this.late += 1;
    this.waiting.push([edge, exchange]);
    if (this.state === "lingering") {
      this.mixLate();
    }
  }

  /** Not while a gradient of the parameters is on its way. */
  private mixLate(): void {
    this.mix(this.waiting.splice(0));
  }

  private closeWhenOver(): void {
    if (this.state !== "running" || !this.prepared || !this.open) {
      return;
    }
    const waiting = this.present.some((neighbor) => this.isPending(neighbor));
    if (!waiting && this.isAhead()) {
      return;
    }
    if (!waiting || this.overdue) {
      this.close(!waiting);
    }
  }

  /** Whether the round waits for a neighbour; one that is further on will not answer any more. */
  private isPending({ awaited, edge, round }: Neighbor): boolean {
    return awaited && edge.round > 0 && !edge.agreed && round <= this.round;
  }

  /**
   * Whether a peer that has nobody to wait for should wait all the same: alone it would be through with its rounds in no time,
   * and whoever finds it again would have to skip them.
   */
  private isAhead(): boolean {
    const { present } = this;
    const left = this.started + this.deadline.medianMs - this.timers.now();
    if (present.length === 0 || present.some(({ awaited }) => awaited) || left <= 0) {
      return false;
    }
    this.alarms.set("pace", left, () => this.closeWhenOver());
    return true;
  }

  private close(complete: boolean): void {
    this.open = false;
    this.alarms.clear("deadline");
    this.alarms.clear("nudge");
    this.alarms.clear("pace");
    const counts = { mixed: 0, dropped: 0, unknown: 0 };
    const agreed: [Edge, Exchange][] = [];
    for (const neighbor of this.neighbors.values()) {
      const { edge } = neighbor;
      if (edge.round === 0) {
        continue;
      }
      const { outcome, exchange } = edge.close();
      counts[outcome] += 1;
      if (exchange !== undefined) {
        agreed.push([edge, exchange]);
      }
      neighbor.tookPart(outcome === "mixed", this.options.misses);
    }
    // Copies that an edge keeps of a round are not used again, nor what may still be on its way.
    const isWhole = !this.resent && agreed.length === this.neighbors.size;
    if (this.mine !== undefined && isWhole && typeof this.options.compression === "string") {
      this.arrays.retire(this.round, this.mine);
    } else {
      this.arrays.forget();
    }
    if (complete && agreed.length > 0) {
      this.deadline.observe(this.timers.now() - this.started);
    }
    const distance = rootMeanSquare(
      agreed.map(([, { mine, theirs }]) => sampledDistance(mine, theirs, this.trainer.parameters)),
    );
    const waited = this.waiting.splice(0);
    // Nothing has changed what is exchanged since it was sent, unless it was sent in other numbers.
    const isHeld = waited.length === 0 && this.options.compression === "none";
    this.mix([...waited, ...agreed], isHeld);
    const { round, late } = this;
    this.late = 0;
    this.compute(
      () => this.trainer.advance(),
      () => {
        if (this.state !== "running") {
          return;
        }
        this.onRound({
          peer: this.self,
          round,
          loss: this.trainer.loss,
          ms: this.timers.now() - this.started,
          ...counts,
          late,
          distance,
          awaited: this.present.filter(({ awaited }) => awaited).length,
        });
        this.begin();
      },
      (error) => this.end(error),
    );
  }

  /** Moves this end of edges. */
  private mix(exchanges: readonly (readonly [Edge, Exchange])[], isHeld = false): void {
    if (exchanges.length === 0) {
      return;
    }
    const { clip, consensusStep } = this.options;
    const { parameters, vectors } = this.trainer;
    const pulls = exchanges.map(([{ share }, { mine, theirs }]) => ({
      share: share * consensusStep,
      mine,
      theirs,
      isHeld,
    }));
    if (clip === Number.POSITIVE_INFINITY) {
      this.trainer.mix(pulls);
      return;
    }
    for (let vector = 0; vector < vectors; vector++) {
      const clipped = pulls.map((pull) => {
        const { share, mine, theirs } = pull;
        const squares = squaredDistance(mine, theirs, vector * parameters, parameters);
        return { ...pull, share: clipFactor(share, squares, clip) };
      });
      this.trainer.mix(clipped, vector);
    }
  }

  private found(peer: Peer): void {
    const neighbor = this.neighbors.get(peer);
    if (neighbor !== undefined) {
      neighbor.found(this.timers.now());
      this.sendBeat(neighbor);
    }
  }

  private lost(peer: Peer): void {
    this.neighbors.get(peer)?.lose();
    this.closeWhenOver();
  }

  private sendBeat({ edge }: Neighbor): void {
    const settled = { ...edge.settlement };
    this.transport.send(edge.neighbor, { kind: "beat", round: this.round, settled });
  }

  /** The latest round that a neighbour was seen at. */
  private latestRound(): Round {
    let latest = 0;
    for (const { round } of this.present) {
      latest = Math.max(latest, round);
    }
    return latest;
  }

  /** A sign of life to everybody, and to those that fell silent no waiting. */
  private beat(): void {
    for (const neighbor of this.present) {
      this.sendBeat(neighbor);
      if (neighbor.awaited && neighbor.isSilent(this.timers.now(), this.options.heartbeatMs)) {
        neighbor.awaited = false;
        this.closeWhenOver();
      }
    }
    this.alarms.set("beat", this.options.heartbeatMs, () => this.beat());
  }

  private fetch(): void {
    for (const peer of this.neighbors.keys()) {
      this.transport.send(peer, { kind: "fetch" });
    }
    this.alarms.set("fetch", this.options.heartbeatMs, () => this.fetch());
  }

  private answerFetch(from: Peer): void {
    if (this.state !== "running") {
      return;
    }
    const payload = { form: "dense", values: this.snapshot() } as const;
    this.transport.send(from, { kind: "snapshot", round: this.round, payload });
  }

  /** Takes what it asked for: values in full, for it holds none that they could change. */
  private adopt({ round, payload }: Extract<Message, { kind: "snapshot" }>): void {
    if (this.state === "fetching" && payload.form !== "sparse") {
      this.alarms.clear("fetch");
      this.fetches = false;
      this.trainer.adopt(decode(payload));
      this.round = round;
      this.state = "running";
      this.begin();
    }
  }

  /** Stays for neighbours that wait for a last word. */
  private linger(): void {
    this.state = "lingering";
    this.mixLate();
    this.beat();
    this.alarms.set("linger", this.options.lingerMs, () => this.end());
  }

  private end(error?: unknown): void {
    if (this.state === "ended") {
      return;
    }
    this.state = "ended";
    this.alarms.clearAll();
    for (const [peer, { left }] of this.neighbors) {
      if (!left) {
        this.transport.send(peer, { kind: "leave" });
      }
    }
    this.onEnd(error);
  }
}
