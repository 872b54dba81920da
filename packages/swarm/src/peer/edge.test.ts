import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Settlement } from "../protocol/message.ts";
import { Edge } from "./edge.ts";

const ascending = (a: number, b: number): number => a - b;

const values = (x: number): Float64Array => Float64Array.of(x);

/** What travels between two ends, enough of it for the ledger. */
type Word =
  | { readonly kind: "values"; readonly round: number; readonly settled: Settlement }
  | { readonly kind: "have"; readonly round: number };

/** One end with the rounds that it mixed, in the order in which it did. */
class End {
  readonly edge: Edge;
  readonly mixed: number[] = [];
  unknown = 0;
  late = 0;

  constructor(neighbor: number, session: number) {
    this.edge = new Edge(neighbor, 0.5, session, false);
  }

  begin(round: number): Word {
    this.edge.begin(round, values(round));
    return { kind: "values", round, settled: { ...this.edge.settlement } };
  }

  hear(word: Word): Word | undefined {
    if (word.kind === "have") {
      this.edge.told(word.round);
      return undefined;
    }
    const late = this.edge.reconcile(word.settled);
    if (late !== undefined) {
      this.mixed.push(late.round);
      this.late += 1;
    }
    return this.edge.take(word.round, values(word.round))
      ? { kind: "have", round: word.round }
      : undefined;
  }

  close(): void {
    const { outcome, exchange } = this.edge.close();
    if (exchange !== undefined) {
      this.mixed.push(exchange.round);
    }
    this.unknown += outcome === "unknown" ? 1 : 0;
  }
}

/** Rounds of one edge over a link that loses, doubles and delays words, also into later rounds; then two rounds without loss. */
function play(seed: number, rounds: number, loss: number): [End, End] {
  const random = mulberry32(seed);
  const ends: [End, End] = [new End(1, 10), new End(0, 20)];
  let flying: { readonly to: 0 | 1; readonly word: Word }[] = [];
  const send = (to: 0 | 1, word: Word, lossy: boolean): void => {
    const copies = lossy ? (random.next() < loss ? 0 : random.next() < 0.2 ? 2 : 1) : 1;
    for (let copy = 0; copy < copies; copy++) {
      flying.push({ to, word });
    }
  };
  const deliver = (lossy: boolean): void => {
    const kept: typeof flying = [];
    // In any order; some stay in the air, and what they cause is sent in turn.
    while (flying.length > 0) {
      const [{ to, word }] = flying.splice(random.integer(flying.length), 1) as [
        (typeof flying)[0],
      ];
      if (lossy && random.next() < 0.15) {
        kept.push({ to, word });
        continue;
      }
      const answer = ends[to].hear(word);
      if (answer !== undefined) {
        send(to === 0 ? 1 : 0, answer, lossy);
      }
    }
    flying = kept;
  };
  for (let round = 1; round <= rounds + 2; round++) {
    const lossy = round <= rounds;
    // Ends begin and close in any order, with words arriving in between.
    const first = random.integer(2) as 0 | 1;
    const second = first === 0 ? 1 : 0;
    send(second, ends[first].begin(round), lossy);
    if (random.next() < 0.5) {
      deliver(lossy);
    }
    send(first, ends[second].begin(round), lossy);
    deliver(lossy);
    ends[random.integer(2) as 0 | 1].close();
    if (random.next() < 0.5) {
      deliver(lossy);
    }
    ends[0].close();
    ends[1].close();
  }
  // What signs of life say in the end.
  for (const [to, from] of [
    [0, 1],
    [1, 0],
    [0, 1],
  ] as const) {
    ends[to].hear({ kind: "values", round: 0, settled: { ...ends[from].edge.settlement } });
  }
  return ends;
}

describe("both ends of an edge", () => {
  test("mix the same rounds, whatever is lost, doubled or overtaken", () => {
    let [unknown, late, mixed] = [0, 0, 0];
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 0.9, noNaN: true }), (seed, loss) => {
        const [a, b] = play(seed, 30, loss);
        expect(a.mixed.toSorted(ascending)).toEqual(b.mixed.toSorted(ascending));
        expect([a.edge.rests, b.edge.rests]).toEqual([false, false]);
        unknown += a.unknown + b.unknown;
        late += a.late + b.late;
        mixed += a.mixed.length;
      }),
      { numRuns: 2000 },
    );
    // The runs met what they are about.
    expect(Math.min(unknown, late, mixed)).toBeGreaterThan(100);
  });

  test("a round counts for neither where one end's values are lost", () => {
    const [a, b] = [new End(1, 10), new End(0, 20)];
    a.begin(1);
    const words = b.begin(1);
    expect(a.hear(words)).toEqual({ kind: "have", round: 1 });
    b.hear({ kind: "have", round: 1 });
    b.close();
    a.close();
    expect([a.mixed, b.mixed]).toEqual([[], []]);
    expect([a.unknown, b.unknown]).toEqual([1, 0]);
    // While its own round waits, an end agrees to no other.
    b.edge.begin(2, values(0));
    a.edge.begin(2, values(0));
    expect(a.edge.take(2, values(1))).toBe(false);
    a.edge.reconcile(b.edge.settlement);
    expect(a.edge.take(2, values(1))).toBe(true);
    expect(a.mixed).toEqual([]);
  });

  test("another session of the other end settles nothing of the one before", () => {
    const a = new End(1, 10);
    const b = new End(0, 20);
    a.hear(b.begin(1));
    a.begin(1);
    a.hear(b.begin(1));
    a.close();
    expect(a.edge.rests).toBe(true);
    const again = { session: 21, mixed: 1, closed: 1, unknown: 0 };
    expect(a.edge.reconcile(again)).toBeUndefined();
    expect(a.edge.rests).toBe(false);
  });
});
