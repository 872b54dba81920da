import { readFileSync } from "node:fs";
import { compileOptimizer } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { findOptimizer } from "../optimizers.ts";
import { onlineSequential, onlineStochastic } from "./online.ts";
import type { Problem } from "./problem.ts";

interface OnlineTrace {
  readonly id: string;
  readonly algorithm: string;
  readonly options: { readonly amsgrad?: string };
  readonly problem: string;
  readonly every: number;
  readonly x: readonly number[];
}

const fixture = JSON.parse(
  readFileSync(
    new URL("../../../../fixtures/golden/online_problems.json", import.meta.url),
    "utf8",
  ),
) as { results: readonly OnlineTrace[] };

/** x in force before step t, for every t that `at` names; and the metric there. */
async function walk(
  problem: Problem<null>,
  optimizerName: string,
  learningRate: number,
  steps: number,
  at: (t: number) => boolean,
) {
  const { start } = await problem.open(null);
  const task = start({ seed: 1, phase: "seed" });
  const optimizer = compileOptimizer(findOptimizer(optimizerName).build(problem.setting), {
    params: task.params,
    learningRate: problem.schedule(learningRate, steps),
    dtype: task.dtype,
  });
  const seen: number[] = [];
  for (let t = 1; t <= steps; t++) {
    task.project?.(optimizer.params);
    if (at(t)) {
      seen.push(optimizer.params.x?.data[0] as number);
    }
    await task.gradient(optimizer.params, optimizer.gradients);
    optimizer.step();
  }
  return { seen, metric: (await task.evaluate(optimizer.params)).metric };
}

const cases = [
  ["sequential_box", onlineSequential, 1],
  ["stochastic", onlineStochastic, 1e-3],
] as const;

describe.each(cases)("%s", (name, problem, learningRate) => {
  test.each(
    fixture.results
      .filter((trace) => trace.problem === name)
      .map(
        (trace) =>
          [trace.options.amsgrad === undefined ? trace.algorithm : "amsgrad", trace] as const,
      ),
  )("%s walks as in the independent program", async (optimizer, { every, x }) => {
    const { seen } = await walk(
      problem,
      optimizer,
      learningRate,
      every * x.length,
      (t) => t % every === 0,
    );
    expect(seen.length).toBe(x.length);
    for (const [i, value] of seen.entries()) {
      // Twenty thousand steps in float64: the fixture states 1e-9.
      expect(Math.abs(value - (x[i] as number))).toBeLessThan(1e-9);
    }
  });
});

test.each([
  ["adam", 1.0052, 1],
  ["amsgrad", 0.73824, -0.794429],
  ["adashift", 1.05454, -0.909288],
])(
  "the average regret of %s at 10,000 steps is the table's, on the side it says",
  async (optimizer, regret, x) => {
    const { seen, metric } = await walk(
      onlineSequential,
      optimizer,
      1,
      10_000,
      (t) => t === 10_000,
    );
    // The table prints five decimals of the regret and six of x.
    expect(Math.abs(metric - regret)).toBeLessThan(5.1e-6);
    expect(Math.abs((seen[0] as number) - x)).toBeLessThan(5.1e-7);
  },
);
