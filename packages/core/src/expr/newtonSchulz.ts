/** The word for matrix products, which brings what runs them. */

import { MATRIX_STAGES } from "../runtime/matrixStages.ts";
import { type Operand, wrap } from "./build.ts";
import type { Expr, NewtonSchulz } from "./node.ts";

/**
 * The leaf as a matrix X after X ← (a + b XXᵀ + c (XXᵀ)²) X for each [a, b, c] in turn: its singular values σ go to aσ + bσ³ + cσ⁵,
 * its singular vectors stay. In the dtype, and 5 numbers an element of working memory for the largest leaf.
 */
export function newtonSchulz(x: Operand, coefficients: NewtonSchulz): Expr {
  return { op: "newtonSchulz", a: wrap(x), coefficients, stages: MATRIX_STAGES };
}
