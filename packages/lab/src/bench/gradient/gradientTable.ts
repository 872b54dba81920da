/** The table a run of `adastra bench gradient` ends with. */

import { align } from "../../cli/resultTable.ts";
import { describeStamp } from "../environment.ts";
import type { GradientBenchResult, ModelResult } from "./result.ts";

export function renderGradientTable(result: GradientBenchResult): string {
  return [
    "The gradient of a loss, float32; Adastra on ONNX Runtime's CPU provider. Milliseconds.",
    describeStamp(result.environment),
    "",
    ...result.models.flatMap(renderModel),
    ...(result.models.length === 0 ? ["no model was finished", ""] : []),
    "targets, by medians (minima)",
    ...align(
      result.targets.map(({ target, limit, ratio, minRatio, status }) => [
        `  ${status}`,
        target,
        ratio === null || minRatio === null
          ? ""
          : `${ratio.toFixed(2)} (${minRatio.toFixed(2)}) of at most ${limit}`,
      ]),
    ),
    ...(result.interrupted ? ["", "interrupted: the tables hold what was finished"] : []),
    "",
  ].join("\n");
}

function renderModel(model: ModelResult): string[] {
  const { name, description, parameters, threads, compile, checks, rows, leftOut } = model;
  const ours = rows.find(({ key }) => key === "adastra");
  const worst = checks.reduce<(typeof checks)[number] | undefined>(
    (most, check) => (check.difference > (most?.difference ?? -1) ? check : most),
    undefined,
  );
  const ms = (value: number): string => value.toPrecision(3);
  return [
    `${name}, ${threads} thread${threads === 1 ? "" : "s"}: ${description}; ${parameters.toLocaleString("en")} parameters`,
    ...align([
      ["", "min", "median", "spread", "x ours", "rounds"],
      ...rows.map((row) => [
        row.name,
        ms(row.minMs),
        ms(row.medianMs),
        row.spread.toFixed(2),
        ours === undefined ? "" : (row.medianMs / ours.medianMs).toFixed(2),
        row.repeats === 1 ? String(row.rounds) : `${row.rounds} x ${row.repeats}`,
      ]),
    ]).map((line) => `  ${line}`),
    ...leftOut.map(({ name: peer, reason }) => `  left out: ${peer}: ${reason}`),
    `  compiled in ${Math.round(compile.traceMs + compile.lowerMs + compile.sessionMs)} ms (trace ${Math.round(compile.traceMs)}, lower ${Math.round(compile.lowerMs)}, session ${Math.round(compile.sessionMs)}), ${compile.nodes} nodes`,
    worst === undefined
      ? "  nothing to compare with"
      : `  compared before timing: ${checks.length} losses and gradients; the largest difference is ${worst.difference.toExponential(1)} of at most ${worst.tolerance} (${worst.name}, against ${worst.against})`,
    "",
  ];
}
