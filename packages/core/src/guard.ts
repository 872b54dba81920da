/**
 * A watch over an optimizer that goes back to the last good state when training breaks.
 *
 *     step ─▶ gradient not finite       ─▶ counted; the `limit`-th in a row goes back
 *          ─▶ parameters not finite     ─▶ goes back
 *          ─▶ every `snapshotEvery` steps, all state finite ─▶ the new good state
 */

import type { Changes, CompiledOptimizer, StepOptions, StepResult } from "./compiledOptimizer.ts";
import type { NumericArray } from "./contracts.ts";
import { NonFiniteError, requireCount } from "./errors.ts";
import type { LeafState, OptimizerState } from "./state.ts";

export interface GuardOptions {
  /** Steps between states to go back to, an integer of at least 1, default 100. */
  readonly snapshotEvery?: number;
  /** Gradients in a row that are not finite before it goes back, an integer of at least 1, default 10. */
  readonly limit?: number;
}

export interface GuardedResult extends Omit<StepResult, "status"> {
  /** As the optimizer reports it, or `"restored"`: parameters and state are those of the last good state. */
  readonly status: StepResult["status"] | "restored";
}

export interface Guard {
  /** Times it went back. */
  readonly restored: number;
  /** The step count of the state it would go back to. */
  readonly goodCount: number;
  /** As the optimizer's own; a gradient that is not finite never throws. */
  step(
    gradients?: Readonly<Record<string, NumericArray | null | undefined>> | null,
    options?: StepOptions,
  ): GuardedResult;
  /** Goes back now, and changes hyperparameters there: a smaller rate, say. */
  restore(changes?: Changes): void;
}

/**
 * Guards a compiled optimizer.
 *
 * Keeps one copy of parameters and state in memory, and reads the parameters once more each step. Going back takes the
 * step count back too, and schedules with it; hyperparameters that were set since return to what they were.
 *
 * @param compiled - with `nonFinite` `"skip"` or `"throw"`, gradients are refused before they do harm; under
 * `"propagate"` the guard sees the harm and goes back at once.
 * @throws RangeError naming the option that is out of range, or when the optimizer is not finite to begin with.
 * @example
 * const compiled = compileOptimizer(adam(), { params, learningRate: 1e-3, nonFinite: "skip" });
 * const guarded = guard(compiled, { limit: 5 });
 * if (guarded.step(gradients).status === "restored") compiled.set({ learningRate: 5e-4 });
 */
export function guard(
  compiled: CompiledOptimizer,
  { snapshotEvery = 100, limit = 10 }: GuardOptions = {},
): Guard {
  requireCount("guard", "snapshotEvery", snapshotEvery);
  requireCount("guard", "limit", limit);
  let good = compiled.save();
  const culprit = firstNonFinite(good);
  if (culprit !== undefined) {
    throw new RangeError(
      `guard: parameters and state must be finite to begin with, got NaN or infinity in "${culprit}"; load a good state first`,
    );
  }
  let restored = 0;
  let refused = 0;
  const goBack = (): void => {
    compiled.load(good);
    refused = 0;
    restored += 1;
  };
  return {
    get restored() {
      return restored;
    },
    get goodCount() {
      return good.count;
    },
    step: (gradients, options) => {
      const result = attempt(compiled, gradients, options);
      refused = result.status === "skipped" ? refused + 1 : 0;
      if (refused >= limit || !Object.values(compiled.params).every(({ data }) => isFinite(data))) {
        goBack();
        return { ...result, status: "restored" };
      }
      if (result.status === "stepped" && compiled.count % snapshotEvery === 0) {
        const state = compiled.save();
        if (firstNonFinite(state) !== undefined) {
          goBack();
          return { ...result, status: "restored" };
        }
        good = state;
      }
      return result;
    },
    restore: (changes = {}) => {
      // First as they stand, so that a bad change throws before anything else moves.
      compiled.set(changes);
      goBack();
      compiled.set(changes);
    },
  };
}

function attempt(
  compiled: CompiledOptimizer,
  ...args: Parameters<CompiledOptimizer["step"]>
): StepResult {
  try {
    return compiled.step(...args);
  } catch (error) {
    if (error instanceof NonFiniteError) {
      return { status: "skipped" };
    }
    throw error;
  }
}

/** The path of a leaf whose parameters or state hold NaN or an infinity. */
function firstNonFinite({ leaves, global }: OptimizerState): string | undefined {
  const bad = Object.entries(leaves).find(([, leaf]) => !arraysOf(leaf).every(isFinite));
  return bad?.[0] ?? Object.keys(global).find((key) => !Number.isFinite(global[key]));
}

function arraysOf({ params, arrays, tensor, vectors, queues }: LeafState): ArrayLike<number>[] {
  return [
    params,
    ...Object.values(arrays).flat(),
    Object.values(tensor),
    ...Object.values(vectors),
    ...queues,
  ];
}

function isFinite(data: ArrayLike<number>): boolean {
  // x − x is 0 for what is finite and NaN for the rest, and NaN stays in a sum.
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number;
    sum += x - x;
  }
  return sum === 0;
}
