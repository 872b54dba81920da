/** Runs passes on the processor: fills in the frames of kernels, and takes reductions from them. */

import { bytesOf, numbersAt } from "../arena.ts";
import { type HostValues, valuesAt } from "../codegen/host.ts";
import {
  type BackendMemory,
  type DType,
  draws,
  foldPartials,
  type Kernel,
  type LoadedKernel,
  PARTIALS,
  reductionIdentity,
} from "../codegen/kernel.ts";
import type { Pass, Stream, Variant } from "../codegen/passes.ts";
import { refreshRange } from "../codegen/windows.ts";
import type { NumericArray } from "../contracts.ts";
import { keyOf } from "../expr/draw.ts";
import type { RunMatrixStage } from "./matrixStages.ts";
import type { PassCall } from "./sequence.ts";
import type { Tensor, TensorClass } from "./tensor.ts";

/** Elements from..to of a class's segments that run together. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** Instructions of a kernel like Adam's. */
const TYPICAL_BODY = 25;

export class Executor {
  private readonly memory: BackendMemory;
  private readonly dtype: DType;
  private readonly loaded: ReadonlyMap<Kernel, LoadedKernel>;
  private readonly runMatrixStage: RunMatrixStage | undefined;

  /** Of all draws. */
  seed = 0;
  /** The key of the draws of the call that runs. */
  private key = 0;

  /** `runMatrixStage` may be absent where no plan has matrix stages. */
  constructor(
    memory: BackendMemory,
    dtype: DType,
    loaded: ReadonlyMap<Kernel, LoadedKernel>,
    runMatrixStage?: RunMatrixStage,
  ) {
    this.runMatrixStage = runMatrixStage;
    this.memory = memory;
    this.dtype = dtype;
    this.loaded = loaded;
  }

  /** Runs a pass over its tensors; what it reduces stands in the first tensor's values afterwards. */
  run(call: PassCall): void {
    this.runKernels(call);
    const { owner, pass, first } = call;
    for (const stage of pass.matrices ?? []) {
      this.runMatrixStage?.(stage, owner.address(stage.array, 0, first.extent.start), first.matrix);
    }
  }

  private runKernels({ owner, phase, pass, first, last }: PassCall): void {
    if (pass.steady.kernel.stores.length + pass.reductions.length === 0) {
      return;
    }
    const values = first.valuesOf(phase);
    if (draws(pass.steady.kernel)) {
      const call = owner.plan.before.indexOf(phase) + 1;
      this.key = keyOf(this.seed, first.leaf.path, first.count + 1, call);
    }
    const { start } = first.extent;
    if (!pass.perRow) {
      const range = { start, end: last.extent.start + last.extent.size };
      const partials = this.runRange(owner, pass, first, values, range, 0, undefined);
      pass.reductions.forEach(({ kind, slot }, position) => {
        values.numbers[slot] = foldPartials(kind, partials, position);
      });
      return;
    }
    this.prepareColumns(owner, pass, first, values);
    const { rows, columns } = first.matrix;
    let partials = identities(pass);
    for (let row = 0; row < rows; row++) {
      const range = { start: start + row * columns, end: start + (row + 1) * columns };
      // Rows start anew, the tensor's own reductions go on from row to row.
      pass.reductions.forEach(({ kind, over }, position) => {
        if (over === "row") {
          partials.fill(reductionIdentity(kind), position * PARTIALS, (position + 1) * PARTIALS);
        }
      });
      partials = this.runRange(owner, pass, first, values, range, row, partials);
      pass.reductions.forEach(({ kind, over, slot }, position) => {
        if (over === "row") {
          valuesAt(values, slot)[row] = foldPartials(kind, partials, position);
        }
      });
    }
    pass.reductions.forEach(({ kind, over, slot }, position) => {
      if (over !== "row") {
        values.numbers[slot] = foldPartials(kind, partials, position);
      }
    });
    this.collectColumns(owner, pass, first, values);
  }

  /** Runs the pass's kernels over a range and returns the partial results of its reductions. */
  private runRange(
    owner: TensorClass,
    { steady, refresh }: Pass,
    tensor: Tensor,
    values: HostValues,
    { start, end }: Range,
    row: number,
    before: Float64Array | undefined,
  ): Float64Array {
    const pieces: (readonly [Variant, number, number])[] = [];
    if (refresh === undefined) {
      pieces.push([steady, start, end]);
    } else {
      const [from, to] = refreshRange(tensor.count + 1, owner.layout.elements).map((at) =>
        Math.min(Math.max(at, start), end),
      ) as [number, number];
      pieces.push([steady, start, from], [refresh, from, to], [steady, to, end]);
    }
    let partials = before;
    let ran = false;
    for (const [variant, from, to] of pieces) {
      if (to > from || !ran) {
        partials = this.runVariant(owner, variant, tensor, values, from, to - from, row, partials);
        ran = true;
      }
    }
    return partials as Float64Array;
  }

  private runVariant(
    owner: TensorClass,
    { kernel, streams, scalars }: Variant,
    tensor: Tensor,
    values: HostValues,
    start: number,
    count: number,
    row: number,
    partials: Float64Array | undefined,
  ): Float64Array {
    const loaded = this.loaded.get(kernel) as LoadedKernel;
    const { frame } = loaded;
    frame.count[0] = count;
    frame.base[0] = start - tensor.extent.start;
    frame.key[0] = this.key;
    for (let i = 0; i < streams.length; i++) {
      frame.pointers[i] = this.pointer(owner, streams[i] as Stream, tensor.count + 1, start);
    }
    for (let i = 0; i < scalars.length; i++) {
      const slot = scalars[i] as number;
      frame.scalars[i] = (
        slot < 0 ? values.vectors[-1 - slot]?.[row] : values.numbers[slot]
      ) as number;
    }
    if (partials === undefined) {
      kernel.reductions.forEach(({ kind }, i) => {
        frame.partials.fill(reductionIdentity(kind), i * PARTIALS, (i + 1) * PARTIALS);
      });
    } else if (partials !== frame.partials) {
      frame.partials.set(partials);
    }
    loaded.run();
    return frame.partials;
  }

  private pointer(owner: TensorClass, stream: Stream, t: number, start: number): number {
    return "column" in stream
      ? (owner.layout.columns[stream.column] as number)
      : owner.address(stream.array, owner.slotAt(stream.array, t, stream.delay), start);
  }

  /** Lays the numbers of the columns beside the pass: what it reads, or the identity of what it reduces. */
  private prepareColumns(owner: TensorClass, pass: Pass, tensor: Tensor, values: HostValues): void {
    pass.columns.forEach(({ role, slot }, index) => {
      const beside = this.column(owner, index, tensor);
      if (role === "read") {
        beside.set(valuesAt(values, slot));
      } else {
        beside.fill(reductionIdentity(role));
      }
    });
  }

  private collectColumns(owner: TensorClass, pass: Pass, tensor: Tensor, values: HostValues): void {
    pass.columns.forEach(({ role, slot }, index) => {
      if (role !== "read") {
        valuesAt(values, slot).set(this.column(owner, index, tensor));
      }
    });
  }

  private column(owner: TensorClass, index: number, { matrix }: Tensor): NumericArray {
    const at = owner.layout.columns[index] as number;
    return numbersAt(this.memory, this.dtype, at, matrix.columns);
  }

  /**
   * Makes a phase's only store, piece by piece into a scratch area of the memory, and copies it out.
   *
   * @param scratch - byte offset of `size` elements that nobody else uses.
   */
  evaluate({ owner, phase, pass, first }: PassCall, scratch: number, size: number): NumericArray {
    const { kernel, streams, scalars } = pass.steady;
    const loaded = this.loaded.get(kernel) as LoadedKernel;
    const values = first.valuesOf(phase);
    const result = first.view(0, 0).slice();
    for (let from = 0; from < result.length; from += size) {
      const count = Math.min(size, result.length - from);
      loaded.frame.count[0] = count;
      streams.forEach((stream, i) => {
        const isResult = "array" in stream && stream.array < 0;
        loaded.frame.pointers[i] = isResult
          ? scratch
          : this.pointer(owner, stream, first.count, first.extent.start + from);
      });
      scalars.forEach((slot, i) => {
        loaded.frame.scalars[i] = values.numbers[slot] as number;
      });
      loaded.run();
      result.set(numbersAt(this.memory, this.dtype, scratch, count), from);
    }
    return result;
  }

  /** The largest magnitude of an array's slot, by the guard's kernel: NaN or infinite when an element is. */
  largest(guard: Kernel, tensor: Tensor, array: number, slot: number): number {
    const loaded = this.loaded.get(guard) as LoadedKernel;
    const { frame } = loaded;
    frame.count[0] = tensor.extent.size;
    frame.pointers[0] = tensor.owner.address(array, slot, tensor.extent.start);
    frame.partials.fill(0);
    loaded.run();
    return foldPartials("max", frame.partials, 0);
  }

  /** Runs a kernel over a scratch area until the engine has started to optimise it. */
  warmUp(kernel: Kernel, scratch: number, elements: number, instructions: number): void {
    const loaded = this.loaded.get(kernel) as LoadedKernel;
    loaded.frame.pointers.fill(scratch);
    loaded.frame.count[0] = elements;
    // A pass in which only the host works has nothing to run; a kernel that came compiled has no body to count.
    const idle = kernel.stores.length + kernel.reductions.length === 0;
    const calls = idle ? 0 : instructions / (kernel.body.length || TYPICAL_BODY) / elements;
    for (let call = 0; call < calls; call++) {
      loaded.run();
    }
    new Uint8Array(this.memory.buffer, scratch, elements * bytesOf(this.dtype)).fill(0);
  }
}

function identities(pass: Pass): Float64Array {
  const partials = new Float64Array(pass.reductions.length * PARTIALS);
  pass.reductions.forEach(({ kind }, i) => {
    partials.fill(reductionIdentity(kind), i * PARTIALS, (i + 1) * PARTIALS);
  });
  return partials;
}
