import { grad, type Array as JaxArray, lax, numpy as np } from "@jax-js/jax";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/arrays.ts";
import { runEveryWay } from "../../../testing/graphs.ts";
import type { InputSlot } from "../../signature.ts";
import type { ArrayFunction } from "../../trace/trace.ts";
import type { OpName } from "../ops/index.ts";

type Pair = [number, number];

/** A convolution of pictures [batch, groups · channels, height, width], and where its windows lie. */
interface Geometry {
  readonly batch: number;
  readonly groups: number;
  readonly channels: number;
  readonly outputs: number;
  readonly extents: Pair;
  readonly window: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly padding: [Pair, Pair];
}

const slot = (...shape: number[]): InputSlot => ({ name: "f", shape, dtype: "float32" });

function slots({ batch, groups, channels, outputs, extents, window }: Geometry): InputSlot[] {
  return [slot(batch, groups * channels, ...extents), slot(groups * outputs, channels, ...window)];
}

const convolve =
  ({ groups, strides, dilations, padding }: Geometry) =>
  (x: JaxArray, w: JaxArray): JaxArray =>
    lax.convGeneralDilated(x, w, strides, padding, {
      rhsDilation: dilations,
      featureGroupCount: groups,
    });

/** Both gradients of Σ sin(y). */
const gradients =
  (geometry: Geometry): ArrayFunction =>
  (x, w) =>
    grad(([a, b]: [JaxArray, JaxArray]) => np.sum(np.sin(convolve(geometry)(a, b))))([x!, w!]);

const pair = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

/**
 * Whether jax-js differentiates it: its transpose pads the gradient of y by less than 0 where x was padded by
 * more than the window reaches, and it refuses to cut off more than y's extent, though zeros stand between y's
 * elements.
 */
const differentiable = ({ extents, window, strides, dilations, padding }: Geometry): boolean =>
  extents.every((extent, i) => {
    const reach = (window[i]! - 1) * dilations[i]!;
    const [before, after] = padding[i]!;
    const y = Math.floor((extent + before + after - reach - 1) / strides[i]!) + 1;
    const both = extent + reach - ((y - 1) * strides[i]! + 1);
    return Math.min(reach - before, both - (reach - before), both) >= -y;
  });

/** Any whose windows fit into the picture, paddings below 0 included. */
const GEOMETRIES = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    groups: fc.constantFrom(1, 1, 2, 3),
    channels: fc.constantFrom(1, 2, 9),
    outputs: fc.constantFrom(1, 2, 9),
    extents: pair(3, 8),
    window: pair(1, 4),
    strides: pair(1, 3),
    dilations: pair(1, 2),
    padding: fc.tuple(pair(-1, 3), pair(-1, 3)),
  })
  .filter(({ extents, window, dilations, padding }) =>
    extents.every(
      (extent, i) =>
        extent + padding[i]![0] + padding[i]![1] >= (window[i]! - 1) * dilations[i]! + 1,
    ),
  )
  .filter(differentiable);

/** Whose one column of windows reads padding alone. */
const ALL_CROPPED: Geometry = {
  batch: 2,
  groups: 1,
  channels: 1,
  outputs: 2,
  extents: [3, 3],
  window: [1, 1],
  strides: [1, 1],
  dilations: [1, 1],
  padding: [
    [0, 0],
    [-3, 1],
  ],
};

describe("convolution", () => {
  test("of any geometry computes what jax-js computes, and so do both gradients", async () => {
    await fc.assert(
      fc.asyncProperty(GEOMETRIES, async (geometry) => {
        for (const call of [
          ((x, w) => [convolve(geometry)(x!, w!)]) satisfies ArrayFunction,
          gradients(geometry),
        ]) {
          const { optimized, jax } = await runEveryWay(call, slots(geometry));
          jax.forEach((expected, index) => {
            // Sums of at most 3 · 8 · 8 · 9 products of normal draws in another order; where few results are
            // left all of them may be sums that cancel, the gradient's cos(y) too, hence no scale below 1.
            expectClose(optimized[index]!, expected, 2e-5, JSON.stringify(geometry), 1);
          });
        }
      }),
      { numRuns: 40, examples: [[ALL_CROPPED]] },
    );
  }, 60_000);
});

describe("forms", () => {
  const base: Geometry = {
    batch: 2,
    groups: 1,
    channels: 9,
    outputs: 9,
    extents: [6, 6],
    window: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    padding: [
      [1, 1],
      [1, 1],
    ],
  };
  const count = async (geometry: Geometry): Promise<(op: OpName) => number> => {
    const { graph } = await runEveryWay(gradients(geometry), slots(geometry));
    return (op) => graph.nodes.filter((node) => node.op === op).length;
  };

  test("the gradient for w is one Gemm a place of the window, on one copy of the picture", async () => {
    const ops = await count(base);
    expect(ops("Gemm")).toBe(9);
    expect(ops("Pad")).toBe(1);
    expect(ops("Conv")).toBe(2); // forward, and the gradient for x
  });

  test("the gradient for x with strides is one ConvTranspose of the weights as they are", async () => {
    const ops = await count({ ...base, extents: [8, 8], strides: [2, 2] });
    expect(ops("ConvTranspose")).toBe(1);
    // Slices are those of the nine places; nothing is flipped.
    expect(ops("Slice")).toBe(9);
  });

  test("few channels: the gradient for w is a product over columns", async () => {
    const ops = await count({ ...base, channels: 1 });
    expect(ops("Gemm")).toBe(0);
    expect(ops("FusedMatMul")).toBe(1);
  });

  test("groups stay groups, forward and backward", async () => {
    const ops = await count({ ...base, groups: 2 });
    expect(ops("FusedMatMul")).toBe(9);
    expect(ops("Conv")).toBe(2);
  });
});
