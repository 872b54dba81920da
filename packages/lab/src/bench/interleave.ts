/**
 * Interleaved timing: every contestant once a round, the order reversed each round, minimum and median.
 *
 * On a shared machine absolute times drift by tens of percent; within a round all contestants meet the same
 * machine, so the ratios hold.
 */

export interface Contestant {
  readonly name: string;
  /** Does the work once and says how many milliseconds it took. */
  run(): number | Promise<number>;
  /** How many of the rounds it takes part in, spread evenly; all of them by default. */
  readonly rounds?: number;
}

export interface Timing {
  readonly name: string;
  readonly rounds: number;
  readonly minMs: number;
  readonly medianMs: number;
  /** 90th over 10th percentile: how restless the machine was. */
  readonly spread: number;
}

export interface InterleaveOptions {
  readonly rounds: number;
  /** Unrecorded rounds before, default 0; who takes part in fewer rounds than all sits them out. */
  readonly warmups?: number;
  /** Ends after the run that is under way; rounds so far are kept. */
  readonly signal?: AbortSignal;
  /** Told after each round. */
  readonly onRound?: (done: number) => void;
}

/** Times contestants; one that was interrupted before its first round is not in the result. */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds, warmups = 0, signal, onRound }: InterleaveOptions,
): Promise<Timing[]> {
  const times = contestants.map((): number[] => []);
  const indices = contestants.map((_, i) => i);
  for (let round = -warmups; round < rounds && !signal?.aborted; round++) {
    const order = round % 2 === 0 ? indices : indices.toReversed();
    for (const i of order) {
      const contestant = contestants[i] as Contestant;
      const share = contestant.rounds ?? rounds;
      const sitsOut = round < 0 ? share < rounds : !takesPart(round, share, rounds);
      if (signal?.aborted || sitsOut) {
        continue;
      }
      const ms = await contestant.run();
      if (round >= 0) {
        times[i]?.push(ms);
      }
      await breathe();
    }
    if (round >= 0) {
      onRound?.(round + 1);
    }
  }
  return contestants.flatMap(({ name }, i) => {
    const values = times[i] as number[];
    return values.length === 0 ? [] : [summarise(name, values)];
  });
}

/** Lets the event loop turn between two runs, so that Ctrl-C is heard and progress is drawn. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs `work` and says how long it took. */
export function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** `share` of `rounds` rounds, evenly spread. */
function takesPart(round: number, share: number, rounds: number): boolean {
  return Math.floor(((round + 1) * share) / rounds) > Math.floor((round * share) / rounds);
}

function summarise(name: string, values: readonly number[]): Timing {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  return {
    name,
    rounds: values.length,
    minMs: at(0),
    medianMs: at(0.5),
    spread: at(0.9) / at(0.1),
  };
}
