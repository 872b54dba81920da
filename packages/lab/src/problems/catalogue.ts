/** The problems that comparisons know. */

import { lookUp } from "../lookUp.ts";
import {
  colourMnistDensenet,
  fashionResnet,
  mnistLenet,
  mnistMlp,
  mnistSoftmax,
} from "./images.ts";
import { brownGpt, brownLstm } from "./language.ts";
import { onlineSequential, onlineStochastic } from "./online.ts";
import type { Problem } from "./problem.ts";

// Method shorthand in `Problem` lets problems of different data stand in one list: a caller hands back what `load` gave.
export const problems: readonly Problem[] = [
  mnistSoftmax as Problem,
  mnistMlp as Problem,
  mnistLenet as Problem,
  fashionResnet as Problem,
  colourMnistDensenet as Problem,
  brownLstm as Problem,
  brownGpt as Problem,
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
