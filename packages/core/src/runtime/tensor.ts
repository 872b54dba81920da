/** A leaf while it trains: where its numbers lie, its step number, and what the host keeps for it. */

import { bytesOf, type ClassLayout, codeBytes, type Extent, numbersAt, widthOf } from "../arena.ts";
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
import { blocksOf } from "../expr/int8.ts";
import { type LeafInfo, matrixOf } from "../expr/node.ts";

type KeyOf = (seed: number, path: string, t: number, call: number) => number;

/** State that is one number for all tensors, by key: the same arrays for every tensor. */
export type GlobalState = Readonly<Record<string, Float64Array>>;

/** Leaves that run the same plan, in the memory that they share. */
export class TensorClass {
  readonly plan: Plan;
  readonly layout: ClassLayout;
  readonly dtype: DType;
  readonly memory: BackendMemory;
  readonly tensors: readonly Tensor[];

  constructor(
    plan: Plan,
    layout: ClassLayout,
    leaves: readonly LeafInfo[],
    dtype: DType,
    memory: BackendMemory,
    globals: GlobalState,
  ) {
    this.plan = plan;
    this.layout = layout;
    this.dtype = dtype;
    this.memory = memory;
    this.tensors = leaves.map(
      (leaf, index) => new Tensor(this, leaf, index, layout.extents[index] as Extent, globals),
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

export class Tensor {
  readonly owner: TensorClass;
  readonly leaf: LeafInfo;
  /** Its place among the tensors of its class. */
  readonly index: number;
  readonly extent: Extent;
  readonly matrix: Matrix;
  /** Steps it took part in. */
  count = 0;
  /** State on the host, by key. */
  readonly state: Readonly<Record<string, Float64Array>>;
  /** Numbers of earlier steps, each a ring by step number. */
  readonly queues: readonly Float64Array[];
  private readonly values = new Map<PhasePlan, HostValues>();

  constructor(
    owner: TensorClass,
    leaf: LeafInfo,
    index: number,
    extent: Extent,
    globals: GlobalState,
  ) {
    this.owner = owner;
    this.leaf = leaf;
    this.index = index;
    this.extent = extent;
    this.matrix = matrixOf(leaf.shape);
    const { rows, columns } = this.matrix;
    this.state = Object.fromEntries(
      owner.plan.hostState.map(({ key, scope, init }) => [
        key,
        scope === "step"
          ? (globals[key] as Float64Array)
          : new Float64Array({ tensor: 1, row: rows, column: columns }[scope]).fill(init),
      ]),
    );
    this.queues = owner.plan.step.host.queues.map(({ length }) => new Float64Array(length));
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

  /** The key of the draws of a call, by `keyOf` of `expr/draw.ts`, which whoever runs draws brings. */
  drawKey(keyOf: KeyOf, seed: number, phase: PhasePlan): number {
    const { before } = this.owner.plan;
    return keyOf(seed, this.leaf.path, this.count + 1, before.indexOf(phase) + 1);
  }

  /** An array's slot as it is kept: bfloat16 by their bits; of 8 bits the codes, then the scales of the blocks. */
  stored(array: number, slot: number): readonly StoredArray[] {
    const { buffer } = this.owner.memory;
    const { start, size } = this.extent;
    const at = this.owner.address(array, slot, start);
    switch (this.owner.plan.arrays[array]?.format) {
      case "bf16":
        return [new Uint16Array(buffer, at, size)];
      case "int8":
        return [new Uint8Array(buffer, at, size), this.scales(array, slot)];
      default:
        return [this.view(array, slot)];
    }
  }

  /** The scales of an array in 8 bits, one a block. */
  scales(array: number, slot: number): Float32Array {
    const { owner, extent } = this;
    const codes = owner.address(array, slot, 0);
    const at = codes + codeBytes(owner.layout.elements) + 4 * extent.block;
    return new Float32Array(owner.memory.buffer, at, blocksOf(extent.size));
  }

  /** An array's slot, as a view on the memory; of an array in the dtype. */
  view(array: number, slot: number): NumericArray {
    const { memory, dtype } = this.owner;
    const at = this.owner.address(array, slot, this.extent.start);
    return numbersAt(memory, dtype, at, this.extent.size);
  }
}
