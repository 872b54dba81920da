/** How long a round waits for its neighbours: as long as rounds usually take, and some. */

export interface DeadlineOptions {
  /** Before any round has been measured, default 2000 ms. */
  readonly firstMs?: number;
  /** Default 20 ms. */
  readonly leastMs?: number;
  /** Default 2500 ms. */
  readonly mostMs?: number;
  /** Times the median of the last rounds, default 3. */
  readonly factor?: number;
}

/** Rounds that the median is of. */
const REMEMBERED = 15;

/** factor · median of the last 15 complete rounds, within bounds. */
export class Deadline {
  private readonly options: Required<DeadlineOptions>;
  private readonly durations: number[] = [];
  private median = 0;

  constructor({ firstMs = 2000, leastMs = 20, mostMs = 2500, factor = 3 }: DeadlineOptions = {}) {
    this.options = { firstMs, leastMs, mostMs, factor };
  }

  /** A round in which every neighbour answered took so long. */
  observe(ms: number): void {
    this.durations.push(ms);
    if (this.durations.length > REMEMBERED) {
      this.durations.shift();
    }
    const sorted = this.durations.toSorted((a, b) => a - b);
    this.median = sorted[Math.floor(sorted.length / 2)] as number;
  }

  /** Median of the last complete rounds; 0 before any was measured. */
  get medianMs(): number {
    return this.median;
  }

  /** Milliseconds that the next round may wait for its neighbours. */
  get ms(): number {
    const { firstMs, leastMs, mostMs, factor } = this.options;
    return this.durations.length === 0
      ? firstMs
      : Math.min(mostMs, Math.max(leastMs, factor * this.medianMs));
  }
}
