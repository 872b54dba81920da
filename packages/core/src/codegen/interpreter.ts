/**
 * The reference backend. It generates no code, so it runs under any Content-Security-Policy.
 *
 * Blocks of elements pass through the body one instruction at a time. Each instruction owns a column of
 * the block: a typed array of the kernel's dtype, so storing a result is what rounds it. Masks are 0 and 1.
 */

import { bf16Operations } from "../expr/bf16.ts";
import { uniformAt } from "../expr/draw.ts";
import type { Arithmetic, Compare, Logic } from "../expr/node.ts";
import type { BitOperations } from "./format.ts";
import { bitOperations, bytesIn, elementsOf, formatOf, halvesOf } from "./format.ts";
import type { Backend, DType, Frame, Instruction, Kernel, LoadedKernel } from "./kernel.ts";
import { frameAddresses, frameAt, isBf16, PARTIALS } from "./kernel.ts";
import { allocateBuffer } from "./memory.ts";

/** Elements a block: a multiple of PARTIALS, and few enough for the columns to stay in the L1 cache. */
const BLOCK = 128;

type Column = Float32Array | Float64Array;

/** Interprets kernels in float32 or float64; every other backend is held to its bits. */
export const evaluateBackend: Backend = {
  name: "evaluate",
  allocate: allocateBuffer,
  load(kernels, dtype, memory, scratch) {
    const data = elementsOf(dtype, memory.buffer);
    const halves = halvesOf(memory.buffer);
    const bytes = bytesIn(memory.buffer);
    const addresses = frameAddresses(kernels, scratch);
    return kernels.map((kernel, k) =>
      interpret(kernel, dtype, data, halves, bytes, frameAt(kernel, memory.buffer, addresses[k]!)),
    );
  },
};

function interpret(
  kernel: Kernel,
  dtype: DType,
  data: Column,
  halves: Uint16Array,
  octets: Uint8Array,
  frame: Frame,
): LoadedKernel {
  const { bytes, shift } = formatOf(dtype);
  const bits = bitOperations(dtype);
  const bf16 = bf16Operations();
  const isHalf = (stream: number): boolean => isBf16(kernel, stream);
  const isByte = (stream: number): boolean => kernel.u8?.includes(stream) ?? false;
  const columns = kernel.body.map(() => elementsOf(dtype, new ArrayBuffer(BLOCK * bytes)));

  /** One instruction for `n` elements of each stream from `start`. */
  function compute(e: Instruction, x: Column, start: number, n: number): void {
    if (e.op === "load" && isHalf(e.stream)) {
      const from = (frame.pointers[e.stream]! >>> 1) + start;
      for (let i = 0; i < n; i++) x[i] = bf16.widen(halves[from + i]!);
    } else if (e.op === "load" && isByte(e.stream)) {
      const from = frame.pointers[e.stream]! + start;
      for (let i = 0; i < n; i++) x[i] = octets[from + i]!;
    } else if (e.op === "load") {
      const from = (frame.pointers[e.stream]! >>> shift) + start;
      for (let i = 0; i < n; i++) x[i] = data[from + i]!;
    } else if (e.op === "scalar") {
      x.fill(frame.scalars[e.index]!);
    } else if (e.op === "const") {
      x.fill(e.value);
    } else if (e.op === "random") {
      const [base, key] = [frame.base[0]! + start, frame.key[0]!];
      for (let i = 0; i < n; i++) x[i] = uniformAt(base + i, key, e.salt);
    } else if (e.op === "bf16") {
      ofBits(bf16.nearest, x, columns[e.a]!, n);
    } else if (e.op === "bf16Stochastic") {
      const [a, b] = [columns[e.a]!, columns[e.b]!];
      for (let i = 0; i < n; i++) x[i] = bf16.stochastic(a[i]!, b[i]!);
    } else if (e.op === "exponent" || e.op === "exp2i") {
      ofBits(bits[e.op], x, columns[e.a]!, n);
    } else if (e.op === "select") {
      select(x, columns[e.cond]!, columns[e.a]!, columns[e.b]!, n);
    } else if ("b" in e) {
      BINARY[e.op](x, columns[e.a]!, columns[e.b]!, n);
    } else {
      UNARY[e.op](x, columns[e.a]!, n);
    }
  }

  function run(): void {
    const count = frame.count[0]!;
    for (let start = 0; start < count; start += BLOCK) {
      const n = Math.min(BLOCK, count - start);
      kernel.body.forEach((instruction, id) => {
        compute(instruction, columns[id]!, start, n);
      });
      for (const { stream, value } of kernel.stores) {
        if (isHalf(stream)) {
          const [to, x] = [(frame.pointers[stream]! >>> 1) + start, columns[value]!];
          for (let i = 0; i < n; i++) halves[to + i] = bf16.upper(x[i]!);
          continue;
        }
        if (isByte(stream)) {
          const [to, x] = [frame.pointers[stream]! + start, columns[value]!];
          for (let i = 0; i < n; i++) octets[to + i] = x[i]!;
          continue;
        }
        const to = (frame.pointers[stream]! >>> shift) + start;
        const x = columns[value]!;
        for (let i = 0; i < n; i++) data[to + i] = x[i]!;
      }
      kernel.reductions.forEach(({ kind, value }, r) => {
        const partials = frame.partials.subarray(r * PARTIALS, (r + 1) * PARTIALS);
        accumulate(kind, partials, columns[value]!, n);
      });
    }
  }
  return { frame, run };
}

function accumulate(kind: "sum" | "max", partials: Float64Array, x: Column, n: number): void {
  for (let i = 0; i < n; i++) {
    const before = partials[i % PARTIALS]!;
    partials[i % PARTIALS] = kind === "sum" ? before + x[i]! : Math.max(before, x[i]!);
  }
}

function ofBits(f: BitOperations["exponent"], x: Column, a: Column, n: number): void {
  for (let i = 0; i < n; i++) x[i] = f(a[i]!);
}

function select(x: Column, cond: Column, a: Column, b: Column, n: number): void {
  for (let i = 0; i < n; i++) x[i] = cond[i] === 1 ? a[i]! : b[i]!;
}

// A loop for each operation, not one loop that calls it: the engine then compiles each without a call.

type Unary = (x: Column, a: Column, n: number) => void;

const UNARY: Readonly<Record<"neg" | "abs" | "sqrt" | "floor" | "not", Unary>> = {
  neg(x, a, n) {
    for (let i = 0; i < n; i++) x[i] = -a[i]!;
  },
  abs(x, a, n) {
    for (let i = 0; i < n; i++) x[i] = Math.abs(a[i]!);
  },
  sqrt(x, a, n) {
    for (let i = 0; i < n; i++) x[i] = Math.sqrt(a[i]!);
  },
  floor(x, a, n) {
    for (let i = 0; i < n; i++) x[i] = Math.floor(a[i]!);
  },
  not(x, a, n) {
    for (let i = 0; i < n; i++) x[i] = 1 - a[i]!;
  },
};

type Binary = (x: Column, a: Column, b: Column, n: number) => void;

const BINARY: Readonly<Record<Exclude<Arithmetic, "bf16Stochastic"> | Compare | Logic, Binary>> = {
  add(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! + b[i]!;
  },
  sub(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! - b[i]!;
  },
  mul(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! * b[i]!;
  },
  div(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! / b[i]!;
  },
  min(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = Math.min(a[i]!, b[i]!);
  },
  max(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = Math.max(a[i]!, b[i]!);
  },
  lt(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! < b[i]! ? 1 : 0;
  },
  le(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! <= b[i]! ? 1 : 0;
  },
  eq(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! === b[i]! ? 1 : 0;
  },
  and(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = a[i]! * b[i]!;
  },
  or(x, a, b, n) {
    for (let i = 0; i < n; i++) x[i] = Math.max(a[i]!, b[i]!);
  },
};
