/** Instructions of a kernel on vectors: four lanes of float32 or two of float64, written once for both. */

import { MIX } from "../../expr/draw.ts";
import { formatOf } from "../format.ts";
import type { DType, Id, Instruction } from "../kernel.ts";
import type { LoadOp, Local, Node, StoreLaneOp } from "./assembler.ts";
import {
  extractFirst,
  f32,
  f64,
  get,
  i32,
  i32x4,
  load,
  plain,
  tee,
  upperHalf,
} from "./assembler.ts";

export interface Lanes {
  readonly perVector: 4 | 2;
  /** Access to a single element, in the first lane. */
  readonly loadFirst: LoadOp;
  readonly storeFirst: StoreLaneOp;
  /** A float64 in every lane, rounded to the dtype. */
  readonly splat: (value: Node) => Node;
  readonly splatConst: (value: number) => Node;
  /** The lanes in float64, two a vector. */
  readonly widened: (vector: Local) => Node[];
  /** The larger of each lane; NaN if either is. */
  readonly larger: (a: Node, b: Node) => Node;
  /**
   * The same for a partial that is -∞ or not negative and a value that is not negative. The bits of such
   * floats are ordered as integers, NaN above all: one instruction for the eight of an IEEE maximum.
   */
  readonly largerMagnitude: (partial: Node, value: Node) => Node;
  /** The first lane as an f64. */
  readonly widenedFirst: (vector: Local) => Node;
  /** Integers below 2²⁴ as numbers, in as many lanes as there are. */
  readonly fromIntegers: (integers: Node) => Node;
  /** The value of an instruction from those of its operands; `constant` knows which of them are constants. */
  readonly compute: (e: Computed, operand: (id: Id) => Node, constant: Constant) => Node;
}

/** The number that an instruction is, where it is a constant. */
export type Constant = (id: Id) => number | undefined;

/** Instructions that neither touch memory nor are the same for every element. */
export type Computed = Exclude<Instruction, { op: "load" | "random" | "scalar" | "const" }>;

export function lanesOf(dtype: DType): Lanes {
  return dtype === "float32"
    ? {
        perVector: 4,
        loadFirst: "v128.load32_zero",
        storeFirst: "v128.store32_lane",
        splat: (value) => plain("f32x4.splat", plain("f32.demote_f64", value)),
        splatConst: float32,
        widened: (vector) => [
          plain("f64x2.promote_low_f32x4", get(vector)),
          plain("f64x2.promote_low_f32x4", upperHalf(vector)),
        ],
        widenedFirst: (vector) =>
          plain("f64.promote_f32", extractFirst("f32x4.extract_lane", get(vector))),
        larger: (a, b) => plain("f32x4.max", a, b),
        // A NaN may carry a sign, which would make its bits negative.
        largerMagnitude: (a, b) => plain("i32x4.max_s", a, plain("f32x4.abs", b)),
        fromIntegers: (integers) => plain("f32x4.convert_i32x4_u", integers),
        compute: (e, operand, constant) => compute(e, operand, constant, "f32x4", "i32x4", float32),
      }
    : {
        perVector: 2,
        loadFirst: "v128.load64_zero",
        storeFirst: "v128.store64_lane",
        splat: (value) => plain("f64x2.splat", value),
        splatConst: float64,
        widened: (vector) => [get(vector)],
        widenedFirst: (vector) => extractFirst("f64x2.extract_lane", get(vector)),
        larger: (a, b) => plain("f64x2.max", a, b),
        // WebAssembly has no maximum of 64-bit integers.
        largerMagnitude: (a, b) => plain("f64x2.max", a, b),
        fromIntegers: (integers) => plain("f64x2.convert_low_i32x4_u", integers),
        compute: (e, operand, constant) => compute(e, operand, constant, "f64x2", "i64x2", float64),
      };
}

function float32(value: number): Node {
  return plain("f32x4.splat", f32(Math.fround(value)));
}
function float64(value: number): Node {
  return plain("f64x2.splat", f64(value));
}

function compute(
  e: Computed,
  operand: (id: Id) => Node,
  constant: Constant,
  floats: "f32x4" | "f64x2",
  ints: "i32x4" | "i64x2",
  splat: (value: number) => Node,
): Node {
  const { fractionBits, bias } = formatOf(floats === "f32x4" ? "float32" : "float64");
  switch (e.op) {
    case "neg":
    case "abs":
    case "sqrt":
    case "floor":
      return plain(`${floats}.${e.op}`, operand(e.a));
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "lt":
    case "le":
    case "eq":
      return plain(`${floats}.${e.op}`, operand(e.a), operand(e.b));
    case "min":
    case "max":
      return limit(e.op, e.a, e.b, operand, constant, floats, splat);
    case "and":
    case "or":
      return plain(`v128.${e.op}`, operand(e.a), operand(e.b));
    case "not":
      return plain("v128.not", operand(e.a));
    case "select":
      return plain("v128.bitselect", operand(e.a), operand(e.b), operand(e.cond));
    case "exponent": {
      // The field, put into the fraction of 2ᶠ for f fraction bits, is the number 2ᶠ + field.
      const field = plain(`${ints}.shr_u`, plain(`${floats}.abs`, operand(e.a)), i32(fractionBits));
      const number = plain("v128.or", field, splat(2 ** fractionBits));
      return plain(`${floats}.sub`, number, splat(2 ** fractionBits + bias));
    }
    case "exp2i": {
      // pmax(a, b) is a < b ? b : a, so NaN becomes the lower bound.
      const above = plain(`${floats}.pmax`, splat(-bias), operand(e.a));
      const k = plain(`${floats}.pmin`, splat(bias + 1), above);
      // 1.5·2ᶠ + k is rounded to an integer and has k in its lowest bits, in two's complement.
      const bits = plain(`${floats}.add`, k, splat(1.5 * 2 ** fractionBits));
      const shifted = plain(`${ints}.shl`, bits, i32(fractionBits));
      // The bits of 1 are the bias, in the place of the field.
      return plain(`${ints}.add`, shifted, splat(1));
    }
    case "bf16": {
      const bit16 = plain("v128.and", plain("i32x4.shr_u", operand(e.a), i32(16)), integer(1));
      return toBf16(operand(e.a), plain("i32x4.add", bit16, integer(0x7fff)));
    }
    case "bf16Stochastic": {
      // Saturated: 0 where it would be negative or NaN.
      const scaled = plain("f32x4.mul", operand(e.b), float32(0x10000));
      const random = plain("i32x4.trunc_sat_f32x4_u", scaled);
      return toBf16(operand(e.a), plain("i32x4.min_u", random, integer(0xffff)));
    }
    default:
      return e satisfies never;
  }
}

/** x with `carry` added to its bits and the lower half cleared; x is a local. */
function toBf16(x: Node, carry: Node): Node {
  const rounded = plain("v128.and", plain("i32x4.add", x, carry), integer(-0x10000));
  return plain("v128.bitselect", rounded, float32(Number.NaN), plain("f32x4.eq", x, x));
}

function integer(value: number): Node {
  return plain("i32x4.splat", i32(value));
}

/** The integers `first`, `first` + 1, `first` + 2, `first` + 3. */
export function countUp(first: Node): Node {
  return plain("i32x4.add", plain("i32x4.splat", first), i32x4([0, 1, 2, 3]));
}

/** `uniformAt` of `expr/draw.ts` for a vector of indices; `temporary` is a local that nobody else uses meanwhile. */
export function draw(
  { fromIntegers, splatConst, perVector }: Lanes,
  indices: Node,
  key: Local,
  salt: number,
  temporary: Local,
): Node {
  const folded = (x: Node, shift: number): Node =>
    plain("v128.xor", tee(temporary, x), plain("i32x4.shr_u", get(temporary), i32(shift)));
  const mix = (x: Node): Node => {
    const first = plain("i32x4.mul", folded(x, 16), integer(MIX[0] | 0));
    return folded(plain("i32x4.mul", folded(first, 15), integer(MIX[1] | 0)), 16);
  };
  const keyed = plain("i32x4.add", plain("i32x4.add", mix(indices), get(key)), integer(salt | 0));
  const upper = plain("i32x4.shr_u", mix(keyed), i32(8));
  const multiply = perVector === 4 ? "f32x4.mul" : "f64x2.mul";
  return plain(multiply, fromIntegers(upper), splatConst(2 ** -24));
}

/** Four bfloat16 from address plus offset, as float32. */
export function loadHalves(address: Node, offset: number): Node {
  return plain("i32x4.shl", load("v128.load16x4_u", address, offset, 2), i32(16));
}

/** One bfloat16 as a float32, in every lane. */
export function loadHalf(address: Node): Node {
  return plain("i32x4.shl", load("v128.load16_splat", address, 0, 2), i32(16));
}

/** The upper halves of four float32, in the lower eight bytes. */
export function upperHalves(vector: Node): Node {
  const halves = plain("i32x4.shr_u", vector, i32(16));
  return plain("i16x8.narrow_i32x4_u", halves, integer(0));
}

/** Four bytes from address plus offset, as float32. */
export function loadBytes(address: Node, offset: number): Node {
  const pairs = plain("i16x8.extend_low_i8x16_u", load("v128.load32_zero", address, offset, 1));
  return plain("f32x4.convert_i32x4_u", plain("i32x4.extend_low_i16x8_u", pairs));
}

/** One byte as a float32, in every lane. */
export function loadByte(address: Node): Node {
  const integers = plain("i32x4.shr_u", load("v128.load8_splat", address, 0, 1), i32(24));
  return plain("f32x4.convert_i32x4_u", integers);
}

/** Four float32 that are whole numbers from 0 to 255 as bytes, in the lowest four. */
export function asBytes(vector: Node): Node {
  const integers = plain("i32x4.trunc_sat_f32x4_u", vector);
  const halves = plain("i16x8.narrow_i32x4_u", integers, integer(0));
  return plain("i8x16.narrow_i16x8_u", halves, integer(0));
}

/**
 * Minimum and maximum. WebAssembly's own take some eight instructions for NaN and ±0. Against a constant c one
 * does: pmax(x, c) is x < c ? c : x, so NaN stays, and zeros of two signs meet only at c = 0, where adding
 * 0 turns the −0 that pmax keeps into the 0 it should be. pmin(x, c) is c < x ? c : x; it is right at c = 0,
 * and wrong at c = −0 alone.
 */
function limit(
  op: "min" | "max",
  a: Id,
  b: Id,
  operand: (id: Id) => Node,
  constant: Constant,
  floats: "f32x4" | "f64x2",
  splat: (value: number) => Node,
): Node {
  const [x, other] = constant(a) === undefined ? [a, b] : [b, a];
  const exact = constant(other);
  // As the lanes hold it: ±1e-60 is a zero in float32.
  const c = exact === undefined || floats === "f64x2" ? exact : Math.fround(exact);
  if (c === undefined || Number.isNaN(c) || (op === "min" && Object.is(c, -0))) {
    return plain(`${floats}.${op}`, operand(a), operand(b));
  }
  const limited = plain(`${floats}.p${op}`, operand(x), operand(other));
  return op === "max" && Object.is(c, 0) ? plain(`${floats}.add`, limited, splat(0)) : limited;
}
