/** What an optimizer must remember to continue, as plain arrays by name. */

import type { Extent } from "./arena.ts";
import type { DType } from "./codegen/kernel.ts";
import type { NumericArray } from "./contracts.ts";
import { show } from "./errors.ts";
import { sameShape } from "./tree.ts";

export interface LeafState {
  readonly shape: readonly number[];
  /** Steps this leaf took part in. */
  readonly count: number;
  readonly params: NumericArray;
  /** State by key; a history holds one array a step, oldest first, other state one. */
  readonly arrays: Readonly<Record<string, readonly NumericArray[]>>;
  /** Per-tensor state by key. */
  readonly tensor: Readonly<Record<string, number>>;
  /** Queued per-tensor values, oldest first. */
  readonly queues: readonly (readonly number[])[];
}

export interface OptimizerState {
  readonly format: "adastra-optimizer/1";
  readonly optimizer: string;
  readonly dtype: DType;
  /** Steps taken. */
  readonly count: number;
  readonly leaves: Readonly<Record<string, LeafState>>;
}

/** What a state must look like to be loaded. */
export interface StateShape {
  readonly optimizer: string;
  readonly dtype: DType;
  readonly extents: readonly Extent[];
  readonly arrays: readonly { readonly name: string; readonly kept: number }[];
  readonly tensor: readonly string[];
  readonly queues: readonly number[];
}

/** @throws TypeError naming the first thing that does not fit. */
export function checkState(where: string, state: OptimizerState, shape: StateShape): void {
  const expect = (ok: boolean, expected: string, got: unknown, hint: string): void => {
    if (!ok) {
      throw new TypeError(`${where}: ${expected}, got ${show(got)}; ${hint}`);
    }
  };
  const same = "pass the state of the optimizer it was saved with";
  expect(
    state.format === "adastra-optimizer/1",
    'state must have format "adastra-optimizer/1"',
    state.format,
    same,
  );
  expect(
    state.optimizer === shape.optimizer,
    `state must be of "${shape.optimizer}"`,
    state.optimizer,
    same,
  );
  expect(
    state.dtype === shape.dtype,
    `state must be ${shape.dtype}`,
    state.dtype,
    "compile with the dtype it was saved with",
  );
  expect(isCount(state.count), "the step count must be a natural number", state.count, same);
  for (const { path, shape: dims, size } of shape.extents) {
    const leaf = state.leaves[path];
    if (leaf === undefined) {
      throw new TypeError(`${where}: state must hold leaf "${path}", got none; ${same}`);
    }
    expect(
      sameShape(leaf.shape, dims),
      `leaf "${path}" must have shape [${dims.join(", ")}]`,
      `[${leaf.shape.join(", ")}]`,
      same,
    );
    expect(
      isCount(leaf.count),
      `the step count of leaf "${path}" must be a natural number`,
      leaf.count,
      same,
    );
    expect(
      leaf.params.length === size,
      `parameters of leaf "${path}" must hold ${size} elements`,
      leaf.params.length,
      same,
    );
    for (const { name, kept } of shape.arrays) {
      const steps = leaf.arrays[name];
      expect(
        steps?.length === kept && steps.every((data) => data.length === size),
        `state "${name}" of leaf "${path}" must hold ${kept} x ${size} elements`,
        steps === undefined
          ? "none"
          : `${steps.length} arrays of ${steps.map((data) => data.length).join(", ")}`,
        same,
      );
    }
    for (const key of shape.tensor) {
      expect(
        typeof leaf.tensor[key] === "number",
        `state "${key}" of leaf "${path}" must be a number`,
        leaf.tensor[key],
        same,
      );
    }
    expect(
      leaf.queues.length === shape.queues.length &&
        leaf.queues.every((queue, i) => queue.length === shape.queues[i]),
      `leaf "${path}" must hold queues of ${shape.queues.join(", ")} values`,
      leaf.queues.map((queue) => queue.length).join(", "),
      same,
    );
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
