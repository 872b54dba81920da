/** The array library of the tests: Float64Arrays as vectors, by the definitions; without an error function. */

import { sizeOf } from "@adastra/core";
import type { ArrayOps, Value } from "../src/arrays/ops.ts";

type A = Float64Array;

function map(f: (...x: number[]) => number, ...values: Value<A>[]): A {
  const length = Math.max(...values.map((v) => (typeof v === "number" ? 1 : v.length)));
  const at = (v: Value<A>, i: number): number =>
    typeof v === "number" ? v : (v[v.length === 1 ? 0 : i] as number);
  return Float64Array.from({ length }, (_, i) => f(...values.map((v) => at(v, i))));
}

const unary = (f: (x: number) => number) => (a: A) => map((x = 0) => f(x), a);
const binary = (f: (x: number, y: number) => number) => (a: Value<A>, b: Value<A>) =>
  map((x = 0, y = 0) => f(x, y), a, b);

export const plainArrays: ArrayOps<A> = {
  roundoff: 2 ** -53,
  neg: unary((x) => -x),
  abs: unary(Math.abs),
  sqrt: unary(Math.sqrt),
  floor: unary(Math.floor),
  exp: unary(Math.exp),
  expm1: unary(Math.expm1),
  log: unary(Math.log),
  tanh: unary(Math.tanh),
  add: binary((x, y) => x + y),
  sub: binary((x, y) => x - y),
  mul: binary((x, y) => x * y),
  div: binary((x, y) => x / y),
  min: binary(Math.min),
  max: binary(Math.max),
  pow: binary((x, y) => x ** y),
  lt: binary((x, y) => Number(x < y)),
  le: binary((x, y) => Number(x <= y)),
  eq: binary((x, y) => Number(x === y)),
  and: binary((x, y) => x * y),
  or: binary(Math.max),
  not: unary((x) => 1 - x),
  select: (cond, a, b) => map((c = 0, x = 0, y = 0) => (c === 1 ? x : y), cond, a, b),
  total: (a, over) => (over === "column" ? a : Float64Array.of(a.reduce((sum, x) => sum + x, 0))),
  largest: (a, over) => (over === "column" ? a : Float64Array.of(Math.max(...a))),
  // A vector is a single row: times the column of another one number, and one number times it a row.
  product: (a, b, transposed) =>
    transposed === "b"
      ? Float64Array.of(a.reduce((sum, x, i) => sum + x * (b[i] as number), 0))
      : map((x = 0, y = 0) => x * y, a, b),
  reshape: (a) => a,
  spread: (a, shape) => map((x = 0, y = 0) => x + y, a, new Float64Array(sizeOf(shape))),
  sizeOf: (a) => a.length,
};
