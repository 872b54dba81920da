/** Arrays of rounds that are over, to be used again: fresh memory is dear. */

import type { Round } from "../protocol/message.ts";
import type { Values } from "../train/values.ts";

/** Holds arrays of rounds in which every neighbour had the values whole. */
export class RetiredArrays {
  /** Oldest first. */
  private readonly arrays: { readonly round: Round; readonly values: Values }[] = [];

  retire(round: Round, values: Values): void {
    this.arrays.push({ round, values });
  }

  /** Gives up what it holds: somebody may still read it. */
  forget(): void {
    this.arrays.length = 0;
  }

  /**
   * An array that nobody reads any more.
   *
   * @param mixed - the round up to which every neighbour, when it sent values, had mixed what it was sent.
   */
  take(mixed: Round): Values | undefined {
    const [oldest] = this.arrays;
    return oldest !== undefined && mixed >= oldest.round ? this.arrays.shift()?.values : undefined;
  }
}
