/** The kernels that take a block of 8-bit numbers apart and put it together; `expr/int8.ts` says what they compute. */

import type { Instruction, Kernel } from "./kernel.ts";

/** From codes to numbers. Scalars: the code of 0, 1/n, s. */
export const UNPACK: Kernel = {
  name: "unpack",
  streams: ["codes", "x"],
  u8: [0],
  scalars: ["zero", "inverse", "scale"],
  body: [
    { op: "load", stream: 0 },
    { op: "scalar", index: 0 },
    { op: "sub", a: 0, b: 1 },
    { op: "scalar", index: 1 },
    { op: "mul", a: 2, b: 3 },
    { op: "abs", a: 4 },
    // t·|t| has the sign of t.
    { op: "mul", a: 4, b: 5 },
    { op: "mul", a: 4, b: 4 },
    { op: "mul", a: 6, b: 7 },
    { op: "scalar", index: 2 },
    { op: "mul", a: 8, b: 9 },
  ],
  stores: [{ stream: 1, value: 10 }],
  reductions: [],
};

/** max |x|, and a number that is above 0 exactly where an x is below 0: max ||x| − x|. */
export const EXTREMES: Kernel = {
  name: "extremes",
  streams: ["x"],
  scalars: [],
  body: [
    { op: "load", stream: 0 },
    { op: "abs", a: 0 },
    { op: "sub", a: 1, b: 0 },
    // Never negative as it is; a magnitude is what a maximum is fast for.
    { op: "abs", a: 2 },
  ],
  stores: [],
  reductions: [
    { kind: "max", value: 1 },
    { kind: "max", value: 3 },
  ],
};

/** From numbers to the nearest codes. Scalars: the code of 0, n/⁴√s. */
export const PACK: Kernel = /* @__PURE__ */ packing(
  "pack",
  ["zero", "factor"],
  [
    { op: "const", value: 0.5 },
    { op: "add", a: 5, b: 6 },
    { op: "floor", a: 7 },
  ],
);

/** From numbers to one of the two codes next to each. Scalars: the code of 0, n/⁴√s, 1/n, s. */
export function packStochastic(salt: number): Kernel {
  return packing(
    "pack_stochastic",
    ["zero", "factor", "inverse", "scale"],
    [
      // below = (⌊c⌋/n)⁴
      { op: "floor", a: 5 },
      { op: "scalar", index: 2 },
      { op: "mul", a: 6, b: 7 },
      { op: "mul", a: 8, b: 8 },
      { op: "mul", a: 9, b: 9 },
      // above = ((⌊c⌋ + 1)/n)⁴
      { op: "const", value: 1 },
      { op: "add", a: 6, b: 11 },
      { op: "mul", a: 12, b: 7 },
      { op: "mul", a: 13, b: 13 },
      { op: "mul", a: 14, b: 14 },
      { op: "scalar", index: 3 },
      { op: "div", a: 1, b: 16 },
      { op: "sub", a: 17, b: 10 },
      { op: "sub", a: 15, b: 10 },
      { op: "random", salt },
      { op: "mul", a: 20, b: 19 },
      { op: "lt", a: 21, b: 18 },
      { op: "select", cond: 22, a: 12, b: 6 },
    ],
  );
}

/** A kernel that rounds c, its instruction 5, by `round`, whose last instruction is the result; 0 is its `x`, 1 is |x|. */
function packing(name: string, scalars: readonly string[], round: readonly Instruction[]): Kernel {
  const body: Instruction[] = [
    { op: "load", stream: 0 },
    { op: "abs", a: 0 },
    { op: "sqrt", a: 1 },
    { op: "sqrt", a: 2 },
    { op: "scalar", index: 1 },
    { op: "mul", a: 3, b: 4 },
    ...round,
  ];
  const push = (instruction: Instruction): number => body.push(instruction) - 1;
  const rounded = body.length - 1;
  const one = push({ op: "const", value: 1 });
  const least = push({ op: "max", a: rounded, b: one });
  const nothing = push({ op: "const", value: 0 });
  const isZero = push({ op: "eq", a: 0, b: nothing });
  const magnitude = push({ op: "select", cond: isZero, a: nothing, b: least });
  const isNegative = push({ op: "lt", a: 0, b: nothing });
  const minus = push({ op: "neg", a: magnitude });
  const signed = push({ op: "select", cond: isNegative, a: minus, b: magnitude });
  const zero = push({ op: "scalar", index: 0 });
  const code = push({ op: "add", a: zero, b: signed });
  return {
    name,
    streams: ["x", "codes"],
    u8: [1],
    scalars,
    body,
    stores: [{ stream: 1, value: code }],
    reductions: [],
  };
}
