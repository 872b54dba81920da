/** Whatever takes optimizer steps and can be timed. */

import type { Clock } from "@adastra/core";
import type { StepProblem } from "./problem.ts";

export interface Subject {
  /** Milliseconds that binding to the parameters took, compilation included; a peer may leave that to its first step. */
  readonly compileMs: number;
  /** Takes `repeats` steps with gradient number `k` and says how many milliseconds one took, the gradient's way not counted. */
  step(k: number, repeats: number): number | Promise<number>;
  /** Every `stride`-th parameter, over all tensors in turn. */
  params(stride: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  close(): void | Promise<void>;
}

/** A peer that runs here. */
export interface Peer {
  readonly name: string;
  /** Binds it to a problem: what the first step does not pay. */
  bind(problem: StepProblem, clock: Clock): Subject | Promise<Subject>;
  /** After the last size. */
  close?(): void;
}

/** A peer that does not run here, and why. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** Milliseconds a call of `work` takes, over `repeats` of them. */
export function timeEach(clock: Clock, repeats: number, work: () => void): number {
  const start = clock.now();
  for (let i = 0; i < repeats; i++) {
    work();
  }
  return (clock.now() - start) / repeats;
}
