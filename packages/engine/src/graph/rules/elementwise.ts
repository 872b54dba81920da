/** Rules of the primitives that compute each element from the elements at its place. */

import type { DType, Equation } from "../../trace/program.ts";
import type { GraphBuilder } from "../builder.ts";
import { ELEMENT_TYPE, type OpName } from "../ops/index.ts";
import { elementwise, type View } from "../views.ts";
import { at, type Rule, type RuleTable } from "./rule.ts";

const op =
  (name: OpName): Rule =>
  (builder, inputs) => [elementwise(builder, name, inputs)];

/** jax-js adds and multiplies truth values too: `or` and `and`. */
const arithmetic =
  (name: OpName, ofBool: OpName): Rule =>
  (builder, inputs) => [
    elementwise(builder, at(inputs, 0).tensor.dtype === "bool" ? ofBool : name, inputs),
  ];

const COMPARISONS: Readonly<Record<string, OpName>> = {
  less: "Less",
  less_equal: "LessOrEqual",
  equal: "Equal",
};

export const ELEMENTWISE: RuleTable = {
  add: arithmetic("Add", "Or"),
  mul: arithmetic("Mul", "And"),
  max: arithmetic("Max", "Or"),
  min: arithmetic("Min", "And"),
  neg: op("Neg"),
  reciprocal: op("Reciprocal"),
  floor: op("Floor"),
  ceil: op("Ceil"),
  sin: op("Sin"),
  cos: op("Cos"),
  asin: op("Asin"),
  atan: op("Atan"),
  exp: op("Exp"),
  log: op("Log"),
  erf: op("Erf"),
  sqrt: op("Sqrt"),
  where: op("Where"),
  stop_gradient: (_, inputs) => [at(inputs, 0)],
  // erfc(x) = 1 - erf(x): absolute accuracy only, where erfc itself is small.
  erfc: (builder, inputs) => [
    elementwise(builder, "Sub", [scalar(builder, 1), elementwise(builder, "Erf", inputs)]),
  ],
  mod: (builder, inputs) => [elementwise(builder, "Mod", inputs, { fmod: 1 })],
  idiv: (builder, inputs) => {
    const quotient = elementwise(builder, "Div", inputs);
    return [quotient.tensor.dtype === "float32" ? truncate(builder, quotient) : quotient];
  },
  cast: (builder, inputs, { params }) => [
    cast(builder, at(inputs, 0), params["dtype"] as DType), // jax-js's cast has no other
  ],
  compare: (builder, inputs, equation) => {
    if (comparison(equation) === "not_equal") {
      return [elementwise(builder, "Not", [elementwise(builder, "Equal", inputs)])];
    }
    const name = COMPARISONS[comparison(equation)];
    if (name === undefined) {
      throw new Error(`lower: compare must be a known comparison, got ${comparison(equation)}`);
    }
    return [elementwise(builder, name, inputs)];
  },
};

export function cast(builder: GraphBuilder, view: View, dtype: DType): View {
  return view.tensor.dtype === dtype
    ? view
    : elementwise(builder, "Cast", [view], { to: ELEMENT_TYPE[dtype] });
}

/** A float32 literal as a view. */
export function scalar(builder: GraphBuilder, value: number): View {
  return { tensor: builder.scalar(value, "float32"), shape: [], axes: [] };
}

/** Towards zero: sign(x) floor(|x|). */
function truncate(builder: GraphBuilder, view: View): View {
  const magnitude = elementwise(builder, "Floor", [elementwise(builder, "Abs", [view])]);
  return elementwise(builder, "Mul", [elementwise(builder, "Sign", [view]), magnitude]);
}

function comparison({ params }: Equation): string {
  return String(params["op"]);
}
