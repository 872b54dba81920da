/** Instructions of a kernel on vectors: four lanes of float32 or two of float64, written once for both. */

import { formatOf } from "../format.ts";
import type { DType, Id, Instruction } from "../kernel.ts";
import type { LoadOp, Local, Node, StoreLaneOp } from "./assembler.ts";
import { extractFirst, f32, f64, get, i32, plain, upperHalf } from "./assembler.ts";

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
  /** The value of an instruction from those of its operands; `constant` knows which of them are constants. */
  readonly compute: (e: Computed, operand: (id: Id) => Node, constant: Constant) => Node;
}

/** The number that an instruction is, where it is a constant. */
export type Constant = (id: Id) => number | undefined;

/** Instructions that neither touch memory nor are the same for every element. */
export type Computed = Exclude<Instruction, { op: "load" | "scalar" | "const" }>;

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
    default:
      return e satisfies never;
  }
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
