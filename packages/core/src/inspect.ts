/** Statistics of a step, as expressions that are reduced in the step's own passes. */

import type { Program } from "./optimizer.ts";

/** The program with statistics of its inspected values, the parameter and the update; with none where not asked for. */
export function withStatistics(program: Program, inspect: boolean): Program {
  return inspect ? program : { ...program, inspect: {} };
}
