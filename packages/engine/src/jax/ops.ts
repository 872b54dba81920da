/** jax-js as the array library of programs. */

import { type Array as JaxArray, lax, numpy as np } from "@jax-js/jax";
import { type ArrayOps, axesOf, type Over, type Value } from "../arrays/ops.ts";

export interface OwnedOps {
  readonly ops: ArrayOps<JaxArray>;
  /** Takes over a reference that `dispose` gives back. */
  own(array: JaxArray): JaxArray;
  /** Gives back every result of `ops`; whoever keeps one has taken a `.ref` before. */
  dispose(): void;
}

/**
 * Operations that lend jax-js a reference of each operand and own each result, so that a value may be used any
 * number of times, or not at all.
 */
export function ownedOps(): OwnedOps {
  const owned: JaxArray[] = [];
  const own = (array: JaxArray): JaxArray => {
    owned.push(array);
    return array;
  };
  const lend = (value: Value<JaxArray>): JaxArray | number =>
    typeof value === "number" ? value : value.ref;
  const unary = (f: (a: JaxArray) => JaxArray) => (a: JaxArray) => own(f(a.ref));
  const binary =
    (f: (a: JaxArray | number, b: JaxArray | number) => JaxArray) =>
    (a: Value<JaxArray>, b: Value<JaxArray>) =>
      own(f(lend(a), lend(b)));
  const logic = (f: (a: JaxArray, b: JaxArray) => JaxArray) => (a: JaxArray, b: JaxArray) =>
    own(f(a.ref, b.ref));

  const ops: ArrayOps<JaxArray> = {
    roundoff: 2 ** -24,
    neg: unary(np.negative),
    abs: unary(np.absolute),
    sqrt: unary(np.sqrt),
    floor: unary(np.floor),
    exp: unary(np.exp),
    expm1: unary(np.expm1),
    log: unary(np.log),
    tanh: unary(np.tanh),
    erf: unary(lax.erf),
    add: binary(np.add),
    sub: binary(np.subtract),
    mul: binary(np.multiply),
    div: binary(np.divide),
    min: binary(np.minimum),
    max: binary(np.maximum),
    pow: binary(np.power),
    lt: binary(np.less),
    le: binary(np.lessEqual),
    eq: binary(np.equal),
    and: logic(np.logicalAnd),
    or: logic(np.logicalOr),
    not: unary(np.logicalNot),
    select: (cond, a, b) => own(np.where(cond.ref, lend(a), lend(b))),
    total: (a, over) => own(reduced(np.sum, a.ref, over)),
    largest: (a, over) => own(reduced(np.max, a.ref, over)),
    product: (a, b, transposed) => {
      const [left, right] = [a.ref, b.ref];
      return own(
        np.matmul(
          transposed === "a" ? np.transpose(left) : left,
          transposed === "b" ? np.transpose(right) : right,
        ),
      );
    },
    reshape: (a, shape) => own(np.reshape(a.ref, [...shape])),
    spread: (a, shape) => own(np.broadcastTo(a.ref, [...shape])),
    sizeOf: (a) => a.size,
  };
  return {
    ops,
    own,
    dispose: () => {
      for (const array of owned.splice(0)) {
        array.dispose();
      }
    },
  };
}

function reduced(
  reduce: (a: JaxArray, axes: number[], options: { keepdims: boolean }) => JaxArray,
  a: JaxArray,
  over: Over,
): JaxArray {
  const axes = axesOf(a.ndim, over);
  return axes.length === 0 ? a : reduce(a, axes, { keepdims: over !== "tensor" });
}
