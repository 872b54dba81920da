/**
 * Rounds of meta-learning: tasks start at φ, an outer optimizer moves φ by what came back
 *
 *     displacement   d = φ − Σ wₖ θₖ / Σ wₖ          Reptile: wₖ = 1;  FedAvg: wₖ = examples of client k
 *     gradient       d = Σ wₖ ∇Lₖ(θₖ) / Σ wₖ         first-order MAML, Lₖ the loss of the query batch
 *     φ ← outer(φ, d)                                SGD: φ − s d
 */

import {
  type CompileOptions,
  compileOptimizer,
  type Leaves,
  type Optimizer,
  type OptimizerState,
  type Schedule,
  sgd,
  type Tree,
} from "@adastra/core";
import type { Checkpoint, DocumentValue } from "@adastra/core/checkpoint";
import { type Aruba, type ArubaOptions, type ArubaState, aruba } from "./aruba.ts";
import { requireOneOf } from "./checks.ts";
import { allFinite, copyLeaves, dataOf, requireLike } from "./leaves.ts";
import type { Client, Start, TaskResult } from "./task.ts";

export interface MetaLearnerOptions {
  /** The method's name, in errors and checkpoints. */
  readonly name: string;
  /** The initialisation to start from, φ₁; copied. */
  readonly params: Tree;
  /** What moves φ, default `sgd()`. */
  readonly outer?: Optimizer;
  /** The outer learning rate s by round, default 1. */
  readonly metaStep?: number | Schedule;
  /** What the outer optimizer takes for a gradient; default `"displacement"`. */
  readonly direction?: "displacement" | "gradient";
  /** w of a task; default `"equal"`. */
  readonly weighting?: "equal" | "examples";
  /** Learn rates within tasks, from defaults where `true`; default none. */
  readonly aruba?: ArubaOptions | boolean;
  /** Carry the state of the optimizer within tasks from a task to the next, as published Reptile does with Adam; default false. */
  readonly carryOptimizer?: boolean;
  /** What a task that ends in NaN or infinity does: `"throw"` (default), or `"skip"`, which drops it whole. */
  readonly nonFinite?: "throw" | "skip";
  /** Told of each task that counts, once what it taught beside φ is in. */
  readonly onTask?: (result: TaskResult) => void;
  readonly dtype?: CompileOptions["dtype"];
  readonly backend?: CompileOptions["backend"];
}

export interface RoundResult {
  /** Rounds taken, this one among them. */
  readonly round: number;
  /** Of the tasks that counted, in order. */
  readonly tasks: readonly TaskResult[];
  /** Tasks that were dropped as not finite. */
  readonly dropped: number;
  /** Mean loss of the tasks' first and last batches; NaN where every task was dropped. */
  readonly firstLoss: number;
  readonly lastLoss: number;
}

export interface MetaLearner {
  readonly name: string;
  /** φ, as views that never move. */
  readonly params: Leaves;
  readonly aruba: Aruba | undefined;
  /** Whether the optimizer within tasks keeps its state from task to task. */
  readonly carries: boolean;
  /** Rounds taken. */
  readonly round: number;
  /**
   * Trains every client from φ and moves φ. Where state passes from task to task (rates refreshed every task, an
   * optimizer that is carried) one client follows the other, else all are asked at once.
   *
   * @throws RangeError without clients, or for a task that is not finite under `nonFinite: "throw"`; what a client throws.
   * Nothing has changed then.
   */
  run(clients: readonly Client[]): Promise<RoundResult>;
  /**
   * What a new task starts from, as a checkpoint whose optimizer state core loads: with ARUBA the state of `arubaSgd`, with an
   * optimizer that is carried its state; parameters φ.
   *
   * @param coef - c of ARUBA++; default 0.
   * @throws RangeError where the method learned nothing but φ: take `params`.
   */
  preset(coef?: number): Checkpoint;
  /** Everything a run needs to go on. */
  save(): Checkpoint;
  /** @throws TypeError for a checkpoint of another method or model. Nothing has changed then. */
  load(checkpoint: Checkpoint): void;
}

const FORMAT = "adastra-meta/1";

/** What stands in `extra` of a checkpoint. */
interface Extra {
  readonly format: typeof FORMAT;
  readonly name: string;
  readonly aruba: ArubaState | null;
  readonly carried: OptimizerState | null;
}

/**
 * A learner of an initialisation, and of rates with ARUBA, from the results of tasks.
 *
 * State: that of the outer optimizer, with ARUBA 12 bytes a float32 parameter more.
 *
 * @throws RangeError naming the option that is out of range; what `compileOptimizer` throws.
 * @see Nichol, Achiam & Schulman 2018 (Reptile); McMahan et al. 2017 (FedAvg); Finn, Abbeel & Levine 2017 (first-order
 * MAML); Reddi et al. 2021, Algorithm 1 (the outer optimizer)
 */
export function metaLearner({
  name,
  params,
  outer = sgd(),
  metaStep = 1,
  direction = "displacement",
  weighting = "equal",
  aruba: rateOptions = false,
  carryOptimizer = false,
  nonFinite = "throw",
  onTask,
  dtype = "float32",
  backend = "auto",
}: MetaLearnerOptions): MetaLearner {
  requireOneOf(name, "direction", direction, ["displacement", "gradient"]);
  requireOneOf(name, "weighting", weighting, ["equal", "examples"]);
  requireOneOf(name, "nonFinite", nonFinite, ["throw", "skip"]);
  if (rateOptions !== false && carryOptimizer) {
    throw new RangeError(
      `${name}: ARUBA's rates are for plain SGD within tasks, got \`carryOptimizer\` too; leave one out`,
    );
  }
  const compiled = compileOptimizer(outer, { params, learningRate: metaStep, dtype, backend });
  const phi = compiled.params;
  const rates =
    rateOptions === false
      ? undefined
      : aruba(params, rateOptions === true ? {} : rateOptions, { dtype, backend });
  const refreshEvery = rates?.options.refreshEvery;
  let carried: OptimizerState | undefined;

  const start = (): Start => ({
    params: copyLeaves(phi, dtype),
    ...(rates === undefined ? {} : { rates: copyLeaves(rates.rates, dtype) }),
    ...(carried === undefined ? {} : { optimizer: carried }),
  });
  /** Takes what a task learned beside φ; says whether the task counts. */
  const absorb = (result: TaskResult): boolean => {
    requireLike(name, "a result", phi, result.params);
    if (!isFiniteResult(result)) {
      if (nonFinite === "skip") {
        return false;
      }
      throw new RangeError(
        `${name}: a task must end in finite parameters and gradients at round ${compiled.count + 1}, got NaN or infinity; lower the rate, or pass nonFinite: "skip"`,
      );
    }
    rates?.observe(phi, result);
    if (refreshEvery === "task") {
      rates?.refresh();
    }
    carried = carryOptimizer ? result.optimizer : undefined;
    onTask?.(result);
    return true;
  };
  const inTurn = async (clients: readonly Client[]): Promise<TaskResult[]> => {
    const counted: TaskResult[] = [];
    for (const client of clients) {
      const result = await client(start());
      if (absorb(result)) {
        counted.push(result);
      }
    }
    return counted;
  };
  const atOnce = async (clients: readonly Client[]): Promise<TaskResult[]> => {
    const results = await Promise.all(clients.map((client) => client(start())));
    return results.filter(absorb);
  };

  return {
    name,
    params: phi,
    aruba: rates,
    carries: carryOptimizer,
    get round() {
      return compiled.count;
    },
    run: async (clients) => {
      if (clients.length === 0) {
        throw new RangeError(`${name}: a round must have at least one task, got none; pass some`);
      }
      const [ratesBefore, carriedBefore] = [rates?.save(), carried];
      try {
        const follows = carryOptimizer || refreshEvery === "task";
        const tasks = await (follows ? inTurn(clients) : atOnce(clients));
        if (refreshEvery === "round") {
          rates?.refresh();
        }
        if (tasks.length > 0) {
          writeDirection(compiled.gradients, phi, tasks, direction, weighting);
          compiled.step();
        } else {
          compiled.step({}); // the round still counts for the schedule
        }
        const mean = (of: (losses: readonly number[]) => number | undefined): number =>
          tasks.reduce((sum, { losses }) => sum + (of(losses) ?? Number.NaN), 0) / tasks.length;
        return {
          round: compiled.count,
          tasks,
          dropped: clients.length - tasks.length,
          firstLoss: mean((losses) => losses[0]),
          lastLoss: mean((losses) => losses.at(-1)),
        };
      } catch (error) {
        if (ratesBefore !== undefined) {
          rates?.load(ratesBefore);
        }
        carried = carriedBefore;
        throw error;
      }
    },
    preset: (coef = 0) => {
      if (rates !== undefined) {
        return { optimizer: rates.preset(phi, coef) };
      }
      if (carried === undefined) {
        throw new RangeError(
          `preset: "${name}" must have learned more than parameters, got neither rates nor an optimizer's state; take \`params\``,
        );
      }
      const leaves = Object.entries(carried.leaves).map(([path, leaf]) => [
        path,
        { ...leaf, params: dataOf(phi, path).slice() },
      ]);
      return { optimizer: { ...carried, leaves: Object.fromEntries(leaves) } };
    },
    save: () => {
      const extra: Extra = {
        format: FORMAT,
        name,
        aruba: rates?.save() ?? null,
        carried: carried ?? null,
      };
      // Plain records, numbers and arrays all through, which interfaces do not say.
      return { optimizer: compiled.save(), extra: extra as unknown as DocumentValue };
    },
    load: ({ optimizer, extra }) => {
      const saved = readExtra(name, extra, rates !== undefined, carryOptimizer);
      const before = compiled.save();
      compiled.load(optimizer);
      try {
        if (saved.aruba !== null) {
          rates?.load(saved.aruba);
        }
      } catch (error) {
        compiled.load(before);
        throw error;
      }
      carried = saved.carried ?? undefined;
    },
  };
}

function writeDirection(
  into: Leaves,
  phi: Leaves,
  tasks: readonly TaskResult[],
  direction: "displacement" | "gradient",
  weighting: "equal" | "examples",
): void {
  const weights = tasks.map(({ examples }) => (weighting === "equal" ? 1 : examples));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [path, { data }] of Object.entries(into)) {
    const from = dataOf(phi, path);
    const mean = new Float64Array(data.length);
    tasks.forEach((task, k) => {
      const values = dataOf(direction === "gradient" ? queryGradientOf(task) : task.params, path);
      const share = (weights[k] as number) / total;
      for (let i = 0; i < mean.length; i++) {
        mean[i] = (mean[i] as number) + share * (values[i] as number);
      }
    });
    for (let i = 0; i < mean.length; i++) {
      const average = mean[i] as number;
      data[i] = direction === "gradient" ? average : (from[i] as number) - average;
    }
  }
}

function queryGradientOf({ queryGradient }: TaskResult): Leaves {
  if (queryGradient === undefined) {
    throw new TypeError(
      "run: a result must hold `queryGradient`, got none; train with localTraining({ queryGradient: true })",
    );
  }
  return queryGradient;
}

function isFiniteResult({ params, squares, queryGradient }: TaskResult): boolean {
  return [params, squares, queryGradient].every(
    (leaves) => leaves === undefined || allFinite(leaves),
  );
}

function readExtra(
  name: string,
  extra: DocumentValue | undefined,
  hasRates: boolean,
  carries: boolean,
): Extra {
  const saved = (typeof extra === "object" ? extra : {}) as Partial<Extra> | null;
  if (saved?.format !== FORMAT || saved.name !== name) {
    throw new TypeError(
      `load: the checkpoint must be one of "${name}" (${FORMAT}), got ${String(saved?.name)} (${String(saved?.format)}); pass what \`save\` returned`,
    );
  }
  const { aruba: savedRates = null, carried = null } = saved;
  if ((savedRates !== null) !== hasRates || (carried !== null && !carries)) {
    throw new TypeError(
      `load: the checkpoint must be of a learner ${hasRates ? "with" : "without"} ARUBA's rates${carries ? " that carries its optimizer" : ""}, got another; make the learner with the options it was saved with`,
    );
  }
  return { format: FORMAT, name, aruba: savedRates, carried };
}
