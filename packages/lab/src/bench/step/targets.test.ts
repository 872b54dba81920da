import { expect, test } from "vitest";
import { environment } from "../environment.ts";
import type { SizeResult, StepRow } from "./result.ts";
import { renderStepTable } from "./stepTable.ts";
import { judge } from "./targets.ts";

function row(key: string, medianMs: number, kind: StepRow["kind"] = "adastra"): StepRow {
  return {
    name: key,
    kind,
    key,
    bytes: kind === "peer" ? null : 28,
    compileMs: 12.34,
    firstStepMs: 3,
    rounds: 31,
    repeats: 1,
    minMs: medianMs / 2,
    medianMs,
    spread: 1.25,
  };
}

function size(name: string, rows: readonly StepRow[]): SizeResult {
  return {
    name,
    description: "a size",
    parameters: 10_000_000,
    tensors: 1,
    checks: [
      {
        name: "adam",
        against: "the loop",
        compared: 1000,
        difference: 6e-8,
        tolerance: 1e-6,
        reason: "roundings",
      },
      {
        name: "adam",
        against: "JavaScript",
        compared: 1e7,
        difference: 0,
        tolerance: 0,
        reason: "the same bits",
      },
    ],
    rows,
    leftOut: [{ name: "jax-js", reason: "not installed" }],
    complete: true,
  };
}

const sizes = [
  size("100k", [row("adam", 0.1), row("torch-fused", 0.08, "peer")]),
  size("10M", [
    row("adam", 10),
    row("adashift", 10),
    row("cprop-adam", 40),
    row("adam,adamw", 8, "traffic"),
    row("adashift", 8, "traffic"),
    row("fastadabelief,cprop-adam", 10, "traffic"),
    row("torch-fused", 10, "peer"),
    row("tfjs-wasm", 100, "peer"),
    row("tfjs-adastra", 12.5, "peer"),
  ]),
];

test("targets are met, missed or not measured, by the ratio of medians", () => {
  expect(judge(sizes).map(({ target, ratio, status }) => [target, ratio, status])).toEqual([
    ["Adam over 10M, against PyTorch fused=True", 1, "met"],
    ["Adam over 1k, faster than PyTorch fused=True", null, "not measured"],
    ["Adam over 10k, faster than PyTorch fused=True", null, "not measured"],
    ["Adam over 100k, faster than PyTorch fused=True", 1.25, "missed"],
    ["Adam over 10M, an eighth of TensorFlow.js wasm", 0.1, "met"],
    [
      "Adam over 10M in place on TensorFlow.js's wasm heap, an eighth of its own Adam",
      0.125,
      "met",
    ],
    ["AdaShift over 10M, no slower than Adam", 1, "met"],
    ["AdaShift, max, n = 10 over 10M, against the time of its own bytes", 1.25, "met"],
    ["Adai over 10M, against the time of its own bytes", null, "not measured"],
    ["FastAdaBelief over 10M, against the time of its own bytes", null, "not measured"],
    ["CProp over Adam over 10M, against the time of its own bytes", 4, "missed"],
  ]);
});

test("the table shows every figure, what was left out, and by how much targets are met or missed", async () => {
  const table = renderStepTable({
    question: "step",
    environment: {
      ...environment(new Date("2026-01-02T03:04:05Z")),
      cpu: "a processor",
      cores: 2,
      os: "an os",
      node: "v20.0.0",
      flags: "",
      revision: "1234567",
      clean: true,
      load: [0.1, 0.2, 0.3],
      packages: { "@jax-js/jax": "0.1.25" },
    },
    rounds: 31,
    sizes,
    targets: judge(sizes),
    interrupted: false,
  });
  await expect(table).toMatchFileSnapshot("snapshots/stepTable.txt");
});
