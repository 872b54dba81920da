import { expect, test } from "vitest";
import type { TrialResult, TrialSpec } from "../protocol.ts";
import { createProgress } from "./progress.ts";

const spec = (id: string, epochs: number): TrialSpec => ({
  id,
  problem: "p",
  optimizer: id.split("/")[0] ?? "",
  learningRate: 1,
  seed: 1,
  epochs,
  phase: "tune",
});

test("without a terminal the first point is said at once, then a line each five seconds with time left", () => {
  let now = 1000;
  let printed = "";
  const terminal = {
    out: () => undefined,
    err: (text: string) => {
      printed += text;
    },
    isTty: false,
  };
  // Two optimizers of 1 x 1 + 1 x 3 epochs: eight in all.
  const plan = { optimizers: ["a", "b"], trials: 1, seeds: 1, epochs: 3, tuningEpochs: 1 };
  const progress = createProgress(plan, terminal, { now: () => now }, now);
  const point = (id: string, epoch: number) =>
    progress.onEvent({
      kind: "point",
      id,
      point: { step: 25, epoch, seconds: 1, trainLoss: 2.345 },
    });

  now += 800;
  point("a/tune/1", 0.5);
  now += 1000;
  point("a/tune/1", 0.9);
  now += 4200;
  const result: TrialResult = {
    spec: spec("a/tune/1", 1),
    status: "diverged",
    points: [],
    lastMetric: null,
    bestMetric: null,
    trainSeconds: 1,
    evaluateSeconds: 0,
  };
  progress.onEvent({ kind: "finished", result });
  now += 6000;
  point("b/tune/1", 1);
  progress.stop();

  expect(printed).toBe(
    [
      "first curve point after 0.8 s: a, step 25, loss 2.35",
      "13 %, 1 of 4 trials, about 42 s left",
      "25 %, 1 of 4 trials, about 36 s left",
      "",
    ].join("\n"),
  );
});
