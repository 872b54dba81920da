import { grad, type Array as JaxArray, lax, numpy as np, random } from "@jax-js/jax";
import { describe, expect, test } from "vitest";
import { expectClose } from "../../testing/arrays.ts";
import { runEveryWay } from "../../testing/graphs.ts";
import type { InputSlot } from "../signature.ts";
import { type ArrayFunction, traceArrays } from "../trace/trace.ts";
import { lower } from "./lower.ts";
import { RULES } from "./rules/index.ts";

type Unary = (x: JaxArray) => JaxArray;
type Binary = (x: JaxArray, y: JaxArray) => JaxArray;

const f = (...shape: number[]): InputSlot => ({ name: "f", shape, dtype: "float32" });
const i = (...shape: number[]): InputSlot => ({ name: "i", shape, dtype: "int32" });
const float = (x: JaxArray): JaxArray => np.astype(x, np.float32);
const square: Unary = (x) => x.ref.mul(x);
const unary = (compute: Unary): [ArrayFunction, InputSlot[]] => [(x) => [compute(x!)], [f(3, 4)]];
const binary = (compute: Binary, ...slots: InputSlot[]): [ArrayFunction, InputSlot[]] => [
  (x, y) => [compute(x!, y!)],
  slots.length === 0 ? [f(3, 4), f(4)] : slots,
];

/** Σ sin(y) of the result y as a loss: its gradients vary from element to element. */
const gradients =
  (compute: Binary): ArrayFunction =>
  (x, w) =>
    grad(([a, b]: [JaxArray, JaxArray]) => np.sum(np.sin(compute(a, b))))([x!, w!]);
const gradient =
  (compute: (x: JaxArray, at?: JaxArray) => JaxArray): ArrayFunction =>
  (x, at) => [grad((a: JaxArray) => np.sum(np.sin(compute(a, at))))(x!)];
const grouped = (x: JaxArray, w: JaxArray, dilation: number, groups: number): JaxArray =>
  lax.convGeneralDilated(x, w, [1, 1], "SAME", {
    rhsDilation: [dilation, dilation],
    featureGroupCount: groups,
  });
const windowSums = (x: JaxArray, window: number[], strides: number[]): JaxArray =>
  lax.reduceWindow(x, (y) => np.sum(y), window, strides);
const windowMaxima = (x: JaxArray, window: number[], strides: number[]): JaxArray =>
  lax.reduceWindow(x, (y) => np.max(y), window, strides);
/** Any integers as indices below `count`. */
const index = (at: JaxArray, count: number): JaxArray => at.add(4 * count).mod(count);
const whole = (value: number): JaxArray => np.array(value, { dtype: np.uint32 });
/** uint32 as two exact floats. */
const halves = (bits: JaxArray): JaxArray =>
  np.stack([float(np.rightShift(bits.ref, whole(16))), float(np.bitwiseAnd(bits, whole(0xffff)))]);

/** For each primitive with a rule, functions whose trace holds it. */
const CASES: Readonly<Record<string, readonly [ArrayFunction, InputSlot[]][]>> = {
  add: [
    binary(np.add),
    binary((x, y) => x.add(y.add(1)), i(3), f(2, 3)),
    binary((x, y) => float(x.less(0).add(y.less(0)))),
  ],
  mul: [binary(np.multiply), binary((x, y) => float(x.less(0).mul(y.less(0))))],
  max: [binary(np.maximum), binary((x, y) => float(np.maximum(x, y)), i(3), i(2, 1))],
  min: [binary(np.minimum)],
  neg: [unary(np.negative), [(x) => [float(np.negative(x!))], [i(3)]]],
  reciprocal: [unary(np.reciprocal)],
  floor: [unary(np.floor)],
  ceil: [unary(np.ceil)],
  sin: [unary(np.sin)],
  cos: [unary(np.cos)],
  asin: [unary((x) => np.arcsin(x.div(10)))],
  atan: [unary(np.arctan)],
  exp: [unary(np.exp)],
  log: [unary((x) => np.log(square(x)))],
  erf: [unary(lax.erf)],
  erfc: [unary(lax.erfc)],
  sqrt: [unary((x) => np.sqrt(square(x)))],
  stop_gradient: [unary((x) => lax.stopGradient(x).add(1))],
  where: [
    unary((x) => np.where(x.ref.less(0), 1, x)),
    binary((x, y) => float(np.where(x.ref.less(0), x, y)), i(3), i(2, 3)),
  ],
  mod: [binary((x, y) => x.mod(y)), binary((x, y) => float(x.mod(y)), i(3, 4), i(4))],
  idiv: [
    binary((x, y) => np.trunc(np.divide(x, y))),
    binary((x, y) => float(np.floorDivide(x, y)), i(9), i(9)),
  ],
  cast: [
    unary((x) => float(np.astype(x, np.int32))),
    unary((x) => float(np.astype(x, np.bool))),
    binary((x, y) => x.add(float(y)), f(3), i(3)),
  ],
  compare: [
    binary((x, y) => float(x.less(y))),
    binary((x, y) => float(x.lessEqual(y)), i(4), i(4)),
    binary((x, y) => float(x.equal(y)), i(9), i(9)),
    binary((x, y) => float(x.notEqual(y)), i(9), i(9)),
    binary((x, y) => float(x.less(y)), i(9), f(9)),
  ],
  transpose: [
    unary((x) => np.transpose(x)),
    [(x) => [np.transpose(x!, [2, 0, 1]).add(1)], [f(2, 3, 4)]],
  ],
  reshape: [
    [(x) => [np.transpose(x!, [1, 0, 2]).reshape([3, 8]).add(1)], [f(2, 3, 4)]],
    [(x) => [np.transpose(x!).reshape([2, 6]).add(1)], [f(3, 4)]],
    [
      (x) => [
        np
          .broadcastTo(x!.reshape([3, 1]), [3, 4])
          .reshape([12])
          .add(1),
      ],
      [f(3)],
    ],
  ],
  broadcast: [
    [(x) => [np.broadcastTo(x!, [2, 3, 4])], [f(3, 4)]],
    [(x) => [np.broadcastTo(x!.reshape([3, 1]), [3, 4])], [f(3)]],
  ],
  reduce: [
    [(x) => [np.sum(x!, [0, 2])], [f(2, 3, 4)]],
    [(x) => [np.sum(x!, 0)], [f(5, 4)]],
    [(x) => [np.max(x!, 1)], [f(5, 4)]],
    [(x) => [np.min(x!, 0)], [f(5, 4)]],
    [(x) => [np.prod(x!, 1)], [f(5, 4)]],
    [(x) => [np.sum(np.broadcastTo(x!, [7, 3]), 0)], [f(3)]],
    [(x) => [np.prod(np.broadcastTo(x!, [7, 3]), 0)], [f(3)]],
    [(x) => [np.max(np.broadcastTo(x!, [7, 3]), 0)], [f(3)]],
    [(x) => [float(np.sum(x!, 0))], [i(5, 4)]],
  ],
  dot: [
    binary(np.matmul, f(5, 3), f(3, 4)),
    binary((x, y) => np.matmul(np.transpose(x), np.transpose(y)), f(3, 5), f(4, 3)),
    binary(np.matmul, f(2, 5, 3), f(2, 3, 4)),
    binary((x, y) => np.matmul(x, np.transpose(y, [0, 2, 1])), f(2, 5, 3), f(2, 4, 3)),
    binary(np.matmul, f(2, 3, 4, 5), f(5, 2)),
    binary(np.matmul, f(1, 3), f(3, 4)),
    binary(np.matmul, f(5, 1), f(1, 4)),
    binary(np.matmul, f(3), f(3)),
    binary((x, y) => float(np.matmul(x, y)), i(5, 3), i(3, 4)),
  ],
  shrink: [
    [(x) => [x!.slice([1, 3], [0, 1])], [f(4, 3)]],
    [(x) => [np.broadcastTo(x!, [7, 3]).slice([2, 5]).add(1)], [f(3)]],
  ],
  flip: [
    [(x) => [np.flip(x!, 0)], [f(4, 3)]],
    [(x) => [np.flip(np.transpose(x!)).add(1)], [f(4, 3)]],
  ],
  pad: [
    [
      (x) => [
        np.pad(np.transpose(x!), [
          [1, 0],
          [0, 2],
        ]),
      ],
      [f(4, 3)],
    ],
  ],
  concatenate: [binary((x, y) => np.concatenate([x, y.ref, y], 1), f(3, 2), f(3, 4))],
  split: [
    [
      (x) => {
        const [a, b] = np.split(np.transpose(x!), [1], 0);
        return [b!.add(a!)];
      },
      [f(4, 3)],
    ],
  ],
  conv: [
    binary((x, w) => lax.conv(x, w, [1, 1], "SAME"), f(2, 3, 6, 5), f(4, 3, 3, 3)),
    binary((x, w) => lax.conv(x, w, [2], "VALID"), f(2, 3, 9), f(4, 3, 3)),
    binary((x, w) => lax.conv(x, w, [1, 1, 1], "SAME"), f(2, 2, 4, 3, 3), f(3, 2, 2, 3, 2)),
    binary((x, w) => grouped(x, w, 2, 3), f(2, 6, 7, 7), f(6, 2, 3, 3)),
    ...[1, 2].flatMap((stride) =>
      (["SAME", "VALID"] as const).map((padding): [ArrayFunction, InputSlot[]] => [
        gradients((x, w) => lax.conv(x, w, [stride, stride], padding)),
        [f(2, 3, 8, 7), f(9, 3, 3, 3)],
      ]),
    ),
    [gradients((x, w) => grouped(x, w, 2, 3)), [f(2, 6, 7, 7), f(6, 2, 3, 3)]],
    [gradients((x, w) => grouped(x, w, 1, 9)), [f(2, 9, 5, 5), f(9, 1, 3, 3)]],
    [gradients((x, w) => lax.conv(x, w, [1, 1], "VALID")), [f(2, 9, 4, 4), f(3, 9, 1, 1)]],
    // Cropping on both sides: padding below 0.
    [
      gradients((x, w) =>
        lax.convGeneralDilated(
          x,
          w,
          [1, 1],
          [
            [-1, -2],
            [2, -1],
          ],
        ),
      ),
      [f(2, 3, 8, 7), f(4, 3, 3, 3)],
    ],
    // Spacing that no ConvTranspose expresses: its padding would be negative in front.
    [
      gradients((x, w) =>
        lax.convGeneralDilated(
          x,
          w,
          [1, 1],
          [
            [5, 0],
            [4, 3],
          ],
          { lhsDilation: [2, 3] },
        ),
      ),
      [f(2, 3, 4, 4), f(4, 3, 3, 3)],
    ],
  ],
  pool: [
    [(x) => [windowSums(x!, [2, 2], [2, 2])], [f(2, 3, 6, 5)]],
    [(x) => [windowSums(x!, [3, 2], [2, 1])], [f(2, 3, 7, 5)]],
    [(x) => [windowSums(x!, [1, 1], [2, 3])], [f(2, 6, 5)]],
    [(x) => [windowSums(x!, [3], [4])], [f(2, 12)]],
    [(x) => [windowMaxima(x!, [3, 3], [2, 2])], [f(2, 3, 7, 8)]],
  ],
  pool_transpose: [
    [gradient((x) => windowSums(x, [2, 2], [2, 2])), [f(2, 3, 6, 5)]],
    [gradient((x) => windowSums(x, [3, 2], [2, 1])), [f(2, 3, 7, 5)]],
    [gradient((x) => windowSums(x, [1, 1], [2, 3])), [f(2, 6, 5)]],
    [gradient((x) => windowSums(x, [3], [4])), [f(2, 12)]],
    [gradient((x) => windowMaxima(x, [3, 3], [2, 2])), [f(2, 3, 7, 8)]],
    [gradient((x) => windowMaxima(x, [2, 2], [2, 2])), [f(2, 3, 6, 6)]],
  ],
  gather: [
    binary((x, at) => x.slice(index(at, 5)), f(5, 3), i(2, 4)),
    binary((x, at) => x.slice([], index(at, 3)), f(5, 3), i(4)),
    binary((x, at) => x.slice(index(at.ref, 5), index(at, 3)), f(5, 3, 2), i(4)),
    binary(
      (x, at) => x.slice(index(at.ref.reshape([4, 1]), 5), [], index(at, 2)),
      f(5, 3, 2),
      i(4),
    ),
    binary((x, at) => np.transpose(x).slice(index(at, 3)), f(5, 3), i(4)),
  ],
  scatter: [
    [gradient((x, at) => x.slice(index(at!, 5))), [f(5, 3), i(2, 4)]],
    [gradient((x, at) => x.slice([], index(at!, 3))), [f(5, 3), i(4)]],
    [
      gradient((x, at) => x.slice(index(at!.ref.reshape([4, 1]), 5), [], index(at!, 2))),
      [f(5, 3, 2), i(4)],
    ],
  ],
  sort: [
    unary((x) => np.sort(x)),
    unary((x) => np.sort(x, 0)),
    [(x) => [float(np.sort(x!))], [i(9)]],
  ],
  argsort: [
    unary((x) => float(np.argsort(x))),
    // Nine integers of eight values: equal ones keep their order.
    [(x) => [float(np.argsort(x!))], [i(9)]],
    [gradient((x) => np.sort(x)), [f(3, 4)]],
  ],
  bit_combine: [
    binary((x, y) => float(np.bitwiseAnd(x, y)), i(9), i(9)),
    binary((x, y) => float(np.bitwiseOr(x, y)), i(9), i(9)),
    binary((x, y) => float(np.bitwiseXor(x, y)), i(9), i(9)),
    binary((x, y) => float(np.bitwiseAnd(x.less(0), y.less(0)))),
    binary((x, y) => float(np.bitwiseXor(x.less(0), y.less(0)))),
  ],
  bit_shift: [
    [(x) => [float(np.leftShift(x!, whole(3)))], [i(9)]],
    [(x) => [float(np.rightShift(np.astype(x!, np.uint32), whole(3)))], [i(9)]],
  ],
  bitcast: [[(x) => [float(lax.bitcastConvertType(x!, np.uint32))], [i(9)]]],
  random_bits: [
    [(k) => [halves(random.bits(np.astype(k!, np.uint32), [3, 5]))], [i(2)]],
    [(k) => [random.uniform(np.astype(k!, np.uint32), [50])], [i(2)]],
    [(k) => [float(random.bernoulli(np.astype(k!, np.uint32), 0.3, [50]))], [i(2)]],
  ],
};

describe("every lowering rule", () => {
  test("has a case here", () => {
    expect(Object.keys(CASES).sort()).toEqual(Object.keys(RULES).sort());
  });

  test.each(Object.keys(CASES))("%s computes what jax-js computes", async (primitive) => {
    for (const [call, slots] of CASES[primitive]!) {
      const traced = traceArrays(call, slots).equations.map((equation) => equation.primitive);
      expect(traced).toContain(primitive);
      const { lowered, optimized, jax } = await runEveryWay(call, slots);
      // One or two float32 operations an element; the approximations of exp, erf, ... differ by some ULP.
      const tolerance = 2e-6;
      jax.forEach((expected, index) => {
        expectClose(lowered[index]!, expected, tolerance, `${primitive}, lowered`);
        expectClose(optimized[index]!, expected, tolerance, `${primitive}, optimised`);
      });
    }
  });
});

describe("lowering", () => {
  const ops = async (call: ArrayFunction, slots: InputSlot[]) =>
    (await runEveryWay(call, slots)).graph.nodes.map(({ op }) => op);

  test("a product of broadcast and transposed operands is one Gemm", async () => {
    const affine: ArrayFunction = (x, w, b) => [np.matmul(x!, np.transpose(w!)).add(b!)];
    expect(await ops(affine, [f(5, 3), f(4, 3), f(4)])).toEqual(["Gemm"]);
  });

  test("a batched product is one FusedMatMul", async () => {
    const call: ArrayFunction = (x, y) => [np.matmul(x!, np.transpose(y!, [0, 2, 1]))];
    expect(await ops(call, [f(2, 5, 3), f(2, 4, 3)])).toEqual(["FusedMatMul"]);
  });

  test("broadcasts, transposes and unit axes of an elementwise chain cost no node", async () => {
    const call: ArrayFunction = (x, m) => {
      const centered = np.transpose(x!).sub(m!.reshape([3, 1]));
      return [np.transpose(np.exp(centered))];
    };
    expect(await ops(call, [f(4, 3), f(3)])).toEqual(["Sub", "Exp"]);
  });

  test("a primitive without a rule is refused by name", () => {
    const program = traceArrays((x) => [np.linalg.cholesky(x!)], [f(4, 4)]);
    expect(() => lower(program)).toThrow(
      'compile: backend "cpu" must have a lowering rule for every primitive, got "cholesky"; pass backend: "jax" or leave out fallback: false',
    );
    const any = traceArrays((x) => [float(np.any(x!.less(0)))], [f(4)]);
    expect(() => lower(any)).toThrow(
      'got "reduce" (infer: inputs must be float32 or int32, got bool); pass',
    );
  });
});
