/** What an optimizer must remember to continue, as plain arrays by name. */

import type { Matrix } from "./codegen/host.ts";
import type { DType } from "./codegen/kernel.ts";
import { type ArraySpec, type HostState, PARAMS } from "./codegen/passes.ts";
import type { NumericArray } from "./contracts.ts";
import { kindOf, show } from "./errors.ts";
import { bf16Operations } from "./expr/bf16.ts";
import { blocksOf } from "./expr/int8.ts";
import type { LeafInfo } from "./expr/node.ts";
import type { HostLeafState, StoredArray, Tensor } from "./runtime/tensor.ts";
import { isNumericArray, sizeOf } from "./tree.ts";

export interface LeafState extends HostLeafState {
  readonly shape: readonly number[];
  /** Steps this leaf took part in. */
  readonly count: number;
  readonly params: NumericArray;
  /**
   * State by key; a history holds one array a step, oldest first, other state one. bfloat16 stand as their 16 bits,
   * numbers in 8 bits as two arrays, their codes and the scales of their blocks.
   */
  readonly arrays: Readonly<Record<string, readonly StoredArray[]>>;
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

/** Puts parameters and state to where they start; `encode` writes numbers as a format keeps them. */
export function startLeaf(tensor: Tensor, params: NumericArray, encode: Encoder): void {
  tensor.view(PARAMS, 0).set(params);
  tensor.owner.plan.arrays.forEach(({ slots, init, format }, array) => {
    for (let slot = 0; slot < slots && init !== 0; slot++) {
      const start = init === "params" ? params : new Float64Array(params.length).fill(init);
      const kept = format === undefined ? [start] : encode(start, format);
      tensor.stored(array, slot).forEach((view, i) => {
        view.set(kept[i] as StoredArray);
      });
    }
  });
}

/** From numbers to what a format keeps of them. */
export type Encoder = (
  numbers: NumericArray,
  format: NonNullable<ArraySpec["format"]>,
) => readonly StoredArray[];

/** Numbers as the bits of the bfloat16 next to them. */
export const encodeBf16: Encoder = (numbers) => {
  const { nearest, upper } = bf16Operations();
  return [Uint16Array.from(numbers, (x) => upper(nearest(x)))];
};

/** Parameters and state of a leaf, copied. */
export function saveLeaf(tensor: Tensor): LeafState {
  const { owner, leaf, count } = tensor;
  const arrays: Record<string, readonly StoredArray[]> = {};
  owner.plan.arrays.forEach(({ name }, array) => {
    const kept = owner.kept(array);
    if (kept > 0) {
      const slots = Array.from({ length: kept }, (_, i) =>
        owner.slotAt(array, count, kept - 1 - i),
      );
      arrays[name] = slots.flatMap((slot) =>
        tensor.stored(array, slot).map((view) => view.slice()),
      );
    }
  });
  return {
    shape: leaf.shape,
    count,
    params: tensor.view(PARAMS, 0).slice(),
    arrays,
    ...(tensor.onHost?.save(count) ?? { tensor: {}, vectors: {}, queues: [] }),
  };
}

/** Puts back what `saveLeaf` copied; `checkState` has seen it. */
export function loadLeaf(tensor: Tensor, saved: LeafState): void {
  const { owner } = tensor;
  tensor.count = saved.count;
  tensor.view(PARAMS, 0).set(saved.params);
  owner.plan.arrays.forEach(({ name }, array) => {
    const kept = owner.kept(array);
    const data = kept > 0 ? (saved.arrays[name] ?? []) : [];
    for (let i = 0; i < kept; i++) {
      const views = tensor.stored(array, owner.slotAt(array, saved.count, kept - 1 - i));
      views.forEach((view, part) => {
        view.set(data[i * views.length + part] as StoredArray);
      });
    }
  });
  tensor.onHost?.load(saved, saved.count);
}

/** Refuses a value that is not as expected; `at` says where it was found. */
type Form = (value: unknown, at: string) => void;

function form(expected: string, isSo: (value: unknown) => boolean): Form {
  return (value, at) => {
    if (!isSo(value)) {
      throw new TypeError(
        `${at} must be ${expected}, got ${kindOf(value)}; pass the state of the optimizer it was saved with`,
      );
    }
  };
}

const ABSENT: Form = /* @__PURE__ */ form("absent", (value) => value === undefined);
const NUMBER: Form = /* @__PURE__ */ form("a number", (value) => typeof value === "number");

function exactly(expected: string | number): Form {
  return form(show(expected), (value) => value === expected);
}

function countUpTo(most: number): Form {
  return form(
    `a natural number up to ${most}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most,
  );
}

/** An array that parameters and state may be kept in, or one of the bits of bfloat16. */
function numbers(length: number, format?: "bf16"): Form {
  const isOfKind = format === undefined ? isNumericArray : isBf16Array;
  return form(
    `${length} ${format ?? "numbers"}`,
    (value) => isOfKind(value) && value.length === length,
  );
}

/** The arrays that state of one array is kept in, as many steps of it as outlive a step. */
function stored(size: number, format: ArraySpec["format"], steps: number): Form[] {
  if (format !== "int8") {
    return Array.from({ length: steps }, () => numbers(size, format));
  }
  const isOf =
    <T extends { readonly length: number }>(tag: string, length: number) =>
    (value: unknown): boolean =>
      isTagged<T>(value, tag) && value.length === length;
  const blocks = blocksOf(size);
  // No history is in 8 bits.
  return [
    form(`${size} codes of 8 bits`, isOf<Uint8Array>("Uint8Array", size)),
    form(`${blocks} scales in float32`, isOf<Float32Array>("Float32Array", blocks)),
  ];
}

/** A list where forms are a list, else a record: each member in its form, and no more members. */
function members(forms: readonly Form[] | Readonly<Record<string, Form>>): Form {
  const inside = new Map(Object.entries(forms));
  const whole = Array.isArray(forms) ? form("a list", Array.isArray) : form("a record", isRecord);
  return (value, at) => {
    whole(value, at);
    const found = new Map(Object.entries(value as object));
    for (const key of new Set([...inside.keys(), ...found.keys()])) {
      (inside.get(key) ?? ABSENT)(found.get(key), `${at}.${key}`);
    }
  };
}

/** A record of one form for every key. */
function each(keys: readonly string[], one: (key: string) => Form): Form {
  return members(Object.fromEntries(keys.map((key) => [key, one(key)])));
}

/** @throws TypeError naming the first part that does not fit, such as `state.leaves.dense1/kernel.count`. */
export function checkState(where: string, state: OptimizerState, shape: StateShape): void {
  const number = (): Form => NUMBER;
  const ofLeaf = ({ leaf, matrix, queues, owner }: TensorShape): Form => {
    const { arrays, hostState } = owner.plan;
    const size = sizeOf(leaf.shape);
    const kept = arrays.flatMap(({ name, format }, array) => {
      const steps = owner.kept(array);
      return steps > 0 ? [[name, members(stored(size, format, steps))] as const] : [];
    });
    const vectors = hostState.flatMap(({ key, scope }) =>
      scope === "row" || scope === "column"
        ? [[key, numbers(scope === "row" ? matrix.rows : matrix.columns)] as const]
        : [],
    );
    return members({
      shape: members(leaf.shape.map(exactly)),
      count: countUpTo(state.count),
      params: numbers(size),
      arrays: members(Object.fromEntries(kept)),
      tensor: each(
        hostState.flatMap(({ key, scope }) => (scope === "tensor" ? [key] : [])),
        number,
      ),
      vectors: members(Object.fromEntries(vectors)),
      queues: members(queues.map(({ length }) => members(Array.from({ length }, number)))),
    });
  };
  const found = `${where}: state`;
  form("what `save` returns", isRecord)(state, found);
  members({
    format: exactly("adastra-optimizer/2"),
    optimizer: exactly(shape.optimizer),
    dtype: exactly(shape.dtype),
    count: countUpTo(Number.MAX_SAFE_INTEGER),
    phase: countUpTo(shape.phases - 1),
    seed: shape.draws ? countUpTo(2 ** 32 - 1) : ABSENT,
    hyperparameters: each(shape.hyperparameters, number),
    global: each(shape.global, number),
    leaves: members(
      Object.fromEntries(shape.tensors.map((tensor) => [tensor.leaf.path, ofLeaf(tensor)])),
    ),
  })(state, found);
}

function isBf16Array(value: unknown): value is Uint16Array {
  return isTagged<Uint16Array>(value, "Uint16Array");
}

function isTagged<T>(value: unknown, tag: string): value is T {
  return Object.prototype.toString.call(value) === `[object ${tag}]`;
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
