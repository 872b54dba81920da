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
  /** Of the last complete rounds, as they came and in order. */
  private readonly durations: number[] = [];
  private readonly sorted: number[] = [];

  constructor({ firstMs = 2000, leastMs = 20, mostMs = 2500, factor = 3 }: DeadlineOptions = {}) {
    this.options = { firstMs, leastMs, mostMs, factor };
  }

  /** A round in which every neighbour answered took so long. */
  observe(ms: number): void {
    const { durations, sorted } = this;
    durations.push(ms);
    if (durations.length > REMEMBERED) {
      sorted.splice(sorted.indexOf(durations.shift() as number), 1);
    }
    const larger = sorted.findIndex((other) => other > ms);
    sorted.splice(larger < 0 ? sorted.length : larger, 0, ms);
  }

  /** Median of the last complete rounds; 0 before any was measured. */
  get medianMs(): number {
    return this.sorted[Math.floor(this.sorted.length / 2)] ?? 0;
  }

  /** Milliseconds that the next round may wait for its neighbours. */
  get ms(): number {
    const { firstMs, leastMs, mostMs, factor } = this.options;
    return this.durations.length === 0
      ? firstMs
      : Math.min(mostMs, Math.max(leastMs, factor * this.medianMs));
  }
}
