/**
 * One edge as one of its ends sees it: which rounds count, and the ledger of those whose end is not known.
 *
 * A round counts where both ends mixed it: the mean of x over the peers then stays, as both move by the same amount in
 * opposite directions. So an end mixes where it holds the other's values and was told that its own arrived (`have`).
 * The last word may be lost: an end that said `have` and was told nothing cannot know whether the other mixed. It keeps the
 * values of both and lets the edge rest, until the other end says how the round ended for it, which every later message of
 * the other does:
 *
 *     the other mixed                    mixes late, by the same amount
 *     it did not, or does not know       does not: had the other been told, it would have mixed
 *
 * Either way both ends do the same in the end, whatever is lost, doubled or overtaken, as long as something arrives at last.
 */

import type { Base } from "../protocol/compression.ts";
import type { Peer, Round, Settlement } from "../protocol/message.ts";
import type { Values } from "../train/values.ts";

/** Values of both ends of a round, each as the other end decodes them. */
export interface Exchange {
  readonly round: Round;
  readonly mine: Values;
  readonly theirs: Values;
}

/** What becomes of a round at its end. */
export type Outcome = "mixed" | "dropped" | "unknown";

export class Edge {
  readonly neighbor: Peer;
  readonly share: number;
  /** What this end knows of the ends of rounds. */
  readonly settlement: { -readonly [Key in keyof Settlement]: Settlement[Key] };
  /** Copies of both ends' values of the last round that counted, where they are kept. */
  bases: { readonly mine: Base; readonly theirs: Base } | undefined;
  private current:
    | { readonly round: Round; readonly mine: Values; theirs?: Values; held: boolean }
    | undefined;
  private pending: Exchange | undefined;
  /** The other end's session, once it has said anything. */
  private theirSession: number | undefined;
  private readonly keepBases: boolean;

  constructor(neighbor: Peer, share: number, session: number, keepBases: boolean) {
    this.neighbor = neighbor;
    this.share = share;
    this.settlement = { session, mixed: 0, closed: 0, unknown: 0 };
    this.keepBases = keepBases;
  }

  /** Whether the round that runs will count, as far as this end is concerned. */
  get agreed(): boolean {
    return this.current?.theirs !== undefined && this.current.held;
  }

  /** Whether this end holds the other's values of the round that runs. */
  get holds(): boolean {
    return this.current?.theirs !== undefined;
  }

  /** The round that runs; 0 between rounds. */
  get round(): Round {
    return this.current?.round ?? 0;
  }

  /** Whether a round waits for the other end's word. */
  get rests(): boolean {
    return this.pending !== undefined;
  }

  /** A round begins; `mine` is what the other end will decode. */
  begin(round: Round, mine: Values): void {
    this.current = { round, mine, held: false };
  }

  /** The other end's values of the round that runs. Returns whether to tell it so: not while an earlier round waits. */
  take(round: Round, theirs: Values): boolean {
    if (this.current?.round !== round || this.rests) {
      return false;
    }
    this.current.theirs ??= theirs;
    return true;
  }

  /** The other end holds this end's values of a round. */
  told(round: Round): void {
    if (this.current?.round === round) {
      this.current.held = true;
    }
  }

  /** The round that runs is over. Where it counted, the exchange is to be mixed now. */
  close(): { readonly outcome: Outcome; readonly exchange?: Exchange } {
    const { current } = this;
    if (current === undefined) {
      return { outcome: "dropped" };
    }
    this.current = undefined;
    const { round, mine, theirs, held } = current;
    this.settlement.closed = round;
    if (theirs === undefined || !held) {
      // Copies may differ from here on: the next values travel in full.
      this.bases = undefined;
    }
    if (theirs === undefined) {
      return { outcome: "dropped" };
    }
    const exchange = { round, mine, theirs };
    if (!held) {
      this.pending = exchange;
      this.settlement.unknown = round;
      return { outcome: "unknown" };
    }
    this.count(exchange);
    return { outcome: "mixed", exchange };
  }

  /**
   * What the other end says of rounds that are over. Returns the exchange to be mixed late, where there is one.
   *
   * Another session of it has forgotten what it told, and begins with nothing.
   */
  reconcile(theirs: Settlement): Exchange | undefined {
    if (this.theirSession !== theirs.session) {
      const isFirst = this.theirSession === undefined;
      this.theirSession = theirs.session;
      if (!isFirst) {
        this.forget();
      }
    }
    const { pending } = this;
    if (pending === undefined || theirs.closed < pending.round) {
      return undefined;
    }
    this.pending = undefined;
    this.settlement.unknown = 0;
    if (theirs.mixed !== pending.round) {
      return undefined;
    }
    this.count(pending);
    return pending;
  }

  /** Drops what was agreed with an end that is gone. */
  forget(): void {
    this.pending = undefined;
    this.bases = undefined;
    this.settlement.unknown = 0;
    if (this.current !== undefined) {
      this.current = { round: this.current.round, mine: this.current.mine, held: false };
    }
  }

  private count({ round, mine, theirs }: Exchange): void {
    this.settlement.mixed = round;
    if (this.keepBases) {
      this.bases = { mine: { round, values: mine }, theirs: { round, values: theirs } };
    }
  }
}
