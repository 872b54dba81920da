/** What an optimizer must remember to continue, as plain arrays by name. */

import type { Matrix } from "./codegen/host.ts";
import type { DType } from "./codegen/kernel.ts";
import { type ArraySpec, type HostState, PARAMS } from "./codegen/passes.ts";
import type { NumericArray } from "./contracts.ts";
import { show } from "./errors.ts";
import { bf16Operations } from "./expr/bf16.ts";
import type { LeafInfo } from "./expr/node.ts";
import type { Tensor } from "./runtime/tensor.ts";
import { isNumericArray, sameShape, sizeOf } from "./tree.ts";

export interface LeafState {
  readonly shape: readonly number[];
  /** Steps this leaf took part in. */
  readonly count: number;
  readonly params: NumericArray;
  /** State by key; a history holds one array a step, oldest first, other state one. bfloat16 stand as their 16 bits. */
  readonly arrays: Readonly<Record<string, readonly (NumericArray | Uint16Array)[]>>;
  /** Per-tensor state by key. */
  readonly tensor: Readonly<Record<string, number>>;
  /** State of rows and of columns by key. */
  readonly vectors: Readonly<Record<string, Float64Array>>;
  /** Queued per-tensor values, oldest first. */
  readonly queues: readonly (readonly number[])[];
}

export interface OptimizerState {
  readonly format: "adastra-optimizer/2";
  readonly optimizer: string;
  readonly dtype: DType;
  /** Steps taken. */
  readonly count: number;
  /** Calls taken of those that make up a step: accumulated gradients, an ascent. */
  readonly phase: number;
  /** Hyperparameters by key, as they stand; those on a schedule are those of the next step. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** The seed of draws, where the optimizer draws. */
  readonly seed?: number;
  /** State that is one number for all tensors, by key. */
  readonly global: Readonly<Record<string, number>>;
  readonly leaves: Readonly<Record<string, LeafState>>;
}

/** What a state must look like to be loaded. */
export interface StateShape {
  readonly optimizer: string;
  readonly dtype: DType;
  /** Calls that make up a step. */
  readonly phases: number;
  /** Whether it draws, so that a state must hold its seed. */
  readonly draws: boolean;
  readonly hyperparameters: readonly string[];
  readonly global: readonly string[];
  readonly tensors: readonly TensorShape[];
}

/** What is kept of one leaf; a `Tensor` is one. */
export interface TensorShape {
  readonly leaf: LeafInfo;
  readonly matrix: Matrix;
  /** Numbers that each queue holds. */
  readonly queues: readonly { readonly length: number }[];
  readonly owner: {
    readonly plan: {
      readonly arrays: readonly Pick<ArraySpec, "name" | "format">[];
      readonly hostState: readonly Pick<HostState, "key" | "scope">[];
    };
    /** Steps of an array that outlive a step. */
    kept(array: number): number;
  };
}

/** Puts parameters and state to where they start. */
export function startLeaf(tensor: Tensor, params: NumericArray): void {
  const { nearest, upper } = bf16Operations();
  tensor.view(PARAMS, 0).set(params);
  tensor.owner.plan.arrays.forEach(({ slots, init, format }, array) => {
    for (let slot = 0; slot < slots && init !== 0; slot++) {
      const view = tensor.stored(array, slot);
      const start = init === "params" ? params : new Float64Array(view.length).fill(init);
      view.set(format === undefined ? start : start.map((x) => upper(nearest(x))));
    }
  });
}

/** Parameters and state of a leaf, copied. */
export function saveLeaf(tensor: Tensor): LeafState {
  const { owner, leaf, count } = tensor;
  const arrays: Record<string, readonly (NumericArray | Uint16Array)[]> = {};
  owner.plan.arrays.forEach(({ name }, array) => {
    const kept = owner.kept(array);
    if (kept > 0) {
      arrays[name] = Array.from({ length: kept }, (_, i) =>
        tensor.stored(array, owner.slotAt(array, count, kept - 1 - i)).slice(),
      );
    }
  });
  return {
    shape: leaf.shape,
    count,
    params: tensor.view(PARAMS, 0).slice(),
    arrays,
    tensor: Object.fromEntries(
      keysOf(tensor, "tensor").map((key) => [key, tensor.state[key]?.[0] as number]),
    ),
    vectors: Object.fromEntries(
      [...keysOf(tensor, "row"), ...keysOf(tensor, "column")].map((key) => [
        key,
        (tensor.state[key] as Float64Array).slice(),
      ]),
    ),
    queues: tensor.queues.map((queue) =>
      Array.from(queue, (_, i) => queue[(count + 1 + i) % queue.length] as number),
    ),
  };
}

/** Puts back what `saveLeaf` copied; `checkState` has seen it. */
export function loadLeaf(tensor: Tensor, saved: LeafState): void {
  const { owner } = tensor;
  tensor.count = saved.count;
  tensor.view(PARAMS, 0).set(saved.params);
  owner.plan.arrays.forEach(({ name }, array) => {
    const steps = owner.kept(array) > 0 ? (saved.arrays[name] ?? []) : [];
    steps.forEach((data, i) => {
      const slot = owner.slotAt(array, saved.count, steps.length - 1 - i);
      tensor.stored(array, slot).set(data);
    });
  });
  for (const [key, value] of Object.entries(saved.tensor)) {
    tensor.state[key]?.fill(value);
  }
  for (const [key, values] of Object.entries(saved.vectors)) {
    tensor.state[key]?.set(values);
  }
  saved.queues.forEach((queue, index) => {
    const ring = tensor.queues[index] as Float64Array;
    queue.forEach((value, i) => {
      ring[(saved.count + 1 + i) % ring.length] = value;
    });
  });
}

function keysOf({ owner }: TensorShape, scope: "tensor" | "row" | "column"): string[] {
  return owner.plan.hostState.filter((each) => each.scope === scope).map(({ key }) => key);
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
    state.format === "adastra-optimizer/2",
    'state must have format "adastra-optimizer/2"',
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
  expect(
    isCount(state.phase) && state.phase < shape.phases,
    `the phase must be a natural number below ${shape.phases}`,
    state.phase,
  );
  expect(
    shape.draws
      ? isCount(state.seed) && (state.seed as number) < 2 ** 32
      : state.seed === undefined,
    shape.draws ? "the seed must be an integer of 32 bits" : "state must hold no seed",
    state.seed,
  );
  expectNumbers(expect, state.hyperparameters, shape.hyperparameters, "hyperparameters");
  expectNumbers(expect, state.global, shape.global, "state of all tensors");
  expect(isRecord(state.leaves), "state must hold leaves by path", state.leaves);
  const known = new Set(shape.tensors.map(({ leaf }) => leaf.path));
  const stranger = Object.keys(state.leaves).find((path) => !known.has(path));
  expect(stranger === undefined, "state must hold the optimizer's leaves alone", stranger);
  for (const tensor of shape.tensors) {
    const { path } = tensor.leaf;
    const leaf = Object.hasOwn(state.leaves, path) ? state.leaves[path] : undefined;
    expect(isRecord(leaf), `state must hold leaf "${path}"`, leaf);
    checkLeaf(expect, leaf as LeafState, tensor, state.count);
  }
}

type Expect = (ok: boolean, expected: string, got: unknown, hint?: string) => void;

function checkLeaf(expect: Expect, leaf: LeafState, tensor: TensorShape, count: number): void {
  const { owner, matrix, queues } = tensor;
  const { path, shape } = tensor.leaf;
  const size = sizeOf(shape);
  const holds = (data: unknown): boolean => isNumericArray(data) && data.length === size;
  const holdsHalves = (data: unknown): boolean => isBf16Array(data) && data.length === size;
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
  const arrays = owner.plan.arrays.flatMap(({ name, format }, array) => {
    const kept = owner.kept(array);
    return kept > 0 ? [{ name, format, kept }] : [];
  });
  expect(isRecord(leaf.arrays), `leaf "${path}" must hold state by key`, leaf.arrays);
  expect(
    Object.keys(leaf.arrays).length === arrays.length,
    `leaf "${path}" must hold state ${arrays.map(({ name }) => name).join(", ")}`,
    Object.keys(leaf.arrays).join(", "),
  );
  for (const { name, format, kept } of arrays) {
    const steps: unknown = leaf.arrays[name];
    expect(
      Array.isArray(steps) &&
        steps.length === kept &&
        steps.every(format === undefined ? holds : holdsHalves),
      `state "${name}" of leaf "${path}" must be ${kept} x ${size} ${format ?? "numbers"}`,
      Array.isArray(steps) ? `${steps.length} arrays` : "none",
    );
  }
  const what = `per-tensor state of leaf "${path}"`;
  expectNumbers(expect, leaf.tensor, keysOf(tensor, "tensor"), what);
  const [rows, columns] = [keysOf(tensor, "row"), keysOf(tensor, "column")];
  expect(
    isRecord(leaf.vectors) && Object.keys(leaf.vectors).length === rows.length + columns.length,
    `leaf "${path}" must hold state of rows and columns ${[...rows, ...columns].join(", ")}`,
    isRecord(leaf.vectors) ? Object.keys(leaf.vectors).join(", ") : leaf.vectors,
  );
  for (const key of [...rows, ...columns]) {
    const length = rows.includes(key) ? matrix.rows : matrix.columns;
    const values: unknown = leaf.vectors[key];
    expect(
      isNumericArray(values) && values.length === length,
      `state "${key}" of leaf "${path}" must be ${length} numbers`,
      isNumericArray(values) ? `${values.length}` : "none",
    );
  }
  const lengths = queues.map(({ length }) => length);
  expect(
    Array.isArray(leaf.queues) &&
      leaf.queues.length === lengths.length &&
      leaf.queues.every((queue, i) => isQueue(queue, lengths[i] as number)),
    `leaf "${path}" must hold queues of ${lengths.join(", ")} numbers`,
    JSON.stringify(leaf.queues) ?? "none",
  );
}

/** A record of one number a key, and no more. */
function expectNumbers(
  expect: Expect,
  record: Readonly<Record<string, number>>,
  keys: readonly string[],
  what: string,
): void {
  expect(isRecord(record), `${what} must be numbers by key`, record);
  expect(
    Object.keys(record).length === keys.length,
    `${what} must be ${keys.join(", ") || "empty"}`,
    Object.keys(record).join(", ") || "none",
  );
  for (const key of keys) {
    const value = record[key];
    expect(typeof value === "number", `"${key}" of ${what} must be a number`, value);
  }
}

function isQueue(queue: unknown, length: number): boolean {
  return (
    Array.isArray(queue) &&
    queue.length === length &&
    queue.every((value) => typeof value === "number")
  );
}

function isBf16Array(value: unknown): value is Uint16Array {
  return Object.prototype.toString.call(value) === "[object Uint16Array]";
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
