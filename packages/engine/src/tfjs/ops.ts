/** TensorFlow.js as the array library of programs. */

import * as tf from "@tensorflow/tfjs-core";
import { type ArrayOps, axesOf, type Over, type Value } from "../arrays/ops.ts";

/** What a step makes inside a `tidy`, and how it gets out. */
export interface TidyOps {
  readonly ops: ArrayOps<tf.Tensor>;
  /** The value as a tensor of the shape, of its own and kept beyond the `tidy`. */
  readonly take: (value: Value<tf.Tensor>, shape: readonly number[]) => tf.Tensor;
}

/**
 * Operations to be run inside `tidy`. `take` hands a tensor out once and clones it after that, as it clones what
 * was not made here: a kept tensor is disposed of by its keeper, so no two keepers may share one.
 */
export function tidyOps(): TidyOps {
  const made = new Set<tf.Tensor>();
  const make = (tensor: tf.Tensor): tf.Tensor => {
    made.add(tensor);
    return tensor;
  };
  const unary = (f: (a: tf.Tensor) => tf.Tensor) => (a: tf.Tensor) => make(f(a));
  const binary =
    (f: (a: tf.Tensor | number, b: tf.Tensor | number) => tf.Tensor) =>
    (a: Value<tf.Tensor>, b: Value<tf.Tensor>) =>
      make(f(a, b));
  const ops: ArrayOps<tf.Tensor> = {
    roundoff: 2 ** -24,
    neg: unary(tf.neg),
    abs: unary(tf.abs),
    sqrt: unary(tf.sqrt),
    floor: unary(tf.floor),
    exp: unary(tf.exp),
    expm1: unary(tf.expm1),
    log: unary(tf.log),
    tanh: unary(tf.tanh),
    erf: unary(tf.erf),
    add: binary(tf.add),
    sub: binary(tf.sub),
    mul: binary(tf.mul),
    div: binary(tf.div),
    min: binary(tf.minimum),
    max: binary(tf.maximum),
    pow: binary((a, b) => tf.pow(a, b)),
    lt: binary(tf.less),
    le: binary(tf.lessEqual),
    eq: binary(tf.equal),
    and: (a, b) => make(tf.logicalAnd(a, b)),
    or: (a, b) => make(tf.logicalOr(a, b)),
    not: unary((a) => tf.logicalNot(a)),
    select: (cond, a, b) => make(tf.where(cond, a, b)),
    total: (a, over) => make(reduced(tf.sum, a, over)),
    largest: (a, over) => make(reduced(tf.max, a, over)),
    product: (a, b, transposed) => make(tf.matMul(a, b, transposed === "a", transposed === "b")),
    reshape: (a, shape) => make(tf.reshape(a, [...shape])),
    spread: (a, shape) => make(tf.broadcastTo(a, [...shape] as tf.Tensor["shape"])),
    sizeOf: (a) => a.size,
  };
  const take = (value: Value<tf.Tensor>, shape: readonly number[]): tf.Tensor => {
    if (typeof value === "number") {
      return tf.keep(tf.fill([...shape], value));
    }
    if (!tf.util.arraysEqual(value.shape, [...shape])) {
      return tf.keep(tf.broadcastTo(value, [...shape] as tf.Tensor["shape"]));
    }
    return tf.keep(made.delete(value) ? value : tf.clone(value));
  };
  return { ops, take };
}

function reduced(
  reduce: (a: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor,
  a: tf.Tensor,
  over: Over,
): tf.Tensor {
  const axes = axesOf(a.rank, over);
  return axes.length === 0 ? tf.clone(a) : reduce(a, axes, over !== "tensor");
}
