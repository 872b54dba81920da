/**
 * The rules of bits: logic, shifts, and random bits by the Threefry-2x32 cipher of 20 rounds, so that
 * a graph draws the numbers jax-js draws, and the same from the same key on every backend.
 *
 * @see Salmon, Moraes, Dror & Shaw 2011, section 4.2.2, https://doi.org/10.1145/2063384.2063405
 */

import type { DType, Equation } from "../../trace/program.ts";
import type { GraphBuilder } from "../builder.ts";
import type { OpName } from "../ops/index.ts";
import { elementwise, reshape, type View, viewOf } from "../views.ts";
import { cast, scalar } from "./elementwise.ts";
import { at, listParam, type RuleTable } from "./rule.ts";
import { item, product } from "./spatial.ts";

const OF_BITS: Readonly<Record<string, OpName>> = {
  and: "BitwiseAnd",
  or: "BitwiseOr",
  xor: "BitwiseXor",
};
const OF_BOOL: Readonly<Record<string, OpName>> = { and: "And", or: "Or", xor: "Xor" };

export const BITS: RuleTable = {
  bit_combine: (builder, inputs, equation) => {
    const table = at(inputs, 0).tensor.dtype === "bool" ? OF_BOOL : OF_BITS;
    return [elementwise(builder, known(table, equation), inputs)];
  },
  /** A shift to the right keeps the sign of int32 in jax-js, which ONNX does not offer: uint32 alone. */
  bit_shift: (builder, inputs, equation) => {
    const [value, count] = [at(inputs, 0), at(inputs, 1)];
    const { dtype } = value.tensor;
    const direction = equation.params["op"] === "shl" ? "LEFT" : "RIGHT";
    if (direction === "RIGHT" && dtype === "int32") {
      throw new RangeError("bit_shift: to the right the operand must be uint32, got int32");
    }
    const operands = [cast(builder, value, "uint32"), cast(builder, count, "uint32")];
    const shifted = elementwise(builder, "BitShift", operands, { direction });
    return [cast(builder, shifted, dtype as DType)]; // values of a program are never int64
  },
  bitcast: (builder, inputs, { params }) => [
    bitcast(builder, at(inputs, 0), params["dtype"] as DType), // jax-js's bitcast has no other
  ],
  random_bits: (builder, inputs, equation) => [
    randomBits(builder, at(inputs, 0), at(inputs, 1), equation),
  ],
};

function known(table: Readonly<Record<string, OpName>>, { primitive, params }: Equation): OpName {
  const op = table[String(params["op"])];
  if (op === undefined) {
    throw new RangeError(`${primitive}: \`op\` must be known, got ${String(params["op"])}`);
  }
  return op;
}

/** Bits of 1.0 in float32, and how many bits its fraction has. */
const ONE = 0x3f80_0000;
const FRACTION_BITS = 23;

/**
 * Between integers the bits stay as they are. Of floats ONNX 18 knows only arithmetic: integers below
 * 2²³ in the fraction of 1.0 are 1 + n 2⁻²³, exact, which is how uniform numbers are made of random bits.
 */
function bitcast(builder: GraphBuilder, value: View, dtype: DType): View {
  const { tensor } = value;
  if (tensor.dtype !== "float32" && dtype !== "float32") {
    return cast(builder, value, dtype);
  }
  const [fraction, one] = builder.producer(tensor, "Add")?.inputs ?? [];
  const [, divisor] = (fraction && builder.producer(fraction, "Div")?.inputs) ?? [];
  const isFraction =
    tensor.dtype === "uint32" &&
    one !== undefined &&
    builder.scalarOf(one) === ONE &&
    divisor !== undefined &&
    (builder.scalarOf(divisor) ?? 0) >= 2 ** (32 - FRACTION_BITS);
  if (fraction === undefined || !isFraction) {
    throw new RangeError(
      `bitcast: operand must be an integer, or a fraction beside the bits of 1, got ${tensor.dtype} to ${dtype}`,
    );
  }
  const count = cast(builder, { ...value, tensor: fraction }, "float32");
  const scaled = elementwise(builder, "Mul", [count, scalar(builder, 2 ** -FRACTION_BITS)]);
  return elementwise(builder, "Add", [scaled, scalar(builder, 1)]);
}

/** How far each round turns its word: two schedules of four, in turn. */
const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;
const PARITY = 0x1bd1_1bda;
const INJECTIONS = 5;

/** The cipher of the counters (0, 0), (0, 1), ... under each key, its two words combined. */
function randomBits(builder: GraphBuilder, key0: View, key1: View, equation: Equation): View {
  const shape = listParam(equation, "shape");
  const drawn = shape.slice(key0.shape.length);
  const perKey = (key: View): View => reshape(builder, key, [...key.shape, ...drawn.map(() => 1)]);
  const word = (value: number): View => ({
    tensor: builder.scalar(value, "uint32"),
    shape: [],
    axes: [],
  });
  const combine = (op: OpName, a: View, b: View): View => elementwise(builder, op, [a, b]);
  const shift = (x: View, count: number, direction: "LEFT" | "RIGHT"): View =>
    elementwise(builder, "BitShift", [x, word(count)], { direction });
  const rotate = (x: View, count: number): View =>
    combine("BitwiseOr", shift(x, count, "LEFT"), shift(x, 32 - count, "RIGHT"));

  const [k0, k1] = [perKey(key0), perKey(key1)];
  const parity = combine("BitwiseXor", combine("BitwiseXor", k0, k1), word(PARITY));
  const keys = [k0, k1, parity];
  const counters = builder.constant(
    { shape: drawn, dtype: "uint32" },
    Uint32Array.from({ length: product(drawn) }, (_, i) => i),
  );
  let [x0, x1] = [k0, combine("Add", viewOf(counters), k1)];
  for (let injection = 1; injection <= INJECTIONS; injection++) {
    for (const count of item(ROTATIONS, (injection - 1) % 2)) {
      x0 = combine("Add", x0, x1);
      x1 = combine("BitwiseXor", rotate(x1, count), x0);
    }
    x0 = combine("Add", x0, item(keys, injection % 3));
    x1 = combine("Add", x1, combine("Add", item(keys, (injection + 1) % 3), word(injection)));
  }
  const { mode } = equation.params;
  return mode === "xor" ? combine("BitwiseXor", x0, x1) : mode === 0 ? x0 : x1;
}
