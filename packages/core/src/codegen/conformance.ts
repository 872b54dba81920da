/**
 * What every backend is held to, as functions that a test under any runner can call: one way to run a kernel
 * that keeps all it did, the edge values of both dtypes, and random kernels. Imported by tests only.
 */

import { bf16Operations } from "../expr/bf16.ts";
import { elementsOf, formatOf, halvesOf } from "./format.ts";
import type { Backend, DType, Id, Instruction, Kernel, LoadedKernel } from "./kernel.ts";
import { frameBytes, frameLayout, isBf16, PARTIALS, reductionIdentity } from "./kernel.ts";

/** What a run works on. */
export interface Inputs {
  readonly count: number;
  /** At least `count` numbers for each stream; rounded to the dtype, and to bfloat16 where the stream is. */
  readonly streams: readonly ArrayLike<number>[];
  readonly scalars: readonly number[];
  /** Elements from a 16-byte boundary to the start of each stream; default 0. */
  readonly offset?: number;
  /** Runs the kernel piece by piece: elements a piece, a multiple of 8; default all at once. */
  readonly piece?: number;
  /** The array each stream stands for, where several stand for one; default its own. */
  readonly arrays?: readonly number[];
}

export interface Outcome {
  /** Elements [0, count) of each stream. */
  readonly streams: readonly (readonly number[])[];
  readonly partials: readonly number[];
  /** Address of the first two bytes that changed though no result belongs there, or "none". */
  readonly trespass: number | "none";
}

/** Where draws are, in every run over one leaf. */
export const DRAWS = { base: 1000, key: 0x9abcdef0 } as const;

/** Elements between arrays, where a kernel has no business. */
const GAP = 16;

/** A kernel over a memory of its own, with room for `capacity` elements a stream. */
export function bench(
  backend: Backend,
  kernel: Kernel,
  dtype: DType,
  capacity: number,
): (inputs: Inputs) => Outcome {
  const { bytes } = formatOf(dtype);
  const scratch = 32;
  const first = scratch + frameBytes([kernel]) + GAP * bytes;
  const stride = Math.ceil((capacity + 2 * GAP) / 16) * 16 * bytes;
  const used = first + kernel.streams.length * stride;
  const memory = backend.allocate(used);
  // One kernel in, one out.
  const loaded = backend.load([kernel], dtype, memory, scratch)[0] as LoadedKernel;
  const data = elementsOf(dtype, memory.buffer);
  const halves = halvesOf(memory.buffer);
  const layout = frameLayout(kernel);
  const { nearest, upper, widen } = bf16Operations();
  const width = (s: number): number => (isBf16(kernel, s) ? 2 : bytes);

  return ({ count, streams, scalars, offset = 0, piece = Math.max(count, 1), arrays }) => {
    const { frame } = loaded;
    const places = kernel.streams.map(
      (_, s) => first + (arrays?.[s] ?? s) * stride + offset * width(s),
    );
    const elements = (s: number): Float32Array | Float64Array | Uint16Array => {
      const start = places[s]! / width(s);
      return (isBf16(kernel, s) ? halves : data).subarray(start, start + count);
    };
    // A pattern that no result has: what is written shows, and so does what is read beyond the streams.
    new Uint8Array(memory.buffer, 0, used).fill(0xa5);
    streams.forEach((values, s) => {
      elements(s).forEach((_, i, all) => {
        all[i] = isBf16(kernel, s) ? upper(nearest(values[i]!)) : values[i]!;
      });
    });
    frame.scalars.set(scalars);
    kernel.reductions.forEach(({ kind }, r) => {
      frame.partials.fill(reductionIdentity(kind), r * PARTIALS, (r + 1) * PARTIALS);
    });

    const before = new Uint16Array(memory.buffer.slice(0, used));
    for (let start = 0; start === 0 || start < count; start += piece) {
      frame.count[0] = Math.min(piece, count - start);
      frame.base[0] = DRAWS.base + start;
      frame.key[0] = DRAWS.key;
      frame.pointers.set(places.map((place, s) => place + start * width(s)));
      loaded.run();
    }
    const after = new Uint16Array(memory.buffer.slice(0, used));

    const results = [
      // Count and pointers change at the hands of the caller, and so does where draws are.
      { from: scratch, to: scratch + layout.scalars },
      { from: scratch + layout.partials, to: scratch + layout.bytes },
      ...kernel.stores.map(({ stream }) => ({
        from: places[stream]!,
        to: places[stream]! + count * width(stream),
      })),
    ];
    for (const { from, to } of results) {
      before.set(after.subarray(from / 2, to / 2), from / 2);
    }
    const changed = after.findIndex((half, i) => half !== before[i]);
    return {
      streams: kernel.streams.map((_, s) =>
        isBf16(kernel, s) ? Array.from(elements(s), widen) : [...elements(s)],
      ),
      partials: [...frame.partials],
      trespass: changed < 0 ? "none" : changed * 2,
    };
  };
}

/** Numbers as the streams of a float32 kernel keep them. */
export function kept(kernel: Kernel, streams: readonly ArrayLike<number>[]): Float32Array[] {
  const { nearest } = bf16Operations();
  return streams.map((values, s) =>
    isBf16(kernel, s) ? Float32Array.from(values, nearest) : Float32Array.from(values),
  );
}

/** Where operations turn: zeros, halves, limits of the integers and of the exponents, infinities, NaN. */
export function edgeValues(dtype: DType): number[] {
  const { fractionBits, bias } = formatOf(dtype);
  const ulp = 2 ** -fractionBits;
  const normal = 2 ** (1 - bias);
  const subnormal = [ulp, 3 * ulp, 0.5, 1 - ulp].map((x) => x * normal);
  const extreme = [normal, normal * (1 + ulp), (2 - ulp) * 2 ** bias, 2 ** bias, Infinity];
  // Numbers whose squares overflow and vanish.
  const square = [2 ** ((bias + 1) / 2), 2 ** (-(bias + 1) / 2)];
  // Where fractions end, and where powers of 2 do.
  const whole = [0.5 / ulp - 0.5, 0.5 / ulp, 1 / ulp - 1, 1 / ulp, 1 / ulp + 1, 2 / ulp];
  const powers = [bias - 1, bias - 0.5, bias, bias + 0.5, bias + 1, bias + 2, 4 * bias];
  const usual = [0, 0.5, 1, 1 + ulp, 1.5, 2.5, 3, 0.1, 1 / 3, 255.75];
  const positive = [usual, subnormal, extreme, square, whole, powers].flat();
  return [...positive, ...positive.map((x) => -x), NaN];
}

const UNARY = ["neg", "abs", "sqrt", "floor", "exponent", "exp2i"] as const;
const ARITHMETIC = ["add", "sub", "mul", "div", "min", "max"] as const;
const COMPARE = ["lt", "le", "eq"] as const;
const LOGIC = ["and", "or"] as const;
/** In float32 ±1e-60 round to zeros and 1e300 to infinity. */
const CONSTANTS = [0.1, -2.5, 0, -0, 1e-40, 1e-60, -1e-60, 1e300, Infinity, -Infinity, NaN];

/**
 * A kernel over every operation, two to four streams, several scalars, stores and reductions.
 *
 * @param choose - gives an integer in [0, bound); the kernel is a function of the answers.
 * @param halves - whether it may round to bfloat16 and keep streams of it, as float32 kernels can.
 */
export function randomKernel(choose: (bound: number) => number, halves = false): Kernel {
  const body: Instruction[] = [];
  const numbers: Id[] = [];
  const masks: Id[] = [];
  const from = <T>(items: readonly T[]): T => items[choose(items.length)] as T;
  const push = (instruction: Instruction, ids: Id[]): void => {
    ids.push(body.push(instruction) - 1);
  };
  const streams = ["g", "p", "mu", "mu/1"].slice(0, 2 + choose(3));
  const scalars = ["lr", "class", "x1"].slice(0, choose(4));
  streams.forEach((_, stream) => push({ op: "load", stream }, numbers));
  scalars.forEach((_, index) => push({ op: "scalar", index }, numbers));
  for (let constants = 1 + choose(2); constants > 0; constants--) {
    push({ op: "const", value: from(CONSTANTS) }, numbers);
  }

  for (let drawn = choose(3); drawn > 0; drawn--) {
    push({ op: "random", salt: choose(2) === 0 ? 0xffffffff : choose(100) }, numbers);
  }
  const bf16 = halves ? streams.flatMap((_, stream) => (choose(2) === 0 ? [] : [stream])) : [];

  for (let length = choose(24); length > 0; length--) {
    const [a, b] = [from(numbers), from(numbers)];
    const kind = choose(10);
    if (kind < 3) {
      push({ op: from(UNARY), a }, numbers);
    } else if (kind < (halves ? 6 : 7)) {
      push({ op: from(ARITHMETIC), a, b }, numbers);
    } else if (halves && kind === 6) {
      push(choose(2) === 0 ? { op: "bf16", a } : { op: "bf16Stochastic", a, b }, numbers);
    } else if (kind === 7 || masks.length === 0) {
      push({ op: from(COMPARE), a, b }, masks);
    } else if (kind === 8) {
      push({ op: "select", cond: from(masks), a, b }, numbers);
    } else if (choose(3) === 0) {
      push({ op: "not", a: from(masks) }, masks);
    } else {
      push({ op: from(LOGIC), a: from(masks), b: from(masks) }, masks);
    }
  }

  // What is usually reduced: squares and magnitudes, for which a backend may know more than for others.
  for (let reduced = choose(3); reduced > 0; reduced--) {
    const a = from(numbers);
    push(choose(2) === 0 ? { op: "mul", a, b: a } : { op: "abs", a }, numbers);
  }

  const stores = streams.flatMap((_, stream) =>
    choose(3) === 0 ? [] : [{ stream, value: from(numbers) }],
  );
  return {
    name: "random kernel",
    streams,
    ...(bf16.length > 0 && { bf16 }),
    scalars,
    body,
    // What a stream of bfloat16 keeps is rounded before.
    stores: stores.map(({ stream, value }) => ({
      stream,
      value: bf16.includes(stream) ? body.push({ op: "bf16", a: value }) - 1 : value,
    })),
    reductions: Array.from({ length: choose(4) }, () => ({
      kind: from(["sum", "max"] as const),
      value: choose(2) === 0 ? from(numbers) : from(numbers.slice(-2)),
    })),
  };
}

/** Operations with tests of their own: they are no functions of two numbers, or of float32 alone. */
type Drawn = "random" | "bf16" | "bf16Stochastic";

/** For each operation a kernel that writes its result, as 1 and 0 for a mask, to the third stream: x, y, out. */
export function kernelOf(
  op: Exclude<Instruction["op"], Drawn | "load" | "scalar" | "const">,
): Kernel {
  const loads: Instruction[] = [
    { op: "load", stream: 0 },
    { op: "load", stream: 1 },
    { op: "const", value: 1 },
    { op: "const", value: 0 },
    // Two masks, for the operations that take them: x < y and x = y.
    { op: "lt", a: 0, b: 1 },
    { op: "eq", a: 0, b: 1 },
  ];
  return {
    name: op,
    streams: ["x", "y", "out"],
    scalars: [],
    body: [...loads, ...resultOf(op)],
    stores: [{ stream: 2, value: loads.length + resultOf(op).length - 1 }],
    reductions: [],
  };
}

/** Instructions from number 6, the last of them a number. */
function resultOf(
  op: Exclude<Instruction["op"], Drawn | "load" | "scalar" | "const">,
): Instruction[] {
  const asNumber: Instruction = { op: "select", cond: 6, a: 2, b: 3 };
  switch (op) {
    case "neg":
    case "abs":
    case "sqrt":
    case "floor":
    case "exponent":
    case "exp2i":
      return [{ op, a: 0 }];
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "min":
    case "max":
      return [{ op, a: 0, b: 1 }];
    case "lt":
    case "le":
    case "eq":
      return [{ op, a: 0, b: 1 }, asNumber];
    case "and":
    case "or":
      return [{ op, a: 4, b: 5 }, asNumber];
    case "not":
      return [{ op, a: 4 }, asNumber];
    case "select":
      return [{ op, cond: 4, a: 0, b: 1 }];
    default:
      return op satisfies never;
  }
}
