/** The problems that comparisons know. */

import { lookUp } from "../lookUp.ts";
import { mnistMlp, mnistSoftmax } from "./mnist.ts";
import { onlineSequential, onlineStochastic } from "./online.ts";
import type { Problem } from "./problem.ts";

// Method shorthand in `Problem` lets problems of different data stand in one list: a caller hands back what `load` gave.
export const problems: readonly Problem[] = [
  mnistSoftmax,
  mnistMlp,
  onlineSequential as Problem,
  onlineStochastic as Problem,
];

/** @throws RangeError with the nearest name when there is no problem of that name. */
export function findProblem(name: string): Problem {
  return lookUp(
    "compare",
    "problem",
    name,
    problems.map((problem) => ({ name: problem.info.name, problem })),
  ).problem;
}
