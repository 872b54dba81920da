/** What an optimizer must remember to continue, as plain arrays by name. */

import type { Extent } from "./arena.ts";
import type { DType } from "./codegen/kernel.ts";
import type { NumericArray } from "./contracts.ts";
import { show } from "./errors.ts";
import { isNumericArray, sameShape } from "./tree.ts";

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

const SAME = "pass the state of the optimizer it was saved with";

/** @throws TypeError naming the first thing that does not fit. */
export function checkState(where: string, state: OptimizerState, shape: StateShape): void {
  const expect = (ok: boolean, expected: string, got: unknown, hint = SAME): void => {
    if (!ok) {
      throw new TypeError(`${where}: ${expected}, got ${show(got)}; ${hint}`);
    }
  };
  expect(isRecord(state), "state must be an object of `save`", state);
  expect(
    state.format === "adastra-optimizer/1",
    'state must have format "adastra-optimizer/1"',
    state.format,
  );
  expect(
    state.optimizer === shape.optimizer,
    `state must be of "${shape.optimizer}"`,
    state.optimizer,
  );
  expect(
    state.dtype === shape.dtype,
    `state must be ${shape.dtype}`,
    state.dtype,
    "compile with the dtype it was saved with",
  );
  expect(isCount(state.count), "the step count must be a natural number", state.count);
  expect(isRecord(state.leaves), "state must hold leaves by path", state.leaves);
  const known = new Set(shape.extents.map(({ path }) => path));
  const stranger = Object.keys(state.leaves).find((path) => !known.has(path));
  expect(stranger === undefined, "state must hold the optimizer's leaves alone", stranger);
  for (const extent of shape.extents) {
    const leaf = Object.hasOwn(state.leaves, extent.path) ? state.leaves[extent.path] : undefined;
    expect(isRecord(leaf), `state must hold leaf "${extent.path}"`, leaf);
    checkLeaf(expect, leaf as LeafState, extent, state.count, shape);
  }
}

type Expect = (ok: boolean, expected: string, got: unknown, hint?: string) => void;

function checkLeaf(
  expect: Expect,
  leaf: LeafState,
  { path, shape, size }: Extent,
  count: number,
  { arrays, tensor, queues }: StateShape,
): void {
  const holds = (data: unknown): boolean => isNumericArray(data) && data.length === size;
  const sameDims = Array.isArray(leaf.shape) && sameShape(leaf.shape, shape);
  expect(
    sameDims,
    `leaf "${path}" must have shape [${shape.join(", ")}]`,
    `[${String(leaf.shape)}]`,
  );
  expect(
    isCount(leaf.count) && leaf.count <= count,
    `the step count of leaf "${path}" must be a natural number up to ${count}`,
    leaf.count,
  );
  expect(holds(leaf.params), `parameters of leaf "${path}" must be ${size} numbers`, leaf.params);
  expect(isRecord(leaf.arrays), `leaf "${path}" must hold state by key`, leaf.arrays);
  expect(
    Object.keys(leaf.arrays).length === arrays.length,
    `leaf "${path}" must hold state ${arrays.map(({ name }) => name).join(", ")}`,
    Object.keys(leaf.arrays).join(", "),
  );
  for (const { name, kept } of arrays) {
    const steps: unknown = leaf.arrays[name];
    expect(
      Array.isArray(steps) && steps.length === kept && steps.every(holds),
      `state "${name}" of leaf "${path}" must be ${kept} x ${size} numbers`,
      Array.isArray(steps) ? `${steps.length} arrays` : "none",
    );
  }
  expect(isRecord(leaf.tensor), `leaf "${path}" must hold per-tensor state by key`, leaf.tensor);
  for (const key of tensor) {
    const value = leaf.tensor[key];
    expect(typeof value === "number", `state "${key}" of leaf "${path}" must be a number`, value);
  }
  expect(
    Array.isArray(leaf.queues) &&
      leaf.queues.length === queues.length &&
      leaf.queues.every((queue, i) => isQueue(queue, queues[i] as number)),
    `leaf "${path}" must hold queues of ${queues.join(", ")} numbers`,
    JSON.stringify(leaf.queues) ?? "none",
  );
}

function isQueue(queue: unknown, length: number): boolean {
  return (
    Array.isArray(queue) &&
    queue.length === length &&
    queue.every((value) => typeof value === "number")
  );
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
