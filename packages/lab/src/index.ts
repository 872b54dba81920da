/** adastra: the fair comparison of optimizers, as a library; the command line is `adastra`. */

export { type CompareContext, type CompareOptions, compare } from "./compare/compare.ts";
export {
  type CatalogueEntry,
  catalogue,
  findOptimizer,
  type OptimizerSetting,
} from "./optimizers.ts";
export { findProblem, problems } from "./problems/catalogue.ts";
export type { OpenProblem, Problem, Task } from "./problems/problem.ts";
export type {
  Comparison,
  CurvePoint,
  Entry,
  Interval,
  OptimizerInfo,
  ProblemInfo,
  TrialEvent,
  TrialResult,
  TrialSpec,
  Verdict,
} from "./protocol.ts";
export { renderReport } from "./report/report.ts";
export { createInlinePool } from "./runner/inline.ts";
export { createPool, type PoolOptions, type TrialPool } from "./runner/pool.ts";
export { runTrial, type TrialContext } from "./runner/trial.ts";
export {
  type OpenSwarm,
  type SwarmProblem,
  type SwarmTask,
  swarmProblems,
} from "./swarm/problems.ts";
export type { Skew } from "./swarm/split.ts";
