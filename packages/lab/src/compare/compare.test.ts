import { describe, expect, test } from "vitest";
import { catalogue } from "../optimizers.ts";
import { mnistSoftmax } from "../problems/images.ts";
import type { Problem } from "../problems/problem.ts";
import type { TrialResult, TrialSpec } from "../protocol.ts";
import { type TrialPool, unfinished } from "../runner/pool.ts";
import { type CompareOptions, compare } from "./compare.ts";

const problem = mnistSoftmax as Problem;
const pick = (...names: string[]) => catalogue.filter(({ name }) => names.includes(name));

const options: CompareOptions = {
  problem,
  optimizers: pick("adam", "adashift", "momentum"),
  trials: 4,
  seeds: 3,
  epochs: 2,
  tuningEpochs: 1,
  searchSeed: 1,
};

const environment = { adastra: "0", node: "20", platform: "test", cpu: "test", cores: 2 };

function finished(spec: TrialSpec, metric: number, at = 1): TrialResult {
  const point = { step: 10, epoch: spec.epochs, seconds: at, trainLoss: 1, testLoss: 1, metric };
  return {
    spec,
    status: "finished",
    points: [point],
    lastMetric: metric,
    bestMetric: metric,
    trainSeconds: at,
    evaluateSeconds: 0,
  };
}

/** A pool that answers at once with what `answer` says; undefined: the trial is interrupted. */
function scripted(answer: (spec: TrialSpec) => TrialResult | undefined) {
  const specs: TrialSpec[] = [];
  const pool: TrialPool = {
    run: (spec, onEvent) => {
      specs.push(spec);
      const result = answer(spec) ?? unfinished({ spec, points: [] }, "interrupted");
      onEvent({ kind: "finished", result });
      return Promise.resolve(result);
    },
    interrupt: () => undefined,
    close: () => Promise.resolve(),
  };
  return { pool, specs };
}

const run = (
  answer: (spec: TrialSpec) => TrialResult | undefined,
  overrides: Partial<CompareOptions> = {},
  signal?: AbortSignal,
) => {
  const { pool, specs } = scripted(answer);
  const comparison = compare(
    { ...options, ...overrides },
    {
      pool,
      clock: { now: () => 0 },
      environment,
      onEvent: () => undefined,
      ...(signal !== undefined && { signal }),
    },
  );
  return comparison.then((result) => ({ comparison: result, specs }));
};

describe("the fair protocol", () => {
  test("gives every optimizer the same trials, epochs and seeds, at the same places of its range", async () => {
    const { comparison, specs } = await run((spec) => finished(spec, 90));
    const of = (name: string, phase: TrialSpec["phase"]) =>
      specs.filter((spec) => spec.optimizer === name && spec.phase === phase);
    for (const { optimizer, tuning, runs } of comparison.entries) {
      expect(tuning.length).toBe(4);
      expect(runs.map((result) => result.spec.seed)).toEqual([1, 2, 3]);
      expect(
        of(optimizer.name, "tune").every(({ seed, epochs }) => seed === 0 && epochs === 1),
      ).toBe(true);
      expect(of(optimizer.name, "seed").every(({ epochs }) => epochs === 2)).toBe(true);
      const [low, high] = optimizer.learningRates;
      const places = of(optimizer.name, "tune").map(
        ({ learningRate }) => Math.log(learningRate / low) / Math.log(high / low),
      );
      expect(places.map((place) => Math.floor(place * 4))).toEqual([0, 1, 2, 3]);
    }
    // Ranges of the same width in decades: rates printed to three digits differ by a constant factor.
    const ratio = of("adashift", "tune").map(
      ({ learningRate }, i) => learningRate / (of("adam", "tune")[i]?.learningRate as number),
    );
    for (const value of ratio) {
      expect(value).toBeCloseTo(10, 1);
    }
    expect(comparison.trialsDone).toBe(21);
    expect(comparison.trialsPlanned).toBe(21);
  });

  test("runs at the rate that tuning found, and says which differences hold", async () => {
    const level = { adam: 97, adashift: 97.02, momentum: 95 } as Record<string, number>;
    const noise = { adam: -1, adashift: 1, momentum: 0.5 } as Record<string, number>;
    const { comparison } = await run((spec) =>
      spec.phase === "tune"
        ? finished(spec, spec.id.endsWith("/3") ? 96 : 94)
        : finished(
            spec,
            (level[spec.optimizer] as number) +
              [0.1, -0.1, 0.02][spec.seed - 1]! * (noise[spec.optimizer] as number),
          ),
    );
    for (const { chosenLearningRate, tuning } of comparison.entries) {
      expect(chosenLearningRate).toBe(tuning[2]?.spec.learningRate);
    }
    expect(
      comparison.verdicts.map(({ better, other, verdict }) => [better, other, verdict]),
    ).toEqual([
      ["adashift", "adam", "not distinguishable"],
      ["adashift", "momentum", "better"],
    ]);
    expect(comparison.verdicts[1]?.meanDifference).toBeCloseTo(2.02 + 0.01 / 3, 10);
  });

  test("an optimizer whose tuning diverged has no rate, no runs and no verdict; the others have theirs", async () => {
    const { comparison } = await run((spec) =>
      spec.optimizer === "momentum"
        ? { ...finished(spec, 0), status: "diverged", lastMetric: null, reason: "too far" }
        : finished(spec, 90),
    );
    const momentum = comparison.entries.find(({ optimizer }) => optimizer.name === "momentum");
    expect(momentum).toMatchObject({ chosenLearningRate: null, runs: [], summary: null });
    expect(comparison.verdicts.length).toBe(1);
  });

  test("time to target is the median over seeds, and absent where most never got there", async () => {
    const { comparison } = await run((spec) =>
      finished(
        spec,
        spec.optimizer === "adam" ? (spec.seed === 1 ? 80 : 95) : spec.seed === 1 ? 95 : 80,
        spec.seed,
      ),
    );
    const of = (name: string) =>
      comparison.entries.find(({ optimizer }) => optimizer.name === name)?.summary?.timeToTarget;
    expect(of("adam")).toEqual({ seconds: 3, steps: 10 });
    expect(of("adashift")).toBeNull();
  });

  test("stopped in the middle it keeps what is finished, and starts nothing more", async () => {
    const controller = new AbortController();
    const { comparison, specs } = await run(
      (spec) => {
        if (spec.optimizer === "adashift") {
          controller.abort();
          return undefined;
        }
        return finished(spec, 90);
      },
      {},
      controller.signal,
    );
    expect(comparison.interrupted).toBe(true);
    expect(specs.every(({ phase }) => phase === "tune")).toBe(true);
    const [adam] = comparison.entries;
    expect(adam?.tuning.length).toBe(4);
    expect(comparison.trialsDone).toBeLessThan(comparison.trialsPlanned);
  });

  test.each([
    [{ trials: 0 }, "compare: `trials` must be an integer of at least 1, got 0"],
    [{ epochs: 0 }, "compare: `epochs` must be finite and above 0, got 0"],
    [{ tuningEpochs: Number.NaN }, "compare: `tuningEpochs` must be finite and above 0, got NaN"],
    [{ optimizers: [] }, "compare: `optimizers` must name at least one, got none"],
    [
      { optimizers: [...pick("adam"), ...pick("adam")] },
      'compare: `optimizers` must be different, got "adam" twice',
    ],
  ] as const)("refuses %o", async (overrides, message) => {
    await expect(run((spec) => finished(spec, 1), overrides)).rejects.toThrow(
      new RangeError(message),
    );
  });
});
