/** What a peer is given, and what it reports of a round. */

import type { Timers } from "../clock.ts";
import type { Mixing } from "../mixing/mixing.ts";
import type { Compression } from "../protocol/compression.ts";
import type { Peer, Round } from "../protocol/message.ts";
import type { Trainer } from "../train/trainer.ts";
import type { Transport } from "../transport/transport.ts";
import type { Compute } from "./compute.ts";
import type { DeadlineOptions } from "./deadline.ts";

export interface PeerOptions {
  readonly transport: Transport;
  readonly timers: Timers;
  readonly trainer: Trainer;
  readonly mixing: Mixing;
  /** The last round. */
  readonly rounds: Round;
  /** Told apart from this peer's earlier sessions; drawn at random. */
  readonly session: number;
  /** The round to go on from, as a checkpoint has it; default 0. */
  readonly after?: Round;
  /**
   * Takes values and round from a neighbour before it begins, for a peer that returns without its own; `"behind"`: only where
   * its neighbours turn out to be at a later round than their first ones.
   */
  readonly fetch?: boolean | "behind";
  /** How long to wait for all neighbours before the first round, default 0 ms. */
  readonly gatherMs?: number;
  readonly compression?: Compression;
  /** γ in (0, 1]: the share of what mixing would do; default 1, below it for topK. */
  readonly consensusStep?: number;
  /** τ: the largest change by one neighbour in one round, as a norm of each vector; default no limit. */
  readonly clip?: number;
  readonly deadline?: DeadlineOptions;
  /** Between two signs of life, default 1000 ms. */
  readonly heartbeatMs?: number;
  /** Rounds that a neighbour may miss in a row before it is not awaited, default 2. */
  readonly misses?: number;
  /** How long a finished peer stays to answer neighbours, default 500 ms. */
  readonly lingerMs?: number;
  /** Called after every round. */
  readonly onRound?: (report: RoundReport) => void;
  /** Called once, when the last round is over or the loop failed. */
  readonly onEnd?: (error?: unknown) => void;
  /** Runs a piece of a peer's work; the simulator gives it virtual time. Default: at once. */
  readonly compute?: Compute;
}

export interface RoundReport {
  readonly peer: Peer;
  readonly round: Round;
  /** Loss of the round's gradient. */
  readonly loss: number;
  /** From the start of the round to its end. */
  readonly ms: number;
  /** Edges of the round by how they ended; `late` counts earlier rounds that turned out to count. */
  readonly mixed: number;
  readonly dropped: number;
  readonly unknown: number;
  readonly late: number;
  /** ‖x̃ⱼ − x̃ᵢ‖/√n over the neighbours mixed, of a sample of the parameters: how far they are apart; NaN where none was. */
  readonly distance: number;
  /** Neighbours that are awaited. */
  readonly awaited: number;
}
