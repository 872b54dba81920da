/** Rows of ops that compute each element from the elements at its place. */

import type { Value } from "../../trace/value.ts";
import { type Call, type Operand, type Row, type RowTable, valueOf } from "../call.ts";
import { kindOfElement } from "../file.ts";
import { Known, type KnownType } from "../known.ts";

type OnHost = (...x: number[]) => number;

/** `trace` in the graph; on the host where all operands are known and `onHost` is given. */
function pointwise(
  inputs: number,
  trace: (call: Call, ...x: Value[]) => Value,
  onHost?: OnHost,
  result?: KnownType,
): Row {
  return {
    arity: [inputs, inputs],
    run: (call) => {
      const operands = call.inputs.map((_, i) => call.operand(i));
      if (onHost !== undefined && allKnown(operands)) {
        const dtype = result ?? (operands.at(-1) as Known).dtype; // at least one input
        return Known.pointwise(dtype, onHost, operands);
      }
      return trace(call, ...operands.map(valueOf));
    },
  };
}

const unary = (trace: (x: Value) => Value, onHost?: OnHost): Row =>
  pointwise(1, (_, x) => trace(x as Value), onHost); // arity was checked

const binary = (trace: (a: Value, b: Value) => Value, onHost?: OnHost, result?: KnownType): Row =>
  pointwise(2, (_, a, b) => trace(a as Value, b as Value), onHost, result); // arity was checked

/** With attributes. */
const shaped = (trace: (call: Call, x: Value) => Value): Row =>
  pointwise(1, (call, x) => trace(call, x as Value)); // arity was checked

/** Any number of operands. */
function folded(
  pair: (a: Value, b: Value) => Value,
  onHost: (a: number, b: number) => number,
): Row {
  return {
    arity: [1, Number.POSITIVE_INFINITY],
    run: (call) => {
      const operands = call.inputs.map((_, i) => call.operand(i));
      return allKnown(operands)
        ? Known.pointwise(
            operands[0]?.dtype ?? "float32",
            (...x) => x.reduce((a, b) => onHost(a, b)),
            operands,
          )
        : operands.map(valueOf).reduce(pair);
    },
  };
}

function allKnown(operands: readonly Operand[]): operands is readonly Known[] {
  return operands.every((operand) => operand instanceof Known);
}

/** log(1 + exp x), in the form that does not overflow. */
function softplus(x: Value): Value {
  return x.relu().add(x.abs().neg().exp().add(1).log());
}

/** exp(x) − 1 where x < 0; elsewhere x is kept from overflowing, as its gradient is taken too. */
function expm1Below(x: Value): Value {
  return x.minimum(0).exp().sub(1);
}

function hardSigmoid(x: Value, alpha: number, beta: number): Value {
  return x.mul(alpha).add(beta).maximum(0).minimum(1);
}

const GELU_TANH = Math.sqrt(2 / Math.PI);

function gelu(call: Call, x: Value): Value {
  if (call.text("approximate", "none") === "none") {
    return x.gelu();
  }
  const cube = x.square().mul(x).mul(0.044715);
  return x.mul(x.add(cube).mul(GELU_TANH).tanh().add(1)).mul(0.5);
}

/** Bounds are attributes before opset 11, inputs from then on; each may be left out. */
const clip: Row = {
  arity: [1, 3],
  known: [1, 2],
  run: (call) => {
    const x = call.value(0);
    const bound = (name: string, index: number): Value | number | undefined =>
      call.opset < 11
        ? call.node.attributes.has(name)
          ? call.float(name)
          : undefined
        : call.has(index)
          ? call.value(index)
          : undefined;
    const [least, most] = [bound("min", 1), bound("max", 2)];
    const raised = least === undefined ? x : x.maximum(least);
    return most === undefined ? raised : raised.minimum(most);
  },
};

/** x^y for the exponents that models have; others as exp(y log x). */
function pow(x: Value, y: Operand): Value {
  const exponent = y instanceof Known && y.data.length === 1 ? y.data[0] : undefined;
  switch (exponent) {
    case 1:
      return x;
    case 2:
      return x.square();
    case 3:
      return x.square().mul(x);
    case 0.5:
      return x.sqrt();
    case -0.5:
      return x.sqrt().reciprocal();
    case -1:
      return x.reciprocal();
    default:
      return x.log().mul(valueOf(y)).exp();
  }
}

function requireFloat(call: Call, ...operands: readonly Value[]): void {
  const other = operands.find(({ dtype }) => dtype === "int32" || dtype === "bool");
  if (other !== undefined) {
    throw call.fail(`operands in the traced graph must be float32, got ${other.dtype}`);
  }
}

const onlyKnown = (inputs: number, onHost: OnHost, result?: KnownType): Row => ({
  arity: [inputs, inputs],
  known: Array.from({ length: inputs }, (_, i) => i),
  run: (call) => {
    const operands = call.inputs.map((_, i) => call.known(i));
    return Known.pointwise(result ?? (operands[0] as Known).dtype, onHost, operands);
  },
});

export const ELEMENTWISE: RowTable = {
  Abs: unary((x) => x.abs(), Math.abs),
  Ceil: unary((x) => x.ceil(), Math.ceil),
  Cos: unary((x) => x.cos()),
  Erf: unary((x) => x.erf()),
  Exp: unary((x) => x.exp()),
  Floor: unary((x) => x.floor(), Math.floor),
  HardSwish: unary((x) => x.mul(hardSigmoid(x, 1 / 6, 0.5))),
  Identity: { arity: [1, 1], run: (call) => call.operand(0) },
  Log: unary((x) => x.log()),
  Mish: unary((x) => x.mul(softplus(x).tanh())),
  Neg: unary(
    (x) => x.neg(),
    (x) => -x,
  ),
  Not: unary(
    (x) => x.not(),
    (x) => Number(x === 0),
  ),
  Reciprocal: unary(
    (x) => x.reciprocal(),
    (x) => 1 / x,
  ),
  Relu: unary(
    (x) => x.relu(),
    (x) => Math.max(x, 0),
  ),
  Sigmoid: unary((x) => x.sigmoid()),
  Sign: unary((x) => x.sign(), Math.sign),
  Sin: unary((x) => x.sin()),
  Softplus: unary(softplus),
  Softsign: unary((x) => x.div(x.abs().add(1))),
  Sqrt: unary((x) => x.sqrt(), Math.sqrt),
  Tanh: unary((x) => x.tanh()),

  Celu: shaped((call, x) => {
    const alpha = call.float("alpha", 1);
    return x.relu().add(expm1Below(x.mul(1 / alpha)).mul(alpha));
  }),
  Clip: clip,
  Elu: shaped((call, x) => x.relu().add(expm1Below(x).mul(call.float("alpha", 1)))),
  Gelu: shaped(gelu),
  HardSigmoid: shaped((call, x) =>
    hardSigmoid(x, call.float("alpha", 0.2), call.float("beta", 0.5)),
  ),
  LeakyRelu: shaped((call, x) => x.less(0).select(x.mul(call.float("alpha", 0.01)), x)),
  Selu: shaped((call, x) => {
    const alpha = call.float("alpha", 1.67326319217681884765625);
    return x
      .relu()
      .add(expm1Below(x).mul(alpha))
      .mul(call.float("gamma", 1.05070102214813232421875));
  }),
  Swish: shaped((call, x) => x.mul(x.mul(call.float("alpha", 1)).sigmoid())),
  ThresholdedRelu: shaped((call, x) => x.lessEqual(call.float("alpha", 1)).select(0, x)),

  Add: binary(
    (a, b) => a.add(b),
    (a, b) => a + b,
  ),
  And: binary(
    (a, b) => a.and(b),
    (a, b) => a * b,
  ),
  Div: pointwise(
    2,
    (call, a, b) => {
      requireFloat(call, a as Value, b as Value);
      return (a as Value).div(b as Value);
    },
    (a, b) => a / b,
  ),
  Equal: binary(
    (a, b) => a.equal(b),
    (a, b) => Number(a === b),
    "bool",
  ),
  Greater: binary(
    (a, b) => b.less(a),
    (a, b) => Number(a > b),
    "bool",
  ),
  GreaterOrEqual: binary(
    (a, b) => b.lessEqual(a),
    (a, b) => Number(a >= b),
    "bool",
  ),
  Less: binary(
    (a, b) => a.less(b),
    (a, b) => Number(a < b),
    "bool",
  ),
  LessOrEqual: binary(
    (a, b) => a.lessEqual(b),
    (a, b) => Number(a <= b),
    "bool",
  ),
  Mod: onlyKnown(2, (a, b) => a - b * Math.floor(a / b)),
  Mul: binary(
    (a, b) => a.mul(b),
    (a, b) => a * b,
  ),
  Or: binary((a, b) => a.or(b), Math.max),
  PRelu: binary((x, slope) => x.less(0).select(x.mul(slope), x)),
  Pow: {
    arity: [2, 2],
    known: [1],
    run: (call) => {
      const [x, y] = [call.operand(0), call.operand(1)];
      return x instanceof Known && y instanceof Known
        ? Known.pointwise(x.dtype, (a, b) => (a as number) ** (b as number), [x, y])
        : pow(valueOf(x), y);
    },
  },
  Sub: binary(
    (a, b) => a.sub(b),
    (a, b) => a - b,
  ),
  Where: pointwise(
    3,
    (_, condition, a, b) => (condition as Value).select(a as Value, b as Value),
    (condition, a, b) => (condition === 0 ? (b as number) : (a as number)),
  ),

  Max: folded((a, b) => a.maximum(b), Math.max),
  Mean: {
    arity: [1, Number.POSITIVE_INFINITY],
    run: (call) =>
      call.inputs
        .map((_, i) => call.value(i))
        .reduce((a, b) => a.add(b))
        .mul(1 / call.inputs.length),
  },
  Min: folded((a, b) => a.minimum(b), Math.min),
  Sum: folded(
    (a, b) => a.add(b),
    (a, b) => a + b,
  ),

  Cast: {
    arity: [1, 1],
    run: (call) => {
      const dtype = kindOfElement(call.int("to"));
      if (dtype === undefined) {
        throw call.fail(
          `\`to\` must be float32, an integer type or bool, got element type ${call.int("to")}`,
        );
      }
      const x = call.operand(0);
      return x.dtype === dtype ? x : x.cast(dtype);
    },
  },
  /** As in evaluation: exported models have none, or mean none. */
  Dropout: {
    arity: [1, 3],
    known: [1, 2],
    run: (call) => {
      if (call.outputs > 1) {
        throw call.fail("the mask must not be read, got a reader of output 1");
      }
      return call.operand(0);
    },
  },
};
