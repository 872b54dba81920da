import { sizeOf } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, Value } from "../trace/value.ts";
import { Known, type Movable } from "./known.ts";

/** One movement of an array, drawn by three numbers that its shape is asked about. */
type Step = readonly [kind: number, a: number, b: number];

function move<T extends Movable<T>>(x: T, [kind, a, b]: Step): T {
  const rank = x.shape.length;
  const axis = a % rank;
  const extent = x.shape[axis]!;
  switch (kind) {
    case 0:
      return x.flip(axis);
    case 1:
      return x.every(1 + (b % 3), axis);
    case 2: {
      const start = b % extent;
      return x.slice(axis, start, extent);
    }
    case 3:
      return x.transpose([...x.shape.keys()].map((i) => (i + a) % rank));
    case 4:
      return x.reshape([sizeOf(x.shape)]).reshape(x.shape.toReversed());
    default:
      return x
        .broadcastTo([2, ...x.shape])
        .slice(0, 1, 2)
        .reshape(x.shape);
  }
}

/** Outside a trace jax-js computes at once. */
function numbers(value: Value): { shape: readonly number[]; data: number[] } {
  return { shape: value.shape, data: Array.from(Value.lend(value).dataSync()) };
}

const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
const steps = fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 9 }), fc.nat({ max: 9 })), {
  minLength: 1,
  maxLength: 4,
});

const counted = (extents: readonly number[], from = 0): Known =>
  new Known(
    "int32",
    extents,
    Array.from({ length: sizeOf(extents) }, (_, i) => from + i),
  );

describe("arrays known while tracing", () => {
  test("move as values do", () => {
    fc.assert(
      fc.property(shape, steps, (extents, chain) => {
        const known = chain.reduce(move<Known>, counted(extents));
        const value = chain.reduce(move<Value>, counted(extents).toValue());
        expect({ shape: known.shape, data: [...(known.data as number[])] }).toEqual(numbers(value));
      }),
      { numRuns: 60 },
    );
  });

  test("are joined, indexed and reduced as values are", () => {
    fc.assert(
      fc.property(shape, fc.nat({ max: 9 }), (extents, pick) => {
        const axis = pick % extents.length;
        const [a, b] = [counted(extents), counted(extents, 100)];
        const joined = Known.concat([a, b], axis);
        expect({ shape: joined.shape, data: [...(joined.data as number[])] }).toEqual(
          numbers(concat([a.toValue(), b.toValue()], axis)),
        );
        const sum = a.reduce([axis], (p, q) => p + q);
        expect({ shape: sum.shape, data: [...(sum.data as number[])] }).toEqual(
          numbers(a.toValue().sum({ axis, keepDims: true })),
        );
        const rows = a.take(Known.ints([0, -1]), 0);
        expect({ shape: rows.shape, data: [...(rows.data as number[])] }).toEqual(
          numbers(a.toValue().take(Known.ints([0, extents[0]! - 1]).toValue())),
        );
      }),
      { numRuns: 40 },
    );
  });

  test("round as their type does", () => {
    const half = (dtype: "float32" | "int32" | "bool") =>
      Known.pointwise(dtype, (x = 0) => x / 3, [Known.ints([-4, 0, 5])]).data;
    expect(half("int32")).toEqual([-1, 0, 1]);
    expect(half("bool")).toEqual([1, 0, 1]);
    expect(half("float32")).toEqual([Math.fround(-4 / 3), 0, Math.fround(5 / 3)]);
  });

  test("are refused where a file asks for too many, or for what is not there", () => {
    expect(() => Known.filled("int32", [2 ** 20, 2 ** 20], 0)).toThrow(
      "known: arrays known while tracing must have at most 16777216 elements, got shape [1048576, 1048576]",
    );
    expect(() => Known.ints([1, 2]).take(Known.ints([2]), 0)).toThrow(
      "take: indices must be in [0, 2), got 2",
    );
    expect(() => Known.ints([1, 2]).reshape([3])).toThrow(
      "reshape: `shape` must keep the size of [2], got [3]",
    );
  });
});
