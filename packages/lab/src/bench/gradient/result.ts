/** What `adastra bench gradient` measures, as its JSON has it. */

import type { OutputCheck } from "../compareOutputs.ts";
import type { Stamp } from "../environment.ts";
import type { Timing } from "../interleave.ts";
import type { ModelName } from "./models.ts";

/** Our gradient, the same with data and an optimizer's step, on replicas in place of threads, and the peers. */
export type RowKey =
  | "adastra"
  | "adastra-step"
  | "adastra-replicas"
  | "torch"
  | "torch-step"
  | "jax-js"
  | "tfjs";

export interface GradientRow extends Timing {
  readonly key: RowKey;
  /** Gradients in a row that a time is the mean of. */
  readonly repeats: number;
}

export interface ModelResult {
  readonly name: ModelName;
  readonly description: string;
  readonly parameters: number;
  readonly threads: number;
  /** Of the graph, and milliseconds of its stages. */
  readonly compile: {
    readonly nodes: number;
    readonly traceMs: number;
    readonly lowerMs: number;
    readonly sessionMs: number;
  };
  readonly checks: readonly OutputCheck[];
  readonly rows: readonly GradientRow[];
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  readonly complete: boolean;
}

export interface TargetResult {
  readonly target: string;
  readonly limit: number;
  /** The ratio of medians and that of minima, or null where it was not measured. */
  readonly ratio: number | null;
  readonly minRatio: number | null;
  readonly status: "met" | "missed" | "not measured";
}

export interface GradientBenchResult {
  readonly question: "gradient";
  readonly environment: Stamp;
  readonly rounds: number;
  readonly models: readonly ModelResult[];
  readonly targets: readonly TargetResult[];
  readonly interrupted: boolean;
}

/** A gradient and a whole step take no longer than PyTorch's; a whole step no more than 15 % longer than its gradient. */
export function judge(models: readonly ModelResult[]): readonly TargetResult[] {
  return models.flatMap((model) => [
    target(model, "gradient, against PyTorch", 1, "adastra", "torch"),
    ...(model.threads > 1
      ? [target(model, "gradient on replicas, against PyTorch", 1, "adastra-replicas", "torch")]
      : []),
    target(
      model,
      "data, gradient and AdaShift's step, against the gradient",
      1.15,
      "adastra-step",
      "adastra",
    ),
    target(
      model,
      "data, gradient and step, against PyTorch's with fused Adam",
      1,
      "adastra-step",
      "torch-step",
    ),
  ]);
}

function target(
  { name, threads, rows }: ModelResult,
  what: string,
  limit: number,
  key: RowKey,
  against: RowKey,
): TargetResult {
  const [row, other] = [key, against].map((each) =>
    rows.find((candidate) => candidate.key === each),
  );
  const title = `${name}, ${threads} thread${threads === 1 ? "" : "s"}: ${what}`;
  if (row === undefined || other === undefined) {
    return { target: title, limit, ratio: null, minRatio: null, status: "not measured" };
  }
  const ratio = row.medianMs / other.medianMs;
  const minRatio = row.minMs / other.minMs;
  return { target: title, limit, ratio, minRatio, status: ratio <= limit ? "met" : "missed" };
}
