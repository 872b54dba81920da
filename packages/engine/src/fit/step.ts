/** One step of an optimizer, on as many batches as it takes, or none at all. */

import {
  type CompiledOptimizer,
  type Leaves,
  NonFiniteError,
  type OptimizerState,
} from "@adastra/core";
import type { CompiledGradient } from "../compile.ts";
import { DivergedError } from "../errors.ts";
import type { BatchArrays } from "../signature.ts";
import type { Origin } from "../trace/origin.ts";
import { type Metrics, meanOf } from "./metrics.ts";
import { copyState, restoreState } from "./runState.ts";

export interface Stepper<B extends BatchArrays> {
  readonly gradient: CompiledGradient<B>;
  readonly optimizer: CompiledOptimizer;
  readonly state: Leaves<Float32Array>;
}

/** Rows and how to read them. */
export interface Portion<B extends BatchArrays> {
  readonly rows: Uint32Array;
  readonly read: () => B | Promise<B>;
}

/** Batches that one step takes, and calls of the optimizer in which it takes them: SAM takes each batch twice. */
export function callsOf(optimizer: CompiledOptimizer): { batches: number; calls: number } {
  const before = optimizer.plans[0]?.before ?? [];
  const ascent = before.findIndex(({ status }) => status !== "accumulated");
  return { batches: (ascent < 0 ? before.length : ascent) + 1, calls: before.length + 1 };
}

/**
 * Takes a step on `portions`, and returns the means of loss and aux values.
 *
 * @throws DivergedError if loss or gradient is not finite, and whatever reading or running a batch throws; parameters,
 *   optimizer and model state are then as before the step.
 */
export async function takeStep<B extends BatchArrays>(
  stepper: Stepper<B>,
  portions: readonly Portion<B>[],
): Promise<Metrics & { readonly loss: number }> {
  const { optimizer, state } = stepper;
  const { calls } = callsOf(optimizer);
  const before = {
    optimizer: calls > 1 ? optimizer.save() : undefined,
    state: copyState(state),
  };
  const sums: Record<string, number> & { loss: number } = { loss: 0 };
  try {
    for (let call = 0; call < calls; call++) {
      const portion = portions[call % portions.length] as Portion<B>;
      const means = await takeCall(stepper, portion);
      if (call < portions.length) {
        for (const [name, mean] of Object.entries(means)) {
          sums[name] = (sums[name] ?? 0) + mean / portions.length;
        }
      }
    }
  } catch (error) {
    restore(stepper, before);
    throw error;
  }
  return sums;
}

function restore(
  { optimizer, state }: Pick<Stepper<BatchArrays>, "optimizer" | "state">,
  before: {
    readonly optimizer: OptimizerState | undefined;
    readonly state: Readonly<Record<string, Float32Array>>;
  },
): void {
  restoreState(state, before.state);
  // A step of one call refuses by itself, before it changes anything.
  if (before.optimizer !== undefined) {
    optimizer.load(before.optimizer);
  }
}

async function takeCall<B extends BatchArrays>(
  { gradient, optimizer, state }: Stepper<B>,
  { rows, read }: Portion<B>,
): Promise<Metrics & { readonly loss: number }> {
  const before = copyState(state);
  const batch = await read();
  const { loss, aux } = await gradient.run(batch, optimizer.params, optimizer.gradients);
  const refuse = async (of: string, value: string, cause?: Error): Promise<never> => {
    restoreState(state, before);
    // Where the computation cannot be looked into (another backend, no memory), the leaf is all there is to say.
    const origin = await gradient.diagnose(batch, optimizer.params).catch(() => undefined);
    throw new DivergedError(optimizer.count + 1, of, value, located(origin, batch, rows), cause);
  };
  if (!Number.isFinite(loss)) {
    return refuse("loss", String(loss));
  }
  try {
    optimizer.step(undefined, { nonFinite: "throw" });
  } catch (error) {
    if (error instanceof NonFiniteError) {
      return refuse(`gradient of leaf "${error.path}"`, "NaN or infinity", error);
    }
    throw error;
  }
  const means = Object.entries(aux).map(([name, data]) => [name, meanOf(data)] as const);
  return { ...Object.fromEntries(means), loss };
}

/** With the row of the data, where it is the data. */
function located<B extends BatchArrays>(
  origin: Origin | undefined,
  batch: B,
  rows: Uint32Array,
): (Origin & { readonly row?: number }) | undefined {
  const data = origin?.where === "batch" ? batch[origin.name]?.data : undefined;
  if (origin === undefined || data === undefined) {
    return origin;
  }
  const row = rows[Math.floor((origin.index * rows.length) / data.length)];
  return { ...origin, ...(row !== undefined && { row }) };
}
