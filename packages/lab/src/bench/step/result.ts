/** What `adastra bench step` measures, as its JSON has it. */

import type { OutputCheck } from "../compareOutputs.ts";
import type { Stamp } from "../environment.ts";
import type { PeerName } from "./peers/index.ts";
import type { LeftOut } from "./subject.ts";

export interface StepRow {
  readonly name: string;
  /** An optimizer of ours, a kernel that only moves bytes, the platform's copy, or a peer: Adam in or of another library. */
  readonly kind: "adastra" | "traffic" | "copy" | "peer";
  /** The optimizer's or the peer's name on the command line; a traffic kernel's lists its optimizers. */
  readonly key: string;
  /** Bytes a step must read and write a parameter; null for peers, which move what they move. */
  readonly bytes: number | null;
  /** Binding it to the parameters, compilation included; what the peer leaves to its first step is there. */
  readonly compileMs: number;
  /** The first step of all, before anything is warm. */
  readonly firstStepMs: number;
  /** Rounds it took part in: slow ones take part in fewer. */
  readonly rounds: number;
  /** Steps timed together in one round, where one is too short to time. */
  readonly repeats: number;
  readonly minMs: number;
  readonly medianMs: number;
  readonly spread: number;
}

export interface SizeResult {
  readonly name: string;
  readonly description: string;
  readonly parameters: number;
  readonly tensors: number;
  readonly checks: readonly OutputCheck[];
  readonly rows: readonly StepRow[];
  /** Peers that could not run, at this size or at all. */
  readonly leftOut: readonly LeftOut[];
  /** Whether every round was run. */
  readonly complete: boolean;
}

export interface StepResult {
  readonly question: "step";
  readonly environment: Stamp;
  readonly rounds: number;
  readonly sizes: readonly SizeResult[];
  readonly targets: readonly TargetResult[];
  readonly interrupted: boolean;
}

export interface TargetResult {
  readonly target: string;
  readonly limit: number;
  /** The ratio of medians, or null where it was not measured. */
  readonly ratio: number | null;
  readonly status: "met" | "missed" | "not measured";
}

/** The row of an optimizer or a peer. */
export function rowOf(size: SizeResult, key: PeerName | (string & {})): StepRow | undefined {
  return size.rows.find((row) => row.kind !== "traffic" && row.key === key);
}

/** The kernel that moves an optimizer's bytes. */
export function trafficRow(size: SizeResult, key: string): StepRow | undefined {
  return size.rows.find((row) => row.kind === "traffic" && row.key.split(",").includes(key));
}
