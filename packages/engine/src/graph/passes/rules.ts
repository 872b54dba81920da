/**
 * The rewrite rules. Each keeps NaN, infinities and signed zeros where its equation holds in IEEE
 * arithmetic; those that only hold in exact arithmetic say how they round differently.
 */

import { arrayOf } from "../builder.ts";
import type { Attributes, Tensor } from "../ir.ts";
import { int, ints, type OpName } from "../ops/index.ts";
import type { RewriteRule } from "./rewrite.ts";

const addNegative: RewriteRule = {
  name: "add of a negative",
  equation: "a + (-b) = a - b and (-a) + b = b - a, exact",
  apply: ({ op, inputs: [a, b] }, { producer }) => {
    if (op !== "Add" || a === undefined || b === undefined) {
      return undefined;
    }
    const right = producer(b, "Neg")?.inputs[0];
    if (right !== undefined) {
      return { op: "Sub", inputs: [a, right] };
    }
    const left = producer(a, "Neg")?.inputs[0];
    return left === undefined ? undefined : { op: "Sub", inputs: [b, left] };
  },
};

const multiplyReciprocal: RewriteRule = {
  name: "product with a reciprocal",
  equation: "a (1/b) = a/b, rounded once instead of twice; a/b stays finite where 1/b overflows",
  apply: ({ op, inputs: [a, b] }, { producer }) => {
    if (op !== "Mul" || a === undefined || b === undefined) {
      return undefined;
    }
    const right = producer(b, "Reciprocal")?.inputs[0];
    if (right !== undefined) {
      return { op: "Div", inputs: [a, right] };
    }
    const left = producer(a, "Reciprocal")?.inputs[0];
    return left === undefined ? undefined : { op: "Div", inputs: [b, left] };
  },
};

const gemmBias: RewriteRule = {
  name: "bias of a product",
  equation:
    "(A B) + c = A B + c in one Gemm, if the product has no other user and c broadcasts to it",
  apply: ({ op, inputs: [left, right], outputs }, { producer, usedOnce }) => {
    if (op !== "Add" || left === undefined || right === undefined) {
      return undefined;
    }
    const merge = (product: Tensor, bias: Tensor) => {
      const gemm = producer(product, "Gemm");
      const shape = outputs[0]?.shape.join();
      const fits = product.shape.join() === shape && bias.shape.length <= 2;
      return gemm?.inputs.length === 2 && fits && usedOnce(product)
        ? { op: gemm.op, inputs: [...gemm.inputs, bias], attributes: gemm.attributes }
        : undefined;
    };
    return merge(left, right) ?? merge(right, left);
  },
};

const transposeProduct: RewriteRule = {
  name: "transpose of a product",
  equation: "(A B)ᵀ = Bᵀ Aᵀ, if the product has no other user",
  apply: ({ op, inputs: [x], attributes }, { producer, usedOnce }) => {
    const gemm = op === "Transpose" ? producer(x, "Gemm") : undefined;
    const [a, b, c] = gemm?.inputs ?? [];
    const swaps = gemm !== undefined && ints(attributes, "perm").join() === "1,0";
    if (!swaps || a === undefined || b === undefined || c !== undefined || !usedOnce(x as Tensor)) {
      return undefined;
    }
    const flip = (name: string): number => 1 - int(gemm.attributes, name);
    return {
      op: "Gemm",
      inputs: [b, a],
      attributes: { transA: flip("transB"), transB: flip("transA") },
    };
  },
};

const transposedOperand: RewriteRule = {
  name: "product of a transpose",
  equation: "Gemm(Aᵀ, B) = Gemm(A, B) with transA switched, the same for B",
  apply: ({ op, inputs: [a, b, ...bias], attributes }, { producer }) => {
    if (op !== "Gemm" || a === undefined || b === undefined) {
      return undefined;
    }
    // A matrix has two axes: any Transpose of one that Gemm takes swaps them, or does nothing.
    const swapped = (tensor: Tensor): Tensor | undefined => {
      const node = producer(tensor, "Transpose");
      return node !== undefined && ints(node.attributes, "perm").join() === "1,0"
        ? node.inputs[0]
        : undefined;
    };
    const [left, right] = [swapped(a), swapped(b)];
    const flag = (name: string, switched: boolean): number =>
      switched ? 1 - int(attributes, name) : int(attributes, name);
    return left === undefined && right === undefined
      ? undefined
      : {
          op,
          inputs: [left ?? a, right ?? b, ...bias],
          attributes: {
            transA: flag("transA", left !== undefined),
            transB: flag("transB", right !== undefined),
          },
        };
  },
};

const relu: RewriteRule = {
  name: "rectifier",
  equation: "where(x <= 0, 0, x) = Relu(x) and max(x, 0) = Relu(x), NaN included",
  apply: ({ op, inputs, outputs }, { producer, scalar }) => {
    const kept = (x: Tensor | undefined) =>
      x !== undefined && x.dtype === "float32" && x.shape.join() === outputs[0]?.shape.join()
        ? { op: "Relu" as const, inputs: [x] }
        : undefined;
    if (op === "Max") {
      const [a, b] = inputs;
      return scalar(b) === 0 ? kept(a) : scalar(a) === 0 ? kept(b) : undefined;
    }
    const [condition, zero, x] = inputs;
    const [compared, bound] = producer(condition, "LessOrEqual")?.inputs ?? [];
    return op === "Where" && compared === x && scalar(bound) === 0 && scalar(zero) === 0
      ? kept(x)
      : undefined;
  },
};

const reshapeTwice: RewriteRule = {
  name: "reshape of a reshape",
  equation: "reshape(reshape(x, s), t) = reshape(x, t), and x itself if it has shape t",
  apply: ({ op, inputs: [x], attributes, outputs }, { producer }) => {
    if (op !== "Reshape" || x === undefined) {
      return undefined;
    }
    const source = producer(x, "Reshape")?.inputs[0];
    if (x.shape.join() === outputs[0]?.shape.join()) {
      return { same: x };
    }
    return source === undefined ? undefined : { op, inputs: [source], attributes };
  },
};

const sliceTwice: RewriteRule = {
  name: "slice of a slice",
  equation: "x[a : b][c : d : s] = x[a + c : a + d : s], where neither counts from the end",
  apply: ({ op, inputs: [x], attributes }, { producer }) => {
    const inner = op === "Slice" ? producer(x, "Slice") : undefined;
    const [source] = inner?.inputs ?? [];
    if (inner === undefined || source === undefined) {
      return undefined;
    }
    const outerCuts = cutsOf(attributes);
    const innerCuts = cutsOf(inner.attributes);
    const counted = [...outerCuts.values(), ...innerCuts.values()].every(
      ({ start, end, step }) => start >= 0 && end >= 0 && step > 0,
    );
    if (!counted || ![...innerCuts.values()].every(({ step }) => step === 1)) {
      return undefined;
    }
    const axes = [...new Set([...innerCuts.keys(), ...outerCuts.keys()])];
    const cuts = axes.map((axis) => {
      const [before, after] = [innerCuts.get(axis), outerCuts.get(axis)];
      const shift = before?.start ?? 0;
      return after === undefined
        ? (before as Cut) // one of the two has the axis
        : {
            start: shift + after.start,
            end: Math.min(shift + after.end, before?.end ?? Number.POSITIVE_INFINITY),
            step: after.step,
          };
    });
    return {
      op,
      inputs: [source],
      attributes: {
        starts: cuts.map(({ start }) => start),
        ends: cuts.map(({ end }) => end),
        axes,
        steps: cuts.map(({ step }) => step),
      },
    };
  },
};

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** What a Slice does, by axis. */
function cutsOf(attributes: Attributes): ReadonlyMap<number, Cut> {
  const [starts, ends, steps] = ["starts", "ends", "steps"].map((name) => ints(attributes, name));
  return new Map(
    ints(attributes, "axes").map((axis, i) => [
      axis,
      { start: starts?.[i] as number, end: ends?.[i] as number, step: steps?.[i] as number },
    ]),
  );
}

/** Exact in IEEE float32: a float64 sum, difference, product or quotient rounds to the same float32. */
const SCALAR_ARITHMETIC: Readonly<Partial<Record<OpName, (a: number, b: number) => number>>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Neg: (a) => -a,
  Reciprocal: (a) => 1 / a,
};

const foldScalars: RewriteRule = {
  name: "arithmetic of known scalars",
  equation: "op(a, b) is computed now if a and b are known, exact",
  apply: ({ op, inputs, outputs }, { scalar }) => {
    const compute = SCALAR_ARITHMETIC[op];
    const [a, b = 0] = inputs.map(scalar);
    const known = inputs.every((input) => scalar(input) !== undefined);
    return compute === undefined || a === undefined || !known || outputs[0]?.dtype !== "float32"
      ? undefined
      : { constant: arrayOf("float32", compute(a, b)) };
  },
};

export const REWRITE_RULES: readonly RewriteRule[] = [
  foldScalars,
  addNegative,
  multiplyReciprocal,
  relu,
  transposedOperand,
  transposeProduct,
  gemmBias,
  reshapeTwice,
  sliceTwice,
];
