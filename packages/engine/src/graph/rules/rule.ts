/** A lowering rule: one jax-js primitive as views and graph ops. */

import type { Equation } from "../../trace/program.ts";
import type { GraphBuilder } from "../builder.ts";
import type { View } from "../views.ts";

/** Returns one view per output of the equation, with the shape the equation states. */
export type Rule = (
  builder: GraphBuilder,
  inputs: readonly View[],
  equation: Equation,
) => readonly View[];

/** Rules by jax-js primitive. */
export type RuleTable = Readonly<Record<string, Rule>>;

/** The view at `index`; equations of a known primitive have a known number of inputs. */
export function at(inputs: readonly View[], index: number): View {
  const view = inputs[index];
  if (view === undefined) {
    throw new Error(`lower: primitive must have input ${index}, got ${inputs.length} inputs`);
  }
  return view;
}

/** A parameter of the equation that is a list of axes, extents or sizes. */
export function listParam({ primitive, params }: Equation, name: string): readonly number[] {
  const value = params[name];
  if (!(Array.isArray(value) && value.every((item) => Number.isInteger(item)))) {
    throw new Error(`lower: ${primitive} must have integers \`${name}\`, got ${String(value)}`);
  }
  return value;
}

/** A parameter of the equation that is a list of [start, end] or [before, after]. */
export function pairsParam(
  { primitive, params }: Equation,
  name: string,
): readonly (readonly [number, number])[] {
  const value = params[name];
  if (!(Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2))) {
    throw new Error(`lower: ${primitive} must have pairs \`${name}\`, got ${String(value)}`);
  }
  return value;
}
