/** The table a run of `adastra bench step` ends with. */

import { align } from "../../cli/resultTable.ts";
import type { OutputCheck } from "../compareOutputs.ts";
import { rowOf, type SizeResult, type StepResult, type StepRow, trafficRow } from "./result.ts";

export function renderStepTable(result: StepResult): string {
  const { environment, sizes, targets } = result;
  return [
    `One optimizer step over float32 parameters, one thread; Adastra on WebAssembly unless said otherwise. Milliseconds a step.`,
    Object.entries(environment)
      .map(([key, value]) => `${key}: ${describe(value)}`)
      .join("; "),
    "",
    ...sizes.flatMap(renderSize),
    ...(sizes.length === 0 ? ["no size was finished", ""] : []),
    "targets, by medians",
    ...align(
      targets.map(({ target, limit, ratio, status }) => [
        `  ${status}`,
        target,
        ratio === null ? "" : `${decimals(ratio)} of at most ${limit}`,
        ratio === null || status === "not measured"
          ? ""
          : `${Math.abs(100 * (ratio / limit - 1)).toFixed(0)} % ${ratio <= limit ? "to spare" : "over"}`,
      ]),
    ),
    ...(result.interrupted ? ["", "interrupted: the tables hold what was finished"] : []),
    "",
  ].join("\n");
}

function renderSize(size: SizeResult): string[] {
  const adam = rowOf(size, "adam");
  const slow = size.rows.filter((row) => row.rounds < mostRounds(size));
  return [
    `${size.name}: ${size.description}`,
    ...align([
      [
        "",
        "min",
        "median",
        "spread",
        "B/param",
        "GB/s",
        "x own bytes",
        "x Adam",
        "rounds",
        "compile",
        "first step",
      ],
      ...size.rows.map((row) => cells(row, size, adam)),
    ]).map((line) => `  ${line}`),
    ...size.leftOut.map(({ name, reason }) => `  left out: ${name}: ${reason}`),
    ...(slow.length > 0
      ? [
          `  fewer rounds, being slow: ${slow.map(({ name, rounds }) => `${name} ${rounds}`).join(", ")}`,
        ]
      : []),
    ...(size.complete ? [] : ["  stopped before the last round"]),
    ...renderChecks(size.checks),
    "",
  ];
}

/** A line for what was held to the same reference with the same tolerance. */
function renderChecks(checks: readonly OutputCheck[]): string[] {
  const kinds = new Map<string, OutputCheck[]>();
  for (const check of checks) {
    const { against, tolerance, reason } = check;
    const kind =
      tolerance === 0
        ? `equal to ${against}, bit for bit (${reason})`
        : `within ${tolerance} of ${against} (${reason})`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), check]);
  }
  return [...kinds].map(([kind, held]) => {
    const listed = held.map(({ name, tolerance, difference }) =>
      tolerance === 0 ? name : `${name} ${difference.toExponential(1)}`,
    );
    return `  compared before timing, ${kind}: ${listed.join("; ")}`;
  });
}

function cells(row: StepRow, size: SizeResult, adam: StepRow | undefined): string[] {
  const traffic = row.kind === "adastra" ? trafficRow(size, row.key) : undefined;
  return [
    row.name,
    ms(row.minMs),
    ms(row.medianMs),
    row.spread.toFixed(2),
    row.bytes === null ? "" : String(row.bytes),
    row.bytes === null ? "" : ((row.bytes * size.parameters) / row.medianMs / 1e6).toFixed(1),
    traffic === undefined ? "" : (row.medianMs / traffic.medianMs).toFixed(2),
    adam === undefined || row.kind === "copy" ? "" : decimals(row.medianMs / adam.medianMs),
    row.repeats === 1 ? String(row.rounds) : `${row.rounds} x ${row.repeats} steps`,
    row.kind === "copy" ? "" : ms(row.compileMs),
    ms(row.firstStepMs),
  ];
}

function mostRounds({ rows }: SizeResult): number {
  return Math.max(...rows.map(({ rounds }) => rounds));
}

/** Three digits that count, no exponent. */
function ms(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1e-4 ? value.toPrecision(3) : value.toFixed(6);
}

function decimals(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2);
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null
    ? Object.entries(value)
        .map(([key, part]) => (Array.isArray(value) ? String(part) : `${key} ${String(part)}`))
        .join(", ")
    : String(value);
}
