/**
 * Kernels as WGSL compute shaders, float32 only.
 *
 * Every array lies in one buffer, `data`; a uniform `frame` says where each stream starts, in elements. So a
 * kernel needs three bindings however many arrays it reads. A workgroup takes a block of neighbouring elements:
 * with W invocations, 4W of them, invocation j the elements j, j + W, j + 2W, j + 3W of its block.
 *
 * **bfloat16** streams lie packed, two elements in a word of `data`, which is then an array of u32: what is no float32
 * is never loaded as one. A load picks its half; a store reads the word and replaces its half. So that nobody else
 * replaces the other half meanwhile, a kernel that stores bfloat16 hands out pairs: invocation j takes the words j and
 * j + W of its block, and where a stream starts in the upper half of a word, the block starts one element earlier.
 *
 * **Numbers.** WGSL is looser than the other backends, so this one is close to them, not equal. Largest error in
 * units in the last place of the exact result, from "Floating Point Accuracy" in the WGSL specification
 * (https://www.w3.org/TR/WGSL/#floating-point-accuracy); `wgslAccuracy.ts` holds the backend to it:
 *
 *     + − ×                1     rounded either way: WGSL names no rounding mode
 *     ÷                    2.5   for 2⁻¹²⁶ ≤ |divisor| ≤ 2¹²⁶; beyond, anything from 0 to the quotient
 *     √                    9     1 / inverseSqrt(x): 2 ULP, then 2.5, or 4.5 · 2⁻²³ relative; √0 = 0
 *     neg abs floor        0
 *     exponent exp2i       0     computed on the bits
 *     < ≤ =, min max       0     compared as integers, NaN and infinities included
 *     select and or not    0
 *     random               0     32-bit integers, the draws of `expr/draw.ts`
 *     bf16 bf16Stochastic  0     on the bits, the roundings of `expr/bf16.ts`
 *
 * Operands and results that are subnormal may be taken as 0. The sign of a zero is open. WGSL lets a compiler fuse
 * and regroup operations, (x · y) / y to x for one, and take x · 0 for 0. Neither happens here: each result of
 * + − × ÷ √ is sealed, that is passed through the integers with an unknown 0, and constants are part of the frame.
 * So the budgets hold one operation after the other, as the kernel writes them.
 *
 * **NaN and infinities.** WGSL lets an implementation assume that there are none: max(x, NaN) is then x. So nothing
 * here that decides asks the floating-point unit: comparisons, min, max, the maximum of a reduction and the exponent
 * work on the bits, as integers. What is left to the hardware is that + − × ÷ √ and floor of a NaN are NaN, and that
 * overflow gives an infinity; `probeArithmetic` asks a device for both.
 *
 * **Reductions.** One float32 a workgroup, in this order: each invocation adds its four elements one after the
 * other, starting from 0; then lane j adds lane j + W/2, then j + W/4, … j + 1. A sum is off by at most
 *
 *     (4 + log₂ W) · 2⁻²³ · Σ|x|        12 · 2⁻²³ = 1.5e-6 for W = 256, whatever the count
 *
 * (half of it where the device rounds to nearest); the host adds the blocks in order, in float64, 2⁻⁵³ each. The
 * order depends on the count and W alone: equal runs on one device give equal bits. A block's sum overflows at
 * 3.4e38. A maximum is exact, and NaN if any element is.
 */

import { requireThat } from "../errors.ts";
import { MIX } from "../expr/draw.ts";
import { draws, type Id, type Instruction, isBf16, type Kernel } from "./kernel.ts";
import { identifiers } from "./names.ts";

export interface WgslOptions {
  /** Invocations a workgroup: a power of two from 1 to 1024, default 256, which every device of WebGPU's core offers. */
  readonly workgroupSize?: number;
}

export const WORKGROUP_SIZE = 256;

/** Elements an invocation takes. */
export const ELEMENTS_PER_INVOCATION = 4;

/**
 * Words of 4 bytes in a kernel's `frame`: 0, count, first partial, base and key where it draws, where each stream starts
 * in elements, scalars, constants.
 */
export function frameWords(kernel: Kernel): number {
  return (
    frameStreams(kernel) +
    kernel.streams.length +
    kernel.scalars.length +
    frameConstants(kernel).length
  );
}

/** Words of the frame before the places of the streams. */
export function frameStreams(kernel: Kernel): number {
  return draws(kernel) ? 5 : 3;
}

/** The constants at the end of the frame, in the order of the body. */
export function frameConstants(kernel: Kernel): number[] {
  return kernel.body.flatMap((e) => (e.op === "const" ? [e.value] : []));
}

/**
 * The first bfloat16 stream that a kernel stores, if it does: invocations then take the words of this stream, and all
 * bfloat16 streams that are stored must start in the same half of a word.
 */
export function pairedStream(kernel: Kernel): number | undefined {
  return kernel.stores.find(({ stream }) => isBf16(kernel, stream))?.stream;
}

/**
 * The shader of a kernel; its entry point is `main`. Group 0 holds at binding 0 the storage buffer `data`, at 1
 * the uniform `frame` of `frameWords(kernel)` words, at 2, if the kernel reduces, the storage buffer `partials`:
 * block b leaves reduction r at first_partial + b · (number of reductions) + r.
 *
 * Dispatch ⌈count / (4 · workgroupSize)⌉ workgroups in x; where bfloat16 are stored from the upper half of a word on,
 * ⌈(count + 1) / (4 · workgroupSize)⌉. Lanes are float32.
 *
 * @throws RangeError for a workgroup size that is no power of two from 1 to 1024, or a kernel with streams of bytes.
 */
export function emitWgsl(
  kernel: Kernel,
  { workgroupSize = WORKGROUP_SIZE }: WgslOptions = {},
): string {
  requireWorkgroupSize("emitWgsl", workgroupSize);
  requireThat(
    (kernel.u8 ?? []).length === 0,
    "emitWgsl",
    "a kernel must have no streams of bytes",
    kernel.name,
    "run it on wasm or js",
  );
  const name = identifiers([]);
  // The prefix keeps a label from being a word of WGSL, or from starting with `__`.
  const streams = kernel.streams.map((label) => name(`at_${label}`));
  const scalars = kernel.scalars.map((label) => name(`s_${label}`));
  const main = mainFunction(kernel, streams, scalars, workgroupSize);
  const reduced = new Set(kernel.reductions.map(({ kind }) => kind));
  return [
    "struct Frame {",
    "  zero: u32,",
    "  count: u32,",
    "  first_partial: u32,",
    ...(draws(kernel) ? ["  base: u32,", "  key: u32,"] : []),
    ...streams.map((stream) => `  ${stream}: u32,`),
    ...scalars.map((scalar) => `  ${scalar}: f32,`),
    ...kernel.body.flatMap((e, id) => (e.op === "const" ? [`  c${id}: f32, // ${e.value}`] : [])),
    "}",
    `@group(0) @binding(0) var<storage, read_write> data: array<${isPacked(kernel) ? "u32" : "f32"}>;`,
    "@group(0) @binding(1) var<uniform> frame: Frame;",
    ...(reduced.size > 0
      ? ["@group(0) @binding(2) var<storage, read_write> partials: array<f32>;"]
      : []),
    ...(reduced.has("sum") ? [`var<workgroup> sums: array<f32, ${workgroupSize}>;`] : []),
    ...(reduced.has("max") ? [`var<workgroup> keys: array<i32, ${workgroupSize}>;`] : []),
    "",
    ...functionsCalledBy(main.join("\n"), workgroupSize),
    ...main,
    "",
  ].join("\n");
}

export function requireWorkgroupSize(where: string, size: number): void {
  requireThat(
    Number.isInteger(size) && size >= 1 && size <= 1024 && (size & (size - 1)) === 0,
    where,
    "`workgroupSize` must be a power of two from 1 to 1024",
    size,
  );
}

/** Whether `data` holds words of more than one format. */
function isPacked({ bf16 = [] }: Kernel): boolean {
  return bf16.length > 0;
}

function mainFunction(
  kernel: Kernel,
  streams: readonly string[],
  scalars: readonly string[],
  workgroupSize: number,
): string[] {
  const { body, stores, reductions } = kernel;
  /** Scalars and constants stand where they are used, other instructions in a variable. */
  const value = (id: Id): string => {
    const e = body[id]!;
    if (e.op === "scalar") {
      return `frame.${scalars[e.index]}`;
    }
    return e.op === "const" ? `frame.c${id}` : `x${id}`;
  };
  const expression = (e: Exclude<Instruction, { op: "scalar" | "const" }>): string => {
    switch (e.op) {
      case "load": {
        const at = `frame.${streams[e.stream]} + i`;
        return isBf16(kernel, e.stream)
          ? `half_at(${at})`
          : isPacked(kernel)
            ? `bitcast<f32>(data[${at}])`
            : `data[${at}]`;
      }
      case "random":
        return `uniform_at(frame.base + i, ${e.salt}u)`;
      case "bf16":
        return `nearest(${value(e.a)})`;
      case "bf16Stochastic":
        return `stochastic(${value(e.a)}, ${value(e.b)})`;
      case "add":
        return `seal(${value(e.a)} + ${value(e.b)})`;
      case "sub":
        return `seal(${value(e.a)} - ${value(e.b)})`;
      case "mul":
        return `seal(${value(e.a)} * ${value(e.b)})`;
      case "div":
        return `seal(${value(e.a)} / ${value(e.b)})`;
      case "neg":
        return `-${value(e.a)}`;
      case "abs":
      case "floor":
      case "exponent":
      case "exp2i":
        return `${e.op}(${value(e.a)})`;
      case "sqrt":
        return `seal(root(${value(e.a)}))`;
      case "min":
        return `minimum(${value(e.a)}, ${value(e.b)})`;
      case "max":
        return `maximum(${value(e.a)}, ${value(e.b)})`;
      case "lt":
      case "le":
      case "eq":
        return `${e.op}(${value(e.a)}, ${value(e.b)})`;
      case "and":
        return `${value(e.a)} && ${value(e.b)}`;
      case "or":
        return `${value(e.a)} || ${value(e.b)}`;
      case "not":
        return `!${value(e.a)}`;
      case "select":
        // WGSL names the value for false first.
        return `select(${value(e.b)}, ${value(e.a)}, ${value(e.cond)})`;
      default:
        return e satisfies never;
    }
  };
  const statements = body.flatMap((e, id) =>
    e.op === "scalar" || e.op === "const" ? [] : [`let x${id} = ${expression(e)};`],
  );
  const stored = (stream: number, x: string): string => {
    const at = `frame.${streams[stream]} + i`;
    return isBf16(kernel, stream)
      ? `put_half(${at}, ${x});`
      : `data[${at}] = ${isPacked(kernel) ? `bitcast<u32>(${x})` : x};`;
  };
  const paired = pairedStream(kernel);
  const row = `(${ELEMENTS_PER_INVOCATION}u * group.x + k) * ${workgroupSize}u + lane`;
  const word = `(${ELEMENTS_PER_INVOCATION / 2}u * group.x + (k >> 1u)) * ${workgroupSize}u + lane`;
  // Below the first element lies 2³² - 1, which is no element either.
  const element =
    paired === undefined ? row : `2u * (${word}) + (k & 1u) - (frame.${streams[paired]} & 1u)`;
  const place = (r: number): string =>
    `partials[frame.first_partial + ${reductions.length}u * group.x + ${r}u]`;
  return [
    `@compute @workgroup_size(${workgroupSize})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
    ...reductions.map(({ kind }, r) => `  var r${r} = ${kind === "sum" ? "0f" : "LOWEST"};`),
    `  for (var k = 0u; k < ${ELEMENTS_PER_INVOCATION}u; k++) {`,
    `    let i = ${element};`,
    "    if (i < frame.count) {",
    ...[
      ...statements,
      ...stores.map((store) => stored(store.stream, value(store.value))),
      ...reductions.map(({ kind, value: id }, r) =>
        kind === "sum" ? `r${r} += ${value(id)};` : `r${r} = max(r${r}, rank(${value(id)}));`,
      ),
    ].map((line) => `      ${line}`),
    "    }",
    "  }",
    ...reductions.map(({ kind }, r) =>
      kind === "sum"
        ? `  let p${r} = sum_of_group(r${r}, lane);`
        : `  let p${r} = number(max_of_group(r${r}, lane));`,
    ),
    ...(reductions.length > 0
      ? ["  if (lane == 0u) {", ...reductions.map((_, r) => `    ${place(r)} = p${r};`), "  }"]
      : []),
    "}",
  ];
}

/** What shaders call, each with what it calls itself. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  seal: `
// The number itself, through integers and an unknown 0: no compiler sees how it was computed.
fn seal(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ frame.zero);
}`,
  INFINITE: `
const INFINITE = 0x7f800000;`,
  LOWEST: `
const LOWEST = -0x7f800000;`,
  key: `
// An integer in the order of the numbers: 0 for both zeros, NaN beyond the infinities.
fn key(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(b, -(b & 0x7fffffff), b < 0);
}`,
  number: `
fn number(k: i32) -> f32 {
  return select(bitcast<f32>(k), -bitcast<f32>(-k), k < 0);
}`,
  is_nan: `
fn is_nan(x: f32) -> bool {
  return abs(key(x)) > INFINITE;
}`,
  rank: `
// The key, NaN of either sign above all.
fn rank(x: f32) -> i32 {
  return select(key(x), 0x7fffffff, is_nan(x));
}`,
  lt: `
fn lt(a: f32, b: f32) -> bool {
  return key(a) < key(b) && !is_nan(a) && !is_nan(b);
}`,
  le: `
fn le(a: f32, b: f32) -> bool {
  return key(a) <= key(b) && !is_nan(a) && !is_nan(b);
}`,
  eq: `
fn eq(a: f32, b: f32) -> bool {
  return key(a) == key(b) && !is_nan(a);
}`,
  minimum: `
fn minimum(a: f32, b: f32) -> f32 {
  return select(b, a, is_nan(a) || (key(a) < key(b) && !is_nan(b)));
}`,
  maximum: `
fn maximum(a: f32, b: f32) -> f32 {
  return select(b, a, is_nan(a) || (key(a) > key(b) && !is_nan(b)));
}`,
  root: `
// The square root of 0 is outside what WGSL promises, being 1 / inverseSqrt(0).
fn root(x: f32) -> f32 {
  return select(sqrt(x), x, (bitcast<u32>(x) << 1u) == 0u);
}`,
  mix: `
fn mix(x: u32) -> u32 {
  let h = (x ^ (x >> 16u)) * ${MIX[0]}u;
  let l = (h ^ (h >> 15u)) * ${MIX[1]}u;
  return l ^ (l >> 16u);
}`,
  uniform_at: `
// 24 bits: neither the conversion nor the scaling rounds.
fn uniform_at(index: u32, salt: u32) -> f32 {
  return seal(f32(mix(mix(index) + frame.key + salt) >> 8u) * 0x1p-24f);
}`,
  round_bits: `
// The upper half of a number's bits after a carry from the lower; NaN is the quiet one.
fn round_bits(x: f32, carry: u32) -> f32 {
  return bitcast<f32>(select((bitcast<u32>(x) + carry) & 0xffff0000u, 0x7fc00000u, is_nan(x)));
}`,
  nearest: `
fn nearest(x: f32) -> f32 {
  return round_bits(x, 0x7fffu + ((bitcast<u32>(x) >> 16u) & 1u));
}`,
  stochastic: `
fn stochastic(x: f32, u: f32) -> f32 {
  return round_bits(x, sixteenth(bitcast<u32>(u)));
}`,
  sixteenth: `
// u brought into [0, 1], times 2¹⁶, rounded down, at most 2¹⁶ - 1, from the bits of u; 0 for NaN.
fn sixteenth(b: u32) -> u32 {
  let fraction = ((b & 0x7fffffu) | 0x800000u) >> min(134u - min(b >> 23u, 126u), 31u);
  return select(select(fraction, 0xffffu, b >= 0x3f800000u), 0u, b > 0x7f800000u);
}`,
  half_at: `
fn half_at(i: u32) -> f32 {
  return bitcast<f32>((data[i >> 1u] >> (16u * (i & 1u))) << 16u);
}`,
  put_half: `
fn put_half(i: u32, x: f32) {
  let upper = select(bitcast<u32>(x) >> 16u, 0x7fc0u, is_nan(x));
  let shift = 16u * (i & 1u);
  data[i >> 1u] = (data[i >> 1u] & ~(0xffffu << shift)) | (upper << shift);
}`,
  exponent: `
fn exponent(x: f32) -> f32 {
  return f32(((bitcast<i32>(x) >> 23u) & 0xff) - 127);
}`,
  exp2i: `
// Conversion to an integer brings infinities into its range.
fn exp2i(k: f32) -> f32 {
  let n = select(clamp(i32(round(k)), -127, 128), -127, is_nan(k));
  return bitcast<f32>((n + 127) << 23u);
}`,
};

/** Folds the invocations of a workgroup; the result is that of lane 0. */
function groupFunction(
  name: string,
  [array, type]: readonly [string, string],
  join: (a: string, b: string) => string,
  workgroupSize: number,
): string {
  return `
fn ${name}(x: ${type}, lane: u32) -> ${type} {
  workgroupBarrier();
  ${array}[lane] = x;
  for (var width = ${workgroupSize >> 1}u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      ${array}[lane] = ${join(`${array}[lane]`, `${array}[lane + width]`)};
    }
  }
  return ${array}[lane];
}`;
}

/** The functions and constants that a text names, in the order of `FUNCTIONS`. */
function functionsCalledBy(text: string, workgroupSize: number): string[] {
  const all = new Map([
    ...Object.entries(FUNCTIONS),
    [
      "sum_of_group",
      groupFunction("sum_of_group", ["sums", "f32"], (a, b) => `${a} + ${b}`, workgroupSize),
    ],
    [
      "max_of_group",
      groupFunction("max_of_group", ["keys", "i32"], (a, b) => `max(${a}, ${b})`, workgroupSize),
    ],
  ]);
  const called = new Set<string>();
  const visit = (source: string): void => {
    for (const [word] of source.matchAll(/\w+(?=\()|\b[A-Z]+\b/g)) {
      const definition = all.get(word);
      if (definition !== undefined && !called.has(word)) {
        called.add(word);
        visit(definition);
      }
    }
  };
  visit(text);
  return [...all].flatMap(([word, definition]) =>
    called.has(word) ? [...definition.slice(1).split("\n"), ""] : [],
  );
}
