/** Runs passes on the processor: fills in the frames of kernels, and takes reductions from them. */

import { bytesOf, numbersAt, WARMUP_ELEMENTS } from "../arena.ts";
import type { HostValues } from "../codegen/host.ts";
import {
  type BackendMemory,
  type DType,
  foldPartials,
  type Kernel,
  type LoadedKernel,
  startPartials,
} from "../codegen/kernel.ts";
import { EVALUATED, type Stream } from "../codegen/passes.ts";
import type { PassCall, Piece, Range, RunMatrixStage, Runner, Runtime } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

/** Instructions over elements after which V8 has started to optimise any kernel, 1.6 times what was measured. */
const WARMUP_INSTRUCTIONS = 1e6;

/** Instructions of a kernel like Adam's. */
const TYPICAL_BODY = 25;

export class Executor implements Runner {
  private readonly memory: BackendMemory;
  private readonly dtype: DType;
  private readonly loaded: ReadonlyMap<Kernel, LoadedKernel>;
  private readonly runtime: Runtime;
  private readonly runMatrixStage: RunMatrixStage | undefined;
  readonly tiles: readonly number[];

  evaluated = 0;
  /** Of all draws. */
  seed = 0;
  /** The key of the draws of the call that runs. */
  key = 0;

  /**
   * @param runMatrixStage - may be absent where no plan has matrix stages.
   * @param tiles - where numbers of arrays in 8 bits lie while a pass runs: `TILE` each.
   */
  constructor(
    memory: BackendMemory,
    dtype: DType,
    loaded: ReadonlyMap<Kernel, LoadedKernel>,
    runtime: Runtime,
    runMatrixStage?: RunMatrixStage,
    tiles: readonly number[] = [],
  ) {
    this.runMatrixStage = runMatrixStage;
    this.memory = memory;
    this.dtype = dtype;
    this.loaded = loaded;
    this.runtime = runtime;
    this.tiles = tiles;
  }

  run(call: PassCall): void {
    this.runKernels(call);
    const { owner, pass, first } = call;
    for (const stage of pass.matrices ?? []) {
      this.runMatrixStage?.(stage, owner.address(stage.array, 0, first.extent.start), first.matrix);
    }
  }

  private runKernels(call: PassCall): void {
    const { phase, pass, first, last } = call;
    if (pass.steady.kernel.stores.length + pass.reductions.length === 0) {
      return;
    }
    this.key = this.runtime.keyOfCall?.(call, this.seed) ?? 0;
    if (pass.perRow) {
      this.runtime.runRows(this, call);
      return;
    }
    const whole = { start: first.extent.start, end: last.extent.start + last.extent.size };
    let partials: Float64Array | undefined;
    for (const range of call.ranges ?? [whole]) {
      partials = this.runRange(call, range, 0, partials);
    }
    const { numbers } = first.valuesOf(phase);
    pass.reductions.forEach(({ kind, slot }, position) => {
      numbers[slot] = foldPartials(kind, partials as Float64Array, position);
    });
  }

  /**
   * Runs the pass's kernels over a range of the first tensor's class and returns the partial results of its
   * reductions.
   *
   * @param row - whose numbers it reads. @param before - what it goes on from, the identities where absent.
   */
  runRange(
    { phase, pass, first }: PassCall,
    range: Range,
    row = 0,
    before?: Float64Array,
  ): Float64Array {
    const values = first.valuesOf(phase);
    if (pass.refresh === undefined) {
      const { start, end } = range;
      return this.runPiece({ variant: pass.steady, start, end }, first, values, row, before);
    }
    let partials = before;
    for (const piece of this.runtime.refreshed(pass, first, range)) {
      if (piece.end > piece.start || partials === before) {
        partials = this.runPiece(piece, first, values, row, partials);
      }
    }
    return partials as Float64Array;
  }

  private runPiece(
    piece: Piece,
    tensor: Tensor,
    values: HostValues,
    row: number,
    before: Float64Array | undefined,
  ): Float64Array {
    const { runTiles } = this.runtime;
    return runTiles === undefined || piece.variant.packed === undefined
      ? this.runKernel(piece, tensor, values, row, before)
      : runTiles(this, piece, tensor, values, row, before);
  }

  runKernel(
    { variant: { kernel, streams, scalars, packed }, start, end }: Piece,
    tensor: Tensor,
    values: HostValues,
    row: number,
    partials: Float64Array | undefined,
  ): Float64Array {
    const loaded = this.loadedOf(kernel);
    const { frame } = loaded;
    frame.count[0] = end - start;
    if (frame.key.length > 0) {
      frame.base[0] = start - tensor.extent.start;
      frame.key[0] = this.key;
    }
    for (let i = 0; i < streams.length; i++) {
      const stream = streams[i] as Stream;
      frame.pointers[i] =
        "array" in stream && stream.array === EVALUATED
          ? this.evaluated + start * bytesOf(this.dtype)
          : tensor.pointer(stream, tensor.count + 1, start);
    }
    packed?.forEach(({ stream }, i) => {
      frame.pointers[stream] = this.tiles[i] as number;
    });
    for (let i = 0; i < scalars.length; i++) {
      const slot = scalars[i] as number;
      frame.scalars[i] = (
        slot < 0 ? values.vectors[-1 - slot]?.[row] : values.numbers[slot]
      ) as number;
    }
    if (partials === undefined) {
      startPartials(frame.partials, kernel.reductions);
    } else if (partials !== frame.partials) {
      frame.partials.set(partials);
    }
    loaded.run();
    return frame.partials;
  }

  loadedOf(kernel: Kernel): LoadedKernel {
    return this.loaded.get(kernel) as LoadedKernel;
  }

  /** The largest magnitude of an array's slot, by the guard's kernel: NaN or infinite when an element is. */
  largest(guard: Kernel, tensor: Tensor, array: number, slot: number): number {
    const loaded = this.loadedOf(guard);
    const { frame } = loaded;
    frame.count[0] = tensor.extent.size;
    frame.pointers[0] = tensor.owner.address(array, slot, tensor.extent.start);
    frame.partials.fill(0);
    loaded.run();
    return foldPartials("max", frame.partials, 0);
  }

  /** Runs a kernel over a scratch area of WARMUP_ELEMENTS until the engine has started to optimise it. */
  warmUp(kernel: Kernel, scratch: number): void {
    const loaded = this.loadedOf(kernel);
    const { frame } = loaded;
    frame.pointers.fill(scratch);
    frame.count[0] = WARMUP_ELEMENTS;
    // A pass in which only the host works has nothing to run; a kernel that came compiled has no body to count.
    const idle = kernel.stores.length + kernel.reductions.length === 0;
    const body = kernel.body.length || TYPICAL_BODY;
    const calls = idle ? 0 : WARMUP_INSTRUCTIONS / body / WARMUP_ELEMENTS;
    for (let call = 0; call < calls; call++) {
      loaded.run();
    }
    numbersAt(this.memory, this.dtype, scratch, WARMUP_ELEMENTS).fill(0);
  }
}
