/** Lowering: a traced program becomes a graph, one rule an equation. */

import { UnsupportedOpError } from "../errors.ts";
import type { Equation, Operand, Program, Variable } from "../trace/program.ts";
import { GraphBuilder, type Target } from "./builder.ts";
import type { ConstantData, Graph } from "./ir.ts";
import { RULES } from "./rules/index.ts";
import { broadcastTo, flatData, type View, viewOf } from "./views.ts";

/**
 * The graph of `program`, not yet optimised. Inputs are named `in0`, `in1`, ..., outputs `out0`, ...;
 * an output's data is that of the program's output, its unit axes may differ.
 *
 * @throws UnsupportedOpError for the first primitive without a rule.
 */
export function lower(program: Program, target: Target = "cpu"): Graph {
  const builder = new GraphBuilder(target);
  const views = new Map<Variable, View>();
  program.inputs.forEach((variable, index) => {
    views.set(variable, viewOf(builder.input(`in${index}`, variable)));
  });
  for (const { variable, data } of program.captured) {
    const stored: ConstantData = variable.dtype === "bool" ? Uint8Array.from(data) : data;
    views.set(variable, viewOf(builder.constant(variable, stored)));
  }
  const read = (operand: Operand): View => {
    if (operand.kind === "literal") {
      return { tensor: builder.scalar(operand.value, operand.dtype), shape: [], axes: [] };
    }
    const view = views.get(operand);
    if (view === undefined) {
      throw new Error(
        "lower: equations must be in execution order, got a use before its definition",
      );
    }
    return view;
  };
  for (const equation of program.equations) {
    const results = applyRule(builder, equation, equation.inputs.map(read));
    equation.outputs.forEach((variable, index) => {
      const view = results[index];
      if (view === undefined || view.tensor.dtype !== variable.dtype) {
        throw new Error(
          `lower: ${equation.primitive} must return ${variable.dtype}, got ${view?.tensor.dtype}`,
        );
      }
      views.set(variable, broadcastTo(view, variable.shape));
    });
  }
  return builder.build(
    program.outputs.map((operand, index) => ({
      name: `out${index}`,
      tensor: flatData(builder, broadcastTo(read(operand), operand.shape)),
    })),
  );
}

/** Ops refuse dtypes they do not take with a RangeError: then the primitive has no rule for this use. */
function applyRule(
  builder: GraphBuilder,
  equation: Equation,
  inputs: readonly View[],
): readonly View[] {
  const rule = RULES[equation.primitive];
  if (rule === undefined) {
    throw new UnsupportedOpError(equation.primitive);
  }
  try {
    return rule(builder, inputs, equation);
  } catch (error) {
    throw error instanceof RangeError
      ? new UnsupportedOpError(equation.primitive, { cause: error })
      : error;
  }
}
