/**
 * Kernels as JavaScript source, compiled with `new Function`.
 *
 * In float32 every operation is wrapped in `Math.fround`: the double-precision result of + − × ÷ √ on
 * singles, rounded to single, is the correctly rounded single (53 ≥ 2·24 + 2), which is what SIMD computes.
 */

import { bf16Operations } from "../expr/bf16.ts";
import { uniformAt } from "../expr/draw.ts";
import { bitOperations, bytesIn, elementsOf, formatOf, halvesOf } from "./format.ts";
import type { Backend, DType, Id, Instruction, Kernel } from "./kernel.ts";
import { draws, frameAddresses, frameAt, isBf16, PARTIALS } from "./kernel.ts";
import { allocateBuffer } from "./memory.ts";
import { identifiers } from "./names.ts";

/** Compiles kernels to JavaScript loops; needs a Content-Security-Policy that permits `unsafe-eval`. */
export const jsBackend: Backend = {
  name: "js",
  allocate: allocateBuffer,
  load(kernels, dtype, memory, scratch) {
    const data = elementsOf(dtype, memory.buffer);
    const { exponent, exp2i } = bitOperations(dtype);
    const halves = halvesOf(memory.buffer);
    const bytes = bytesIn(memory.buffer);
    const bf16 = bf16Operations();
    const addresses = frameAddresses(kernels, scratch);
    return kernels.map((kernel, k) => {
      const frame = frameAt(kernel, memory.buffer, addresses[k]!);
      // oxlint-disable-next-line typescript/no-implied-eval -- compiling generated source is what this backend does
      const create = new Function(...PARAMETERS, emitJs(kernel, dtype));
      // The source ends in `return function …() {…}`.
      const run = create(
        data,
        frame,
        exponent,
        exp2i,
        halves,
        bytes,
        bf16,
        uniformAt,
      ) as () => void;
      return { frame, run };
    });
  },
};

const PARAMETERS = ["data", "frame", "exponent", "exp2i", "halves", "bytes", "bf16", "uniformAt"];

type Variable = Exclude<Instruction, { op: "scalar" | "const" }>;

/** Names the source uses besides those of the kernel, and words that JavaScript keeps for itself. */
const TAKEN = (
  "data frame exponent exp2i halves bytes bf16 uniformAt base key count end pointers scalars partials fround sqrt floor abs min max i Math " +
  "arguments await break case catch class const continue debugger default delete do else enum eval export " +
  "extends false finally for function if implements import in instanceof interface let new null package " +
  "private protected public return static super switch this throw true try typeof undefined var void while " +
  "with yield Infinity NaN"
).split(" ");

/**
 * The body of a function of `PARAMETERS` that returns the kernel's `run`: `data`, `halves` and `bytes` hold the
 * elements, the bfloat16 and the bytes of the whole memory, `frame` is the kernel's Frame, the others are functions.
 */
export function emitJs(kernel: Kernel, dtype: DType): string {
  const { shift } = formatOf(dtype);
  const name = identifiers([...TAKEN, ...kernel.body.map((_, id) => `x${id}`)]);
  const title = name(kernel.name);
  const streams = kernel.streams.map(name);
  const scalars = kernel.scalars.map(name);
  const isHalf = (stream: number): boolean => isBf16(kernel, stream);
  const isByte = (stream: number): boolean => kernel.u8?.includes(stream) ?? false;
  const rounded = (code: string): string => (dtype === "float32" ? `fround(${code})` : code);
  /** Scalars and constants stand where they are used, other instructions in a variable. */
  const value = (id: Id): string => {
    const e = kernel.body[id]!;
    if (e.op === "scalar") {
      return scalars[e.index]!;
    }
    return e.op === "const"
      ? literal(dtype === "float32" ? Math.fround(e.value) : e.value)
      : `x${id}`;
  };
  const statement = (e: Instruction, id: Id): string[] =>
    e.op === "scalar" || e.op === "const" ? [] : [`const x${id} = ${expression(e)};`];
  const expression = (e: Variable): string => {
    switch (e.op) {
      case "load":
        if (isByte(e.stream)) {
          return `bytes[${streams[e.stream]} + i]`;
        }
        return isHalf(e.stream)
          ? `bf16.widen(halves[${streams[e.stream]} + i])`
          : `data[${streams[e.stream]} + i]`;
      case "random":
        return `uniformAt(base + i, key, ${e.salt})`;
      case "bf16":
        return `bf16.nearest(${value(e.a)})`;
      case "bf16Stochastic":
        return `bf16.stochastic(${value(e.a)}, ${value(e.b)})`;
      case "add":
        return rounded(`${value(e.a)} + ${value(e.b)}`);
      case "sub":
        return rounded(`${value(e.a)} - ${value(e.b)}`);
      case "mul":
        return rounded(`${value(e.a)} * ${value(e.b)}`);
      case "div":
        return rounded(`${value(e.a)} / ${value(e.b)}`);
      case "sqrt":
        return rounded(`sqrt(${value(e.a)})`);
      // What follows is exact: nothing to round.
      case "neg":
        return `-${value(e.a)}`;
      case "abs":
      case "floor":
      case "exponent":
      case "exp2i":
        return `${e.op}(${value(e.a)})`;
      case "min":
      case "max":
        return `${e.op}(${value(e.a)}, ${value(e.b)})`;
      case "lt":
        return `${value(e.a)} < ${value(e.b)}`;
      case "le":
        return `${value(e.a)} <= ${value(e.b)}`;
      case "eq":
        return `${value(e.a)} === ${value(e.b)}`;
      case "and":
        return `${value(e.a)} && ${value(e.b)}`;
      case "or":
        return `${value(e.a)} || ${value(e.b)}`;
      case "not":
        return `!${value(e.a)}`;
      case "select":
        return `${value(e.cond)} ? ${value(e.a)} : ${value(e.b)}`;
      default:
        return e satisfies never;
    }
  };
  const loop = [
    ...kernel.body.flatMap(statement),
    ...kernel.stores.map((store) => {
      const at = `[${streams[store.stream]} + i]`;
      if (isByte(store.stream)) {
        return `bytes${at} = ${value(store.value)};`;
      }
      return isHalf(store.stream)
        ? `halves${at} = bf16.upper(${value(store.value)});`
        : `data${at} = ${value(store.value)};`;
    }),
    ...kernel.reductions.map((reduction, r) => {
      const partial = `partials[${r * PARTIALS} + (i & 7)]`;
      return reduction.kind === "sum"
        ? `${partial} += ${value(reduction.value)};`
        : `${partial} = max(${partial}, ${value(reduction.value)});`;
    }),
  ];
  return [
    `"use strict";`,
    `const { fround, sqrt, floor, abs, min, max } = Math;`,
    `const { count, pointers, scalars, partials } = frame;`,
    `return function ${title}() {`,
    ...streams.map(
      (stream, s) =>
        `  const ${stream} = pointers[${s}] >>> ${isByte(s) ? 0 : isHalf(s) ? 1 : shift};`,
    ),
    ...scalars.map((scalar, s) => `  const ${scalar} = ${rounded(`scalars[${s}]`)};`),
    ...(draws(kernel) ? ["  const base = frame.base[0];", "  const key = frame.key[0];"] : []),
    `  const end = count[0];`,
    `  for (let i = 0; i < end; i++) {`,
    ...loop.map((line) => `    ${line}`),
    `  }`,
    `};`,
    ``,
  ].join("\n");
}

/** A number as source; parenthesised if negative, so that it may follow a sign. */
function literal(value: number): string {
  if (Object.is(value, -0)) {
    return "(-0)";
  }
  return value < 0 ? `(${value})` : String(value);
}
