/** A meta-learner with its tasks: what a round trains on is a function of the seed and the round. */

import type {
  CompileOptions,
  GradientSource,
  Leaves,
  Optimizer,
  Random,
  Schedule,
} from "@adastra/core";
import { sgd } from "@adastra/core";
import type { Checkpoint } from "@adastra/core/checkpoint";
import type { ArubaOptions } from "./aruba.ts";
import { requireCount } from "./checks.ts";
import { type LocalTraining, localTraining } from "./localTraining.ts";
import {
  type MetaLearner,
  type MetaLearnerOptions,
  metaLearner,
  type RoundResult,
} from "./metaLearner.ts";
import type { BatchPlan } from "./minibatches.ts";
import type { Client, Task, TaskSource } from "./task.ts";
import { collectingSgd } from "./withinTask.ts";

/** Which task of a run: the same seed, round and index are the same task and the same batches, wherever they are drawn. */
export interface Place {
  readonly round: number;
  readonly index: number;
}

export interface MetaTraining {
  readonly learner: MetaLearner;
  /** φ, as views that never move. */
  readonly params: Leaves;
  /** Rounds taken. */
  readonly round: number;
  /** One round: draws its tasks, trains on them, moves φ. Throws as `MetaLearner.run` does. */
  next(): Promise<RoundResult>;
  /** The client of a task, trained on here: what a worker does for the process that runs the rounds. */
  client(place: Place): Client;
  preset(coef?: number): Checkpoint;
  /** A checkpoint; a run that loads it goes on, bit for bit, as this one would. */
  save(): Checkpoint;
  load(checkpoint: Checkpoint): void;
}

/** What Reptile, first-order MAML and FedAvg have in common. */
export interface MetaTrainingOptions<Batch>
  extends Pick<MetaLearnerOptions, "params" | "outer" | "carryOptimizer" | "nonFinite" | "onTask"> {
  readonly source: TaskSource<Batch>;
  /** Loss and gradient of a batch. */
  readonly gradients: GradientSource<Batch>;
  /** Orders and draws everything; a fork by round is used, so that a resumed run draws what it would have drawn. */
  readonly random: Random;
  /** Learn rates within tasks with ARUBA; default false. */
  readonly aruba?: ArubaOptions | boolean;
  /** The optimizer within tasks; ARUBA brings its own. Default SGD. */
  readonly optimizer?: Optimizer;
  /** Its learning rate, or a schedule over a task's steps (over all steps with `carryOptimizer`); needed without ARUBA. */
  readonly learningRate?: number | Schedule;
  /**
   * Makes the client of a task where it is not to be trained on here: in a worker, at a peer. It trains as
   * `localTraining` would with the same options and this `random`, or as `client(place)` of a training made alike.
   */
  readonly client?: (task: Task<Batch>, random: Random, place: Place) => Client;
  readonly dtype?: CompileOptions["dtype"];
  readonly backend?: CompileOptions["backend"];
}

/** How a method differs from the others. */
export interface Method
  extends Pick<MetaLearnerOptions, "name" | "direction" | "weighting" | "metaStep"> {
  readonly tasksPerRound: number;
  readonly batches: BatchPlan;
  readonly queryGradient?: boolean;
  /** When rates follow, where the options leave it open. */
  readonly refreshEvery: "task" | "round";
}

export function metaTraining<Batch>(
  options: MetaTrainingOptions<Batch>,
  { tasksPerRound, batches, queryGradient = false, refreshEvery, ...method }: Method,
): MetaTraining {
  const { name } = method;
  const { source, gradients, random, params, outer, carryOptimizer, nonFinite, onTask } = options;
  const { aruba: wanted = false, optimizer, learningRate, dtype, backend } = options;
  requireCount(name, "tasksPerRound", tasksPerRound);
  if (wanted !== false && (optimizer !== undefined || learningRate !== undefined)) {
    throw new RangeError(
      `${name}: with ARUBA rates are learned for plain SGD, got \`${optimizer === undefined ? "learningRate" : "optimizer"}\` too; set ARUBA's own \`learningRate\`, or leave \`aruba\` out`,
    );
  }
  if (wanted === false && learningRate === undefined) {
    throw new RangeError(`${name}: \`learningRate\` must be given without ARUBA, got none`);
  }
  const rates: ArubaOptions | false =
    wanted === false ? false : { refreshEvery, ...(wanted === true ? {} : wanted) };
  const given = {
    ...(dtype === undefined ? {} : { dtype }),
    ...(backend === undefined ? {} : { backend }),
  };
  const learner = metaLearner({
    ...method,
    params,
    aruba: rates,
    ...given,
    ...(outer === undefined ? {} : { outer }),
    ...(carryOptimizer === undefined ? {} : { carryOptimizer }),
    ...(nonFinite === undefined ? {} : { nonFinite }),
    ...(onTask === undefined ? {} : { onTask }),
  });
  const makeLocal = (): LocalTraining<Batch> =>
    localTraining({
      params,
      gradients,
      optimizer:
        rates === false ? (optimizer ?? sgd()) : collectingSgd(rates.decayMode === "official"),
      ...(learningRate === undefined ? {} : { learningRate }),
      batches,
      queryGradient,
      ...given,
    });
  // At once where it will be needed, so that options out of range are said here.
  let local = options.client === undefined ? makeLocal() : undefined;
  const trainedHere = (task: Task<Batch>, own: Random): Client => {
    local ??= makeLocal();
    return local.client(task, own);
  };
  const makeClient = options.client ?? trainedHere;
  const draw = (round: number): { task: Task<Batch>; random: Random }[] => {
    const drawn = random.fork(`round ${round}`);
    const tasks = source.sample(tasksPerRound, drawn.fork("tasks"));
    return tasks.map((task, i) => ({ task, random: drawn.fork(`task ${i}`) }));
  };
  return {
    learner,
    params: learner.params,
    get round() {
      return learner.round;
    },
    next: () => {
      const { round } = learner;
      const clients = draw(round).map(({ task, random: own }, index) =>
        makeClient(task, own, { round, index }),
      );
      return learner.run(clients);
    },
    client: ({ round, index }) => {
      const drawn = draw(round)[index];
      if (drawn === undefined) {
        throw new RangeError(
          `client: \`index\` must be that of one of the ${tasksPerRound} tasks of a round, got ${index}`,
        );
      }
      return trainedHere(drawn.task, drawn.random);
    },
    preset: (coef) => learner.preset(coef),
    save: () => learner.save(),
    load: (checkpoint) => learner.load(checkpoint),
  };
}
