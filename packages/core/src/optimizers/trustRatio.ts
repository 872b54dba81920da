/** What LARS and LAMB measure of a tensor: norms, and the ratio of two as a rate. */

import { eq, or, select, sqrt, square, sum } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";

/** ‖x‖ = √Σx² over the tensor. */
export function norm(x: Expr): Expr {
  return sqrt(sum(square(x)));
}

/** `ratio`, or 1 where one of the norms is 0: a parameter at zero has to be able to leave it. */
export function trustRatio(parameter: Expr, update: Expr, ratio: Expr): Expr {
  return select(or(eq(parameter, 0), eq(update, 0)), 1, ratio);
}
