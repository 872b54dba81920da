/**
 * What each operation of the host's part computes, in float64; a truth value is 1 or 0.
 *
 * One function each, so that a bundle holds those that its plans use.
 */

import type { Op } from "../expr/node.ts";
import { type BitOperations, bitOperations } from "./format.ts";

/** Of up to three operands; those that it does not have may be any numbers. */
export type Operation = (a: number, b: number, c: number) => number;

/** Operations by their names in expressions. */
export type Operations = Readonly<Record<string, Operation>>;

const BITS: BitOperations = /* @__PURE__ */ bitOperations("float64");

export const neg: Operation = (a) => -a;
export const abs: Operation = (a) => Math.abs(a);
export const sqrt: Operation = (a) => Math.sqrt(a);
export const floor: Operation = (a) => Math.floor(a);
export const exponent: Operation = (a) => BITS.exponent(a);
export const exp2i: Operation = (a) => BITS.exp2i(a);
export const exp: Operation = (a) => Math.exp(a);
export const expm1: Operation = (a) => Math.expm1(a);
export const log: Operation = (a) => Math.log(a);
export const tanh: Operation = (a) => Math.tanh(a);
export const add: Operation = (a, b) => a + b;
export const sub: Operation = (a, b) => a - b;
export const mul: Operation = (a, b) => a * b;
export const div: Operation = (a, b) => a / b;
export const min: Operation = (a, b) => Math.min(a, b);
export const max: Operation = (a, b) => Math.max(a, b);
export const lt: Operation = (a, b) => (a < b ? 1 : 0);
export const le: Operation = (a, b) => (a <= b ? 1 : 0);
export const eq: Operation = (a, b) => (a === b ? 1 : 0);
export const and: Operation = (a, b) => (a !== 0 && b !== 0 ? 1 : 0);
export const or: Operation = (a, b) => (a !== 0 || b !== 0 ? 1 : 0);
export const not: Operation = (a) => (a === 0 ? 1 : 0);
export const select: Operation = (a, b, c) => (a !== 0 ? b : c);

/**
 * aᵇ. JavaScript leaves the last bits of a power to the engine, and engines differ in them. The powers of a step are
 * βᵗ: whole ones are products, in pairs of numbers (Dekker 1971), so that every engine gives the same bits and the
 * error stays below one unit in the last place.
 */
export function pow(a: number, b: number): number {
  const size = Math.abs(a);
  // Beyond, splitting a number in two would overflow, or lose what it is for.
  if (!Number.isInteger(b) || b < 0 || b > 2 ** 31 || !(size >= 2 ** -400 && size <= 2 ** 400)) {
    return a ** b;
  }
  let [high, low] = [1, 0];
  let [baseHigh, baseLow] = [a, 0];
  for (let n = b; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) {
      [high, low] = pairProduct(high, low, baseHigh, baseLow);
    }
    [baseHigh, baseLow] = pairProduct(baseHigh, baseLow, baseHigh, baseLow);
  }
  // The square after the last one that counts may have overflowed; a result that did is the engine's.
  return Number.isFinite(high + low) ? high + low : a ** b;
}

/** (a + x)(b + y) as a number and what its rounding left. */
function pairProduct(a: number, x: number, b: number, y: number): readonly [number, number] {
  const product = a * b;
  const [a1, b1] = [upperHalf(a), upperHalf(b)];
  const [a2, b2] = [a - a1, b - b1];
  const error = a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
  const rest = error + (a * y + x * b);
  const high = product + rest;
  return [high, rest - (high - product)];
}

/** The upper 26 bits of a number, such that the products of halves are exact. */
function upperHalf(x: number): number {
  const shifted = x * (2 ** 27 + 1);
  return shifted - (shifted - x);
}

/** Operations that the planner places, reads or expands; no instruction computes them. */
type Placed =
  | "const"
  | "roundoff"
  | "input"
  | "random"
  | "bf16"
  | "bf16Stochastic"
  | "int8"
  | "int8Stochastic"
  | "delay"
  | "window"
  | "reduce"
  | "newtonSchulz"
  | "choose"
  | "erf"
  | "cosPi";

/** All of them; an operation that joins the union of expressions joins here or above. */
export const OPERATIONS: Readonly<Record<Exclude<Op, Placed>, Operation>> = {
  neg,
  abs,
  sqrt,
  floor,
  exponent,
  exp2i,
  exp,
  expm1,
  log,
  tanh,
  add,
  sub,
  mul,
  div,
  min,
  max,
  pow,
  lt,
  le,
  eq,
  and,
  or,
  not,
  select,
};
