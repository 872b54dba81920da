/**
 * What peers say to each other. A message arrives whole or not at all; how it crosses a wire is `frame.ts`.
 *
 * One round of an edge, seen from either end:
 *
 *     →  values r     mine of round r, and how the rounds before ended for me
 *     ←  values r     its own
 *     →  have r       I hold your values of round r
 *     ←  have r       it holds mine: the edge counts, and both ends mix
 */

/** A peer's place in the roster, from 0. */
export type Peer = number;

/** Counts exchanges of the whole graph; a peer that was away enters at a later one. */
export type Round = number;

/** Values as they travel. All forms but `dense` lose something. */
export type Payload =
  | { readonly form: "dense"; readonly values: Float32Array | Float64Array }
  /** The upper halves of float32. */
  | { readonly form: "bf16"; readonly values: Uint16Array }
  /** Codes in −127..127; element i is `values[i] · scales[⌊i / INT8_BLOCK⌋]`. */
  | { readonly form: "int8"; readonly scales: Float32Array; readonly values: Int8Array }
  /** What changed most since the values of `base`, the last round of this edge that counted; indices ascend. */
  | {
      readonly form: "sparse";
      readonly base: Round;
      readonly length: number;
      readonly indices: Uint32Array;
      readonly values: Float32Array;
    };

/** Numbers that share a scale. */
export const INT8_BLOCK = 256;

/**
 * How the rounds of an edge ended for the sender, as far as the other end may not know.
 *
 * Rounds count from 1; 0 stands for none.
 */
export interface Settlement {
  /** Drawn anew whenever the sender starts: what another session of it settled no longer counts. */
  readonly session: number;
  /** The last round that it mixed. */
  readonly mixed: Round;
  /** The last round that is over for it: those after `mixed` up to this one it did not mix. */
  readonly closed: Round;
  /** A round that is over for it and whose end it cannot know: it holds the other's values and was not told whether its own arrived. */
  readonly unknown: Round;
}

export type Message =
  /** The sender's values of a round, one vector after the other: x, and ũ where the method exchanges it. */
  | {
      readonly kind: "values";
      readonly round: Round;
      readonly settled: Settlement;
      readonly payload: Payload;
    }
  /** The sender holds the receiver's values of the round, and would mix them. */
  | { readonly kind: "have"; readonly round: Round }
  /**
   * The round has not come to its end for the sender, and it asks to be told again: the receiver's values, where it does not
   * hold them, and whether its own arrived.
   */
  | { readonly kind: "want"; readonly round: Round; readonly holds: boolean }
  /** The sender lives and is at this round. */
  | { readonly kind: "beat"; readonly round: Round; readonly settled: Settlement }
  /** Asks for the receiver's values as they stand. */
  | { readonly kind: "fetch" }
  /** Values as they stand before the exchange of `round`, for a peer that comes back without its own. */
  | { readonly kind: "snapshot"; readonly round: Round; readonly payload: Payload }
  /** The sender goes and will not return to this run. */
  | { readonly kind: "leave" };
