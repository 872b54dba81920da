import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runGraph } from "../../testing/graphs.ts";
import { GraphBuilder } from "./builder.ts";
import {
  broadcastAt,
  elementwise,
  flatData,
  materialize,
  reshape,
  transpose,
  type View,
  viewOf,
} from "./views.ts";

/** A view beside the plain array it must read as. */
interface Pair {
  readonly view: View;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

const size = (shape: readonly number[]): number =>
  shape.reduce((product, extent) => product * extent, 1);

/** Multi-index of row-major position `flat`. */
function indexOf(flat: number, shape: readonly number[]): number[] {
  let rest = flat;
  return shape
    .toReversed()
    .map((extent) => {
      const index = rest % extent;
      rest = Math.floor(rest / extent);
      return index;
    })
    .reverse();
}

function gather(shape: readonly number[], read: (index: readonly number[]) => number): number[] {
  return Array.from({ length: size(shape) }, (_, flat) => read(indexOf(flat, shape)));
}

function readAt({ shape, data }: Pair, index: readonly number[]): number {
  return data[index.reduce((flat, position, axis) => flat * shape[axis]! + position, 0)]!;
}

/** Shapes a size may be written as. */
function shapesOf(elements: number): number[][] {
  const splits = [[elements], [1, elements], [elements, 1]];
  for (const divisor of [2, 3, 4, 6]) {
    if (elements % divisor === 0) {
      const rest = elements / divisor;
      splits.push([divisor, rest], [divisor, 1, rest]);
      if (rest % 2 === 0) {
        splits.push([divisor, 2, rest / 2]);
      }
    }
  }
  return splits;
}

type Step = { readonly kind: "transpose" | "reshape" | "broadcast"; readonly choice: number };

function apply(builder: GraphBuilder, pair: Pair, { kind, choice }: Step): Pair {
  const { view, shape } = pair;
  switch (kind) {
    case "transpose": {
      const perm = shape.map((_, axis) => axis);
      perm.push(...perm.splice(0, shape.length === 0 ? 0 : choice % shape.length));
      const moved = choice % 2 === 0 ? perm : perm.toReversed();
      const to = moved.map((axis) => shape[axis]!);
      const data = gather(to, (index) =>
        readAt(
          pair,
          shape.map((_, axis) => index[moved.indexOf(axis)]!),
        ),
      );
      return { view: transpose(view, moved), shape: to, data };
    }
    case "reshape": {
      const options = shapesOf(size(shape));
      const to = options[choice % options.length]!;
      return { view: reshape(builder, view, to), shape: to, data: pair.data };
    }
    case "broadcast": {
      const at = choice % (shape.length + 1);
      const to = shape.toSpliced(at, 0, (choice % 3) + 1);
      const data = gather(to, (index) => readAt(pair, index.toSpliced(at, 1)));
      return { view: broadcastAt(view, to, [at]), shape: to, data };
    }
  }
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step["kind"]>("transpose", "reshape", "broadcast"),
    choice: fc.nat(23),
  }),
  { maxLength: 6 },
);

function build(builder: GraphBuilder, chain: readonly Step[]): Pair {
  const shape = [2, 3, 4];
  const start: Pair = {
    view: viewOf(builder.input("x", { shape, dtype: "float32" })),
    shape,
    data: Array.from({ length: 24 }, (_, position) => position),
  };
  return chain.reduce(
    (pair, step) => (size(pair.shape) > 300 ? pair : apply(builder, pair, step)),
    start,
  );
}

const input = Float32Array.from({ length: 24 }, (_, position) => position);

describe("views", () => {
  test("read as the transposed, reshaped and broadcast array, however they are stored", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (chain) => {
        const builder = new GraphBuilder();
        const { view, shape, data } = build(builder, chain);
        const whole = materialize(builder, view);
        expect(whole.shape).toEqual(shape);
        const outputs = [
          { name: "whole", tensor: whole },
          { name: "flat", tensor: flatData(builder, view) },
        ];
        const [stored, flat] = await runGraph(builder.build(outputs), [input]);
        expect([...stored!]).toEqual(data);
        expect([...flat!]).toEqual(data);
      }),
      { numRuns: 60 },
    );
  });

  test("elementwise results do not depend on the order chosen to compute in", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(11), async (chain, choice) => {
        const builder = new GraphBuilder();
        const left = build(builder, chain);
        const right = apply(
          builder,
          { ...left, view: viewOf(materialize(builder, left.view)) },
          { kind: "transpose", choice },
        );
        fc.pre(right.shape.join() === left.shape.join());
        const sum = elementwise(builder, "Sub", [left.view, right.view]);
        const graph = builder.build([{ name: "sum", tensor: flatData(builder, sum) }]);
        const [result] = await runGraph(graph, [input]);
        expect([...result!]).toEqual(
          left.data.map((value, position) => value - right.data[position]!),
        );
      }),
      { numRuns: 40 },
    );
  });

  test("a broadcast of a scalar, a row and a column needs no node but the operation", () => {
    const builder = new GraphBuilder();
    const matrix = viewOf(builder.input("m", { shape: [3, 4], dtype: "float32" }));
    const row = viewOf(builder.input("r", { shape: [4], dtype: "float32" }));
    const column = viewOf(builder.input("c", { shape: [3, 1], dtype: "float32" }));
    const two: View = { tensor: builder.scalar(2, "float32"), shape: [], axes: [] };
    const sum = [row, column, two].reduce(
      (left, right) => elementwise(builder, "Add", [left, right]),
      matrix,
    );
    expect(builder.build([{ name: "sum", tensor: sum.tensor }]).nodes.map(({ op }) => op)).toEqual([
      "Add",
      "Add",
      "Add",
    ]);
  });
});
