import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inOrder } from "../data/images.ts";
import { type Skew, splitExamples } from "./split.ts";

/** 1,000 examples of ten labels. */
const labels = Uint8Array.from({ length: 1000 }, (_, i) => i % 10);

const split = (peers: number, skew: Skew, seed = 1): Uint32Array[] =>
  splitExamples(inOrder(1000), labels, peers, skew, mulberry32(seed));

const labelsOf = (part: Uint32Array): number[] =>
  [...new Set(Array.from(part, (example) => labels[example] as number))].toSorted((a, b) => a - b);

test("every example stands with exactly one peer, whatever the skew", () => {
  const skews: fc.Arbitrary<Skew> = fc.oneof(
    fc.constant({ kind: "none" } as const),
    fc.integer({ min: 1, max: 10 }).map((each) => ({ kind: "labels", each }) as const),
    fc.constantFrom(0.5, 1, 100).map((alpha) => ({ kind: "dirichlet", alpha }) as const),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), skews, fc.nat(), (peers, skew, seed) => {
      const all = split(peers, skew, seed).flatMap((part) => Array.from(part));
      expect(all.toSorted((a, b) => a - b)).toEqual(Array.from(inOrder(1000)));
    }),
  );
});

test("two labels each for five peers, without overlap", () => {
  const parts = split(5, { kind: "labels", each: 2 });
  expect(parts.map(labelsOf)).toEqual([
    [0, 1],
    [2, 3],
    [4, 5],
    [6, 7],
    [8, 9],
  ]);
  expect(parts.map(({ length }) => length)).toEqual([200, 200, 200, 200, 200]);
});

test("labels are shared where there are more peers than labels go around", () => {
  const parts = split(20, { kind: "labels", each: 1 });
  expect(parts.map((part) => labelsOf(part).length)).toEqual(Array<number>(20).fill(1));
  expect(parts.map(({ length }) => length)).toEqual(Array<number>(20).fill(50));
});

describe("Dirichlet", () => {
  /** Mean share of a peer's most frequent label. */
  const purity = (alpha: number): number => {
    const shares = Array.from({ length: 20 }, (_, seed) =>
      split(5, { kind: "dirichlet", alpha }, seed).map((part) => {
        const counts = new Map<number, number>();
        for (const example of part) {
          const label = labels[example] as number;
          counts.set(label, (counts.get(label) ?? 0) + 1);
        }
        return Math.max(...counts.values()) / part.length;
      }),
    ).flat();
    return shares.reduce((sum, share) => sum + share, 0) / shares.length;
  };

  test("skews the more the smaller α is", () => {
    const [strong, middling, weak] = [0.1, 1, 100].map(purity) as [number, number, number];
    expect(strong).toBeGreaterThan(middling + 0.1);
    expect(middling).toBeGreaterThan(weak + 0.05);
    // Even shares of ten labels are 0.1 each; α = 100 varies them by a tenth.
    expect(weak).toBeLessThan(0.15);
  });
});

describe("refuses", () => {
  test.each([
    [20, { kind: "labels", each: 0 }, "splitExamples: `labels` must be above 0, got 0"],
    [2, { kind: "dirichlet", alpha: 0 }, "splitExamples: `dirichlet` must be above 0, got 0"],
    [
      1001,
      { kind: "none" },
      "splitExamples: every peer must have examples, got none for peer 1000 of 1001; take fewer peers or less skew",
    ],
  ] as const)("%i peers, %j", (peers, skew, message) => {
    expect(() => split(peers, skew)).toThrow(new RangeError(message));
  });
});
