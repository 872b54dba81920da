import { metropolis, ring } from "@adastra/swarm";
import { describe, expect, test } from "vitest";
import { methods } from "./methods.ts";
import { swarmProblems } from "./problems.ts";
import { runSwarm } from "./runSwarm.ts";

const ROUNDS = 20_000;

/** x̄ after so many rounds, to the digits that the specification prints: D-PSGD, DADAM, D-AMSGrad, D-AdaGrad. */
const TABLE = [
  [0.1, ROUNDS, { dpsgd: 0.368421, dadam: 0.5, damsgrad: 0.346295, dadagrad: 0.366601 }],
  [0.05, ROUNDS, { dpsgd: 0.352941, dadam: 0.5, damsgrad: 0.340076, dadagrad: 0.349971 }],
  [0.01, ROUNDS, { dpsgd: 0.337662, dadam: 0.5, damsgrad: 0.334727, dadagrad: 0.33665 }],
  [0.001, 100_000, { dpsgd: 0.333777, dadam: 0.5, damsgrad: 0.333474, dadagrad: 0.333664 }],
] as const;

/** The mean of both nodes' x; D-AMSGrad and D-AdaGrad delayed or not. */
async function limit(name: string, rate: number, rounds: number, delayed = true): Promise<number> {
  const problem = swarmProblems.find((each) => each.name === "counterexample")!;
  const method = methods.find((each) => each.name === name)!;
  const opened = await problem.open();
  const task = opened.start({ seed: 1, phase: "seed", peers: 2, skew: { kind: "none" } });
  const { metrics } = await runSwarm(
    task,
    {
      method: method.build({ b1: 0, b2: 0, b3: 0, eps: 1, delayed }),
      learningRate: rate,
      mixing: metropolis(ring(2)),
      rounds,
      seed: 1,
      points: 1,
    },
    { better: problem.metric.better },
  );
  // |f′(x̄)| = 3 x̄ − 1 to the right of the minimiser, where every method ends.
  return (1 + (metrics?.mean ?? Number.NaN)) / 3;
}

describe.each(TABLE)("rate %d, %i rounds", (rate, rounds, expected) => {
  test.each(Object.entries(expected))("%s ends at %d", async (name, value) => {
    expect((await limit(name, rate, rounds)).toFixed(6)).toBe(value.toFixed(6));
  });
});

test("delayed and not end at the same point to six digits", async () => {
  expect((await limit("damsgrad", 0.05, ROUNDS, false)).toFixed(6)).toBe("0.340076");
});
