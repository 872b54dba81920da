/** A leaf while it trains: where its numbers lie, its step number, and what the host keeps for it. */

import { bytesOf, type ClassLayout, type Extent, numbersAt, widthOf } from "../arena.ts";
import { allocateValues, type HostValues, type Matrix } from "../codegen/host.ts";
import type { BackendMemory, DType } from "../codegen/kernel.ts";
import {
  type ArraySpec,
  GRADIENT,
  PARAMS,
  type PhasePlan,
  type Plan,
  type Stream,
} from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import { type LeafInfo, matrixOf } from "../expr/node.ts";

/** What is saved of a tensor's state on the host. */
export interface HostLeafState {
  /** Per-tensor state by key. */
  readonly tensor: Readonly<Record<string, number>>;
  /** State of rows and of columns by key. */
  readonly vectors: Readonly<Record<string, Float64Array>>;
  /** Queued per-tensor values, oldest first. */
  readonly queues: readonly (readonly number[])[];
}

/** What the host keeps of a tensor from step to step. */
export interface KeptOnHost {
  /** Of what it keeps for rows and columns. */
  readonly bytes: number;
  /** Writes what a phase of step t reads of it into the tensor's values. */
  recall(phase: PhasePlan, values: HostValues, t: number): void;
  /** Takes what a phase of step t made: state in `written` stays, and what is taken joins it. */
  keep(phase: PhasePlan, values: HostValues, t: number, written: Set<Float64Array>): void;
  save(count: number): HostLeafState;
  load(saved: HostLeafState, count: number): void;
}

/** What the host keeps of all tensors: a number in all by key, and something of each. */
export interface HostMemory {
  /** The numbers in all. */
  save(): Readonly<Record<string, number>>;
  load(saved: Readonly<Record<string, number>>): void;
  start(plan: Plan, matrix: Matrix): KeptOnHost;
}

/** Leaves that run the same plan, in the memory that they share. */
export class TensorClass {
  readonly plan: Plan;
  readonly layout: ClassLayout;
  readonly dtype: DType;
  readonly memory: BackendMemory;
  readonly tensors: readonly Tensor[];
  /** Absent where every array is in the dtype. */
  readonly inFewerBits: StoredView | undefined;

  constructor(
    plan: Plan,
    layout: ClassLayout,
    leaves: readonly LeafInfo[],
    dtype: DType,
    memory: BackendMemory,
    memoryOnHost: HostMemory | undefined,
    inFewerBits: StoredView | undefined,
  ) {
    this.inFewerBits = inFewerBits;
    this.plan = plan;
    this.layout = layout;
    this.dtype = dtype;
    this.memory = memory;
    this.tensors = leaves.map(
      (leaf, index) => new Tensor(this, leaf, index, layout.extents[index] as Extent, memoryOnHost),
    );
  }

  /** The slot that holds step t − age of an array. */
  slotAt(array: number, t: number, age: number): number {
    const slots = this.plan.arrays[array]?.slots ?? 1;
    return (((t - age) % slots) + slots) % slots;
  }

  /** Byte address of an element of an array's slot. */
  address(array: number, slot: number, element: number): number {
    const { bases, slotBytes } = this.layout;
    const width = widthOf(this.plan.arrays[array] as ArraySpec, this.dtype);
    return (bases[array] as number) + slot * (slotBytes[array] as number) + element * width;
  }

  /** Steps of an array that outlive the current one: of the gradient's ring, all but the slot written next. */
  kept(array: number): number {
    const { slots, work } = this.plan.arrays[array] as ArraySpec;
    return array === PARAMS || work ? 0 : array === GRADIENT ? slots - 1 : slots;
  }
}

/** Numbers, or what is kept of them in fewer bits. */
export type StoredArray = NumericArray | Uint16Array | Uint8Array;

/** What is kept of an array's slot in fewer bits; nothing of one in the dtype. */
export type StoredView = (
  tensor: Tensor,
  array: number,
  slot: number,
) => readonly StoredArray[] | undefined;

export class Tensor {
  readonly owner: TensorClass;
  readonly leaf: LeafInfo;
  /** Its place among the tensors of its class. */
  readonly index: number;
  readonly extent: Extent;
  readonly matrix: Matrix;
  /** Steps it took part in. */
  count = 0;
  /** Absent where no plan keeps anything on the host. */
  readonly onHost: KeptOnHost | undefined;
  private readonly values = new Map<PhasePlan, HostValues>();

  constructor(
    owner: TensorClass,
    leaf: LeafInfo,
    index: number,
    extent: Extent,
    memoryOnHost: HostMemory | undefined,
  ) {
    this.owner = owner;
    this.leaf = leaf;
    this.index = index;
    this.extent = extent;
    this.matrix = matrixOf(leaf.shape);
    this.onHost = memoryOnHost?.start(owner.plan, this.matrix);
  }

  /** What is queued of it, for whoever checks a state. */
  get queues(): readonly { readonly length: number }[] {
    return this.owner.plan.step.host.queues;
  }

  /** Byte address from which a kernel's stream runs in step t, at one of its elements: of columns, the number of the element's own. */
  pointer(stream: Stream, t: number, element: number): number {
    const { owner } = this;
    if ("column" in stream) {
      // A run that begins inside a row goes on there.
      const column = (element - this.extent.start) % Math.max(this.matrix.columns, 1);
      return (owner.layout.columns[stream.column] as number) + column * bytesOf(owner.dtype);
    }
    return owner.address(stream.array, owner.slotAt(stream.array, t, stream.delay), element);
  }

  /** What the host computes for it in a phase. */
  valuesOf(phase: PhasePlan): HostValues {
    let values = this.values.get(phase);
    if (values === undefined) {
      values = allocateValues(phase.host, this.matrix);
      this.values.set(phase, values);
    }
    return values;
  }

  /** An array's slot as it is kept: views on its numbers, or on what is kept of them in fewer bits. */
  stored(array: number, slot: number): readonly StoredArray[] {
    return this.owner.inFewerBits?.(this, array, slot) ?? [this.view(array, slot)];
  }

  /** An array's slot, as a view on the memory; of an array in the dtype. */
  view(array: number, slot: number): NumericArray {
    const { memory, dtype } = this.owner;
    const at = this.owner.address(array, slot, this.extent.start);
    return numbersAt(memory, dtype, at, this.extent.size);
  }
}
