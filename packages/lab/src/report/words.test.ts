import { expect, test } from "vitest";
import type { Comparison, Verdict } from "../protocol.ts";
import { testComparison } from "./testComparison.ts";
import { cautions, edgeSentence, metricTitle, verdictSentences } from "./words.ts";

const comparison = testComparison({ optimizers: 3 });

function sentences(verdict: Partial<Verdict>): string[] {
  const verdicts: Verdict[] = [
    {
      better: "adam",
      other: "sgd",
      meanDifference: 0.31,
      pValue: 0.012,
      verdict: "better",
      ...verdict,
    },
  ];
  return verdictSentences({ ...comparison, verdicts });
}

test("a difference is said with its size, direction and corrected p-value", () => {
  expect(sentences({})).toEqual([
    "Adam is better than SGD, momentum 0.9: test accuracy 0.31 points higher on average over paired seeds (Holm-corrected p\u00a0=\u00a00.012).",
  ]);
  expect(sentences({ pValue: 1e-7 })[0]).toContain("p\u00a0<\u00a00.001");
});

test("no difference is said as such, with the reason where there was no test", () => {
  expect(sentences({ verdict: "not distinguishable", pValue: 0.41 })).toEqual([
    "Adam and SGD, momentum 0.9 are not distinguishable: they differ by 0.31 points on average (Holm-corrected p\u00a0=\u00a00.41).",
  ]);
  expect(sentences({ verdict: "not distinguishable", pValue: null })[0]).toContain(
    "(with fewer than two pairs there is no test)",
  );
});

test("without verdicts the reason stands in their place", () => {
  const none: Comparison = { ...comparison, verdicts: [] };
  expect(verdictSentences({ ...none, protocol: { ...none.protocol, seeds: 1 } })).toEqual([
    "No paired test was made: it needs at least two seeds.",
  ]);
  expect(verdictSentences({ ...none, entries: none.entries.slice(0, 1) })).toEqual([
    "There is nothing to compare: fewer than two optimizers have a finished run.",
  ]);
});

test("an optimizer whose every tuning trial diverged is named", () => {
  const [first, ...rest] = comparison.entries;
  const notes = cautions({
    ...comparison,
    entries: [{ ...first!, chosenLearningRate: null }, ...rest],
  });
  expect(notes).toContain(
    "No tuning trial finished for SGD, momentum 0.9: there was no rate to run with.",
  );
});

test("a chosen rate at the edge of those tried is pointed out", () => {
  const [first, ...rest] = comparison.entries;
  expect(edgeSentence(comparison.entries)).toBe("");
  const chosenLearningRate = first!.tuning[0]!.spec.learningRate;
  expect(edgeSentence([{ ...first!, chosenLearningRate }, ...rest])).toMatch(
    /^The chosen rate is the smallest or largest tried for SGD, momentum 0\.9 \(/,
  );
});

test("a metric on held-out data is not called a test metric", () => {
  expect(metricTitle("test accuracy", "seed")).toBe("Test accuracy");
  expect(metricTitle("test accuracy", "tune")).toBe("Held-out accuracy");
  expect(metricTitle("average regret", "tune")).toBe("Average regret");
});
