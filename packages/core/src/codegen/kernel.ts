/**
 * What a backend compiles: one loop over elements, as a list of instructions in single assignment.
 *
 *     for i in 0 .. count-1:
 *       x₀ = …; x₁ = …                         body, in order; operands are indices of earlier instructions
 *       stream[store.stream][i] = x            stores, after every load of the element
 *       partial[r][i mod 8] ⊕= x               reductions, in float64
 *
 * Rounding: each arithmetic instruction rounds once, to the kernel's dtype. Scalars and constants are
 * float64 numbers, rounded to the dtype on entry. A reduction widens its value to float64 and keeps eight
 * partial results, element i going to partial i mod 8; a run continues from the partials it finds, so a
 * tensor may be processed in pieces that start at multiples of 8. `foldPartials` folds them in a fixed tree.
 * With that every backend gives the same bits; only sign and payload of a NaN are left open.
 *
 * `exponent` and `exp2i` are defined for every operand. With e₀ = -127 and e₁ = 128 for float32, -1023 and
 * 1024 for float64, the values that the exponent field takes below and above the normal numbers:
 *
 *     exponent(x)   the exponent field less the bias: ⌊log₂ |x|⌋ of a normal x, e₀ of 0 and of a subnormal,
 *                   e₁ of ±∞ and NaN
 *     exp2i(k)      2ᵏ, where k is first brought into [e₀, e₁] (NaN to e₀) and rounded to the nearest integer,
 *                   ties to even; e₀ gives 0, not a subnormal, and e₁ gives +∞
 *
 * `bf16` and `bf16Stochastic` are those of `expr/bf16.ts`, in float32 kernels only.
 */

import type { Arithmetic, Compare, ExactUnary, Logic } from "../expr/node.ts";

export type DType = "float32" | "float64";

/** Index of an instruction in its kernel's body. */
export type Id = number;

export type Instruction =
  | { readonly op: "load"; readonly stream: number }
  /** A value that is the same for every element of a run. */
  | { readonly op: "scalar"; readonly index: number }
  | { readonly op: "const"; readonly value: number }
  /** Draw of the element with index base + i: `uniformAt(base + i, key, salt)` of `expr/draw.ts`. */
  | { readonly op: "random"; readonly salt: number }
  | { readonly op: ExactUnary; readonly a: Id }
  | { readonly op: Arithmetic; readonly a: Id; readonly b: Id }
  /** Masks: operands of lt, le, eq are numbers, of and, or, not are masks; a comparison with NaN is false. */
  | { readonly op: Compare | Logic; readonly a: Id; readonly b: Id }
  | { readonly op: "not"; readonly a: Id }
  | { readonly op: "select"; readonly cond: Id; readonly a: Id; readonly b: Id };

export interface Kernel {
  readonly name: string;
  /** Names of the arrays read or written, for readable code; a stream's index is its position. */
  readonly streams: readonly string[];
  /**
   * Streams of bfloat16 elements, 2 bytes each: a load widens them, a store keeps the upper half of the number's bits,
   * so that what is stored must be rounded already. In float32 kernels only.
   */
  readonly bf16?: readonly number[];
  /**
   * Streams of whole numbers from 0 to 255, a byte each: a load makes a byte a number, what is stored must be such a
   * number. In float32 kernels only.
   */
  readonly u8?: readonly number[];
  /** Names of the scalars. */
  readonly scalars: readonly string[];
  readonly body: readonly Instruction[];
  readonly stores: readonly { readonly stream: number; readonly value: Id }[];
  readonly reductions: readonly { readonly kind: "sum" | "max"; readonly value: Id }[];
}

/** Partial results of one reduction. */
export const PARTIALS = 8;

/** What the host fills in before a run. Streams never overlap, unless two are one and the same array. */
export interface Frame {
  /** `[0]`: number of elements. */
  readonly count: Uint32Array;
  /** Byte offset of each stream's first element in the memory, a multiple of the element's size. */
  readonly pointers: Uint32Array;
  readonly scalars: Float64Array;
  /** PARTIALS numbers a reduction; the host sets them to the identity (0 for sum, -∞ for max) before the first run over a tensor. */
  readonly partials: Float64Array;
  /** `[0]`: index within its leaf of the run's first element, and the key of its draws; empty where the kernel draws nothing. */
  readonly base: Uint32Array;
  readonly key: Uint32Array;
}

export interface LoadedKernel {
  readonly frame: Frame;
  run(): void;
}

export interface Backend {
  readonly name: "evaluate" | "js" | "wasm";
  /** Zeroed memory of at least `bytes` bytes that `load` will be given; throws RangeError with a hint when the backend cannot address it. */
  allocate(bytes: number): BackendMemory;
  /** Compiles kernels over one memory. `scratch` is where their frames go: `frameBytes(kernels)` bytes, a multiple of 16. */
  load(
    kernels: readonly Kernel[],
    dtype: DType,
    memory: BackendMemory,
    scratch: number,
  ): LoadedKernel[];
}

export interface BackendMemory {
  readonly buffer: ArrayBuffer;
  /** Present where the memory belongs to WebAssembly. */
  readonly wasm?: WebAssembly.Memory;
}

/** Where one kernel's frame lies: count at 0, then pointers (u32), scalars and partials (f64, 8-aligned), base and key (u32). */
export interface FrameLayout {
  readonly pointers: number;
  readonly scalars: number;
  readonly partials: number;
  readonly base: number;
  readonly key: number;
  /** A multiple of 16. */
  readonly bytes: number;
}

export function frameLayout(kernel: Kernel): FrameLayout {
  const pointers = 4;
  const scalars = (pointers + 4 * kernel.streams.length + 7) & ~7;
  const partials = scalars + 8 * kernel.scalars.length;
  const base = partials + 8 * PARTIALS * kernel.reductions.length;
  const end = base + (draws(kernel) ? 8 : 0);
  return { pointers, scalars, partials, base, key: base + 4, bytes: (end + 15) & ~15 };
}

/** Whether a kernel has random numbers in it. */
export function draws({ body }: Pick<Kernel, "body">): boolean {
  return body.some(({ op }) => op === "random");
}

/** Whether a stream is of bfloat16 elements. */
export function isBf16({ bf16 }: Kernel, stream: number): boolean {
  return bf16?.includes(stream) ?? false;
}

/** Bytes of an element of a stream. */
export function streamBytes(kernel: Kernel, stream: number, dtype: DType): 1 | 2 | 4 | 8 {
  if (kernel.u8?.includes(stream)) {
    return 1;
  }
  return isBf16(kernel, stream) ? 2 : dtype === "float32" ? 4 : 8;
}

export function frameBytes(kernels: readonly Kernel[]): number {
  return kernels.reduce((bytes, kernel) => bytes + frameLayout(kernel).bytes, 0);
}

/** Where the frame of each kernel of one `load` lies: one after the other from `scratch`. */
export function frameAddresses(kernels: readonly Kernel[], scratch: number): number[] {
  let at = scratch;
  return kernels.map((kernel) => {
    const address = at;
    at += frameLayout(kernel).bytes;
    return address;
  });
}

/** The frame of one kernel as views on the memory at byte offset `at`. */
export function frameAt(kernel: Kernel, buffer: ArrayBuffer, at: number): Frame {
  const layout = frameLayout(kernel);
  return {
    count: new Uint32Array(buffer, at, 1),
    pointers: new Uint32Array(buffer, at + layout.pointers, kernel.streams.length),
    scalars: new Float64Array(buffer, at + layout.scalars, kernel.scalars.length),
    partials: new Float64Array(buffer, at + layout.partials, PARTIALS * kernel.reductions.length),
    base: new Uint32Array(buffer, at + layout.base, draws(kernel) ? 1 : 0),
    key: new Uint32Array(buffer, at + layout.key, draws(kernel) ? 1 : 0),
  };
}

/** ((0⊕4)⊕(2⊕6)) ⊕ ((1⊕5)⊕(3⊕7)) of the eight partials of reduction `index`. */
export function foldPartials(kind: "sum" | "max", partials: Float64Array, index: number): number {
  const from = index * PARTIALS;
  const at = (i: number): number => partials[from + i] as number;
  // Spelled out: an inspected step folds some 17 reductions a tensor.
  return kind === "sum"
    ? at(0) + at(4) + (at(2) + at(6)) + (at(1) + at(5) + (at(3) + at(7)))
    : Math.max(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
}

export function reductionIdentity(kind: "sum" | "max"): number {
  return kind === "sum" ? 0 : Number.NEGATIVE_INFINITY;
}

/** Sets partial results to the identities of their reductions. */
export function startPartials(
  partials: Float64Array,
  reductions: readonly { readonly kind: "sum" | "max" }[],
): void {
  for (let i = 0; i < PARTIALS * reductions.length; i++) {
    const { kind } = reductions[Math.floor(i / PARTIALS)] as (typeof reductions)[number];
    partials[i] = reductionIdentity(kind);
  }
}
