/** What a step is held to: ratios of medians within one interleaved run. */

import { entries } from "./ours.ts";
import { rowOf, type SizeResult, type StepRow, type TargetResult, trafficRow } from "./result.ts";

/** Every target, met or missed, or not measured where a size, an optimizer or a peer is not there. */
export function judge(sizes: readonly SizeResult[]): readonly TargetResult[] {
  const large = sizes.find(({ name }) => name === "10M");
  const ours = large && rowOf(large, "adam");
  const small = ["1k", "10k", "100k"].map((name) => {
    const size = sizes.find((candidate) => candidate.name === name);
    return target(
      `Adam over ${name}, faster than PyTorch fused=True`,
      1,
      size && rowOf(size, "adam"),
      size && rowOf(size, "torch-fused"),
    );
  });
  return [
    target(
      "Adam over 10M, against PyTorch fused=True",
      1.05,
      ours,
      large && rowOf(large, "torch-fused"),
    ),
    ...small,
    target(
      "Adam over 10M, an eighth of TensorFlow.js wasm",
      1 / 8,
      ours,
      large && rowOf(large, "tfjs-wasm"),
    ),
    target(
      "Adam over 10M in place on TensorFlow.js's wasm heap, an eighth of its own Adam",
      1 / 8,
      large && rowOf(large, "tfjs-adastra"),
      large && rowOf(large, "tfjs-wasm"),
    ),
    target("AdaShift over 10M, no slower than Adam", 1, large && rowOf(large, "adashift"), ours),
    ...entries
      .filter((entry) => entry.target)
      .map(({ name, title }) =>
        target(
          `${title} over 10M, against the time of its own bytes`,
          1.5,
          large && rowOf(large, name),
          large && trafficRow(large, name),
        ),
      ),
  ];
}

function target(
  name: string,
  limit: number,
  row: StepRow | undefined,
  against: StepRow | undefined,
): TargetResult {
  if (row === undefined || against === undefined) {
    return { target: name, limit, ratio: null, status: "not measured" };
  }
  const ratio = row.medianMs / against.medianMs;
  return { target: name, limit, ratio, status: ratio <= limit ? "met" : "missed" };
}
