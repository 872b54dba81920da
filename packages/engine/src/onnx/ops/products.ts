/** Rows of matrix products and reductions. */

import type { ReduceOptions, Value } from "../../trace/value.ts";
import { type Call, type Row, type RowTable, wrapAxes } from "../call.ts";
import { Known } from "../known.ts";

/** α A B + β C, A and B transposed on request. */
const gemm: Row = {
  arity: [2, 3],
  run: (call) => {
    const oriented = (index: number, flag: string): Value => {
      const matrix = call.value(index);
      if (matrix.shape.length !== 2) {
        throw call.fail(`operands must be matrices, got shape [${matrix.shape.join(", ")}]`);
      }
      return call.int(flag, 0) === 0 ? matrix : matrix.transpose([1, 0]);
    };
    const [alpha, beta] = [call.float("alpha", 1), call.float("beta", 1)];
    const product = scaled(oriented(0, "transA").matmul(oriented(1, "transB")), alpha);
    return call.has(2) && beta !== 0 ? product.add(scaled(call.value(2), beta)) : product;
  },
};

function scaled(x: Value, factor: number): Value {
  return factor === 1 ? x : x.mul(factor);
}

type OnHost = (a: number, b: number) => number;

/** Axes are an attribute before opset `inputFrom`, an input from then on. */
function reduction(
  inputFrom: number,
  reduce: (x: Value, options: ReduceOptions) => Value,
  onHost?: OnHost,
): Row {
  return {
    arity: [1, 2],
    known: [1],
    run: (call) => {
      const x = call.operand(0);
      const rank = x.shape.length;
      const stated = call.opset < inputFrom ? call.ints("axes") : call.integers("axes", 1);
      const none = stated === undefined || stated.length === 0;
      if (none && call.int("noop_with_empty_axes", 0) !== 0) {
        return x;
      }
      const axis = none ? x.shape.map((_, i) => i) : wrapAxes(call, stated, rank);
      const keepDims = call.int("keepdims", 1) !== 0;
      if (onHost !== undefined && x instanceof Known) {
        const kept = x.reduce(axis, onHost);
        return keepDims ? kept : kept.reshape(kept.shape.filter((_, i) => !axis.includes(i)));
      }
      return rank === 0 ? x : reduce(call.value(0), { axis, keepDims });
    },
  };
}

/** m + log Σ exp(x − m), m = max x: its gradient does not depend on m. */
function logSumExp(x: Value, { axis, keepDims }: ReduceOptions): Value {
  const m = x.max({ axis: axis as number[], keepDims: true }).stopGradient();
  const sum = x
    .sub(m)
    .exp()
    .sum({ axis: axis as number[], keepDims: true })
    .log()
    .add(m);
  const axes = axis as readonly number[]; // as `reduction` passes it
  return keepDims === true ? sum : sum.reshape(x.shape.filter((_, i) => !axes.includes(i)));
}

export const PRODUCTS: RowTable = {
  Gemm: gemm,
  MatMul: { arity: [2, 2], run: (call: Call) => call.value(0).matmul(call.value(1)) },
  ReduceL1: reduction(18, (x, options) => x.abs().sum(options)),
  ReduceL2: reduction(18, (x, options) => x.square().sum(options).sqrt()),
  ReduceLogSum: reduction(18, (x, options) => x.sum(options).log()),
  ReduceLogSumExp: reduction(18, logSumExp),
  ReduceMax: reduction(18, (x, options) => x.max(options), Math.max),
  ReduceMean: reduction(18, (x, options) => x.mean(options)),
  ReduceMin: reduction(18, (x, options) => x.min(options), Math.min),
  ReduceProd: reduction(
    18,
    (x, options) => x.prod(options),
    (a, b) => a * b,
  ),
  ReduceSum: reduction(
    13,
    (x, options) => x.sum(options),
    (a, b) => a + b,
  ),
  ReduceSumSquare: reduction(18, (x, options) => x.square().sum(options)),
};
