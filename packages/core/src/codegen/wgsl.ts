/**
 * Kernels as WGSL compute shaders, float32 only.
 *
 * Every array lies in one buffer, `data`; a uniform `frame` says where each stream starts, in elements. So a
 * kernel needs three bindings however many arrays it reads. A workgroup takes a block of neighbouring elements:
 * with W invocations, 4W of them, invocation j the elements j, j + W, j + 2W, j + 3W of its block.
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
import type { Id, Instruction, Kernel } from "./kernel.ts";
import { identifiers } from "./names.ts";

export interface WgslOptions {
  /** Invocations a workgroup: a power of two from 1 to 1024, default 256, which every device of WebGPU's core offers. */
  readonly workgroupSize?: number;
}

export const WORKGROUP_SIZE = 256;

/** Elements an invocation takes. */
export const ELEMENTS_PER_INVOCATION = 4;

/** Words of 4 bytes in a kernel's `frame`: 0, count, first partial, where each stream starts in elements, scalars, constants. */
export function frameWords(kernel: Kernel): number {
  return 3 + kernel.streams.length + kernel.scalars.length + frameConstants(kernel).length;
}

/** The constants at the end of the frame, in the order of the body. */
export function frameConstants(kernel: Kernel): number[] {
  return kernel.body.flatMap((e) => (e.op === "const" ? [e.value] : []));
}

/**
 * The shader of a kernel; its entry point is `main`. Group 0 holds at binding 0 the storage buffer `data`, at 1
 * the uniform `frame` of `frameWords(kernel)` words, at 2, if the kernel reduces, the storage buffer `partials`:
 * block b leaves reduction r at first_partial + b · (number of reductions) + r.
 *
 * Dispatch ⌈count / (4 · workgroupSize)⌉ workgroups in x. Lanes are float32.
 *
 * @throws RangeError for a workgroup size that is no power of two from 1 to 1024.
 */
export function emitWgsl(
  kernel: Kernel,
  { workgroupSize = WORKGROUP_SIZE }: WgslOptions = {},
): string {
  requireWorkgroupSize("emitWgsl", workgroupSize);
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
    ...streams.map((stream) => `  ${stream}: u32,`),
    ...scalars.map((scalar) => `  ${scalar}: f32,`),
    ...kernel.body.flatMap((e, id) => (e.op === "const" ? [`  c${id}: f32, // ${e.value}`] : [])),
    "}",
    "@group(0) @binding(0) var<storage, read_write> data: array<f32>;",
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
      case "load":
        return `data[frame.${streams[e.stream]} + i]`;
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
      case "random":
      case "bf16":
      case "bf16Stochastic":
        throw new TypeError(
          `emitWgsl: kernels must neither draw nor round to bfloat16, got "${e.op}"; run them on wasm or js`,
        );
      default:
        return e satisfies never;
    }
  };
  const statements = body.flatMap((e, id) =>
    e.op === "scalar" || e.op === "const" ? [] : [`let x${id} = ${expression(e)};`],
  );
  const place = (r: number): string =>
    `partials[frame.first_partial + ${reductions.length}u * group.x + ${r}u]`;
  return [
    `@compute @workgroup_size(${workgroupSize})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
    ...reductions.map(({ kind }, r) => `  var r${r} = ${kind === "sum" ? "0f" : "LOWEST"};`),
    `  for (var k = 0u; k < ${ELEMENTS_PER_INVOCATION}u; k++) {`,
    `    let i = (${ELEMENTS_PER_INVOCATION}u * group.x + k) * ${workgroupSize}u + lane;`,
    "    if (i < frame.count) {",
    ...[
      ...statements,
      ...stores.map((store) => `data[frame.${streams[store.stream]} + i] = ${value(store.value)};`),
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
