/** A problem of meta-learning: tasks to learn from, tasks to judge by, a model, and how both are trained on. */

import { adam, type Leaves, mulberry32, type Optimizer, type Random, sgd } from "@adastra/core";
import type { Checkpoint } from "@adastra/core/checkpoint";
import {
  type ArubaOptions,
  arubaSgd,
  type BatchPlan,
  type Client,
  fedavg,
  fomaml,
  localTraining,
  type MetaTraining,
  type Place,
  reptile,
  type Task,
  type TaskSource,
} from "@adastra/meta";
import type { FileHash } from "../data/dataset.ts";
import type { MetaModel } from "./metaModel.ts";

export interface MetaInfo {
  readonly name: string;
  readonly title: string;
  readonly metric: {
    readonly name: string;
    readonly better: "higher" | "lower";
    readonly unit: string;
  };
  readonly data: readonly FileHash[];
  /** Rounds of a run that asks for no other number. */
  readonly rounds: number;
  /** Rates within tasks that do well, of the methods that the problem takes. */
  readonly rates: Readonly<Partial<Record<MetaMethod, number>>>;
  /** Tasks to judge by, where there are no more of them. */
  readonly testTasks?: Readonly<Record<"valid" | "test", number>>;
  /** Examples of a class, or points, that a test task has unless another number is asked for; of clients none. */
  readonly shots?: number;
}

/** How rates within tasks come about, by the names of the command line. */
export const metaMethods = ["aruba", "aruba-isotropic", "adam", "sgd", "fomaml"] as const;
export type MetaMethod = (typeof metaMethods)[number];

export interface MetaRunOptions {
  readonly method: MetaMethod;
  /** The rate within tasks; of ARUBA the first one, ε/ζ. */
  readonly rate: number;
  /** ζ of ARUBA, default 1: the smaller against gradients, the sooner tasks outweigh the first rate. */
  readonly zeta?: number;
  readonly rounds: number;
  readonly seed: number;
}

export interface EvaluateOptions extends Pick<MetaRunOptions, "method" | "seed"> {
  readonly split: "valid" | "test";
  readonly tasks: number;
  readonly shots: number;
  /** φ, and with ARUBA or Adam the state of the optimizer within tasks. */
  readonly params: Leaves;
  readonly preset?: Checkpoint;
  /** `null` judges φ itself. Else the rate of optimizers that have none of their own, and c of ARUBA++. */
  readonly adapt: { readonly rate: number; readonly coef: number } | null;
  /** After each task: how many there were. */
  readonly onTask?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/** Makes the client of a task that is trained on elsewhere. */
export type MakeClient = (place: Place, task: Pick<Task<unknown>, "name" | "examples">) => Client;

/** A problem with its data read, on one thread. */
export interface OpenMetaProblem {
  /** @param client - trains on the tasks of rounds elsewhere; here where it is absent. */
  start(options: MetaRunOptions, client?: MakeClient): MetaTraining;
  /** The metric of each test task; test tasks of a seed are the same for every method. */
  evaluate(options: EvaluateOptions): Promise<number[]>;
  /** The metric of each test task for the nearest training example, where the problem has such a floor. */
  floor?(options: Pick<EvaluateOptions, "split" | "tasks" | "shots" | "seed">): number[];
}

export interface MetaProblem {
  readonly info: MetaInfo;
  /** Reads the data and makes the model; the engine takes half a second to load. */
  open(): Promise<OpenMetaProblem>;
}

/** What a problem is made of. */
export interface MetaParts<Batch> {
  readonly model: MetaModel<Batch>;
  readonly train: TaskSource<Batch>;
  /** Few-shot problems move φ by Reptile, federations by FedAvg. */
  readonly kind: "few-shot" | "federated";
  readonly batches: BatchPlan;
  readonly tasksPerRound: number;
  readonly testTasks: (split: "valid" | "test", shots: number) => TaskSource<Batch>;
  readonly testBatches: (shots: number) => BatchPlan;
  /** Times the metric of the model, such as 100 for percent. */
  readonly scale: number;
  readonly floor?: (task: Task<Batch>) => number;
}

export function openMeta<Batch>(parts: MetaParts<Batch>): OpenMetaProblem {
  const { model, train, kind, batches, tasksPerRound, testTasks, testBatches, scale } = parts;
  const { floor } = parts;
  const tasksOf = (split: "valid" | "test", shots: number, count: number, seed: number) =>
    testTasks(split, shots).sample(count, mulberry32(seed).fork(`${split} tasks`));
  return {
    start: ({ method, rate, zeta = 1, rounds, seed }, client) => {
      const common = {
        source: train,
        gradients: model.gradients,
        params: model.initialise(seed),
        random: mulberry32(seed).fork("meta-training"),
        nonFinite: "skip",
        ...inner(method, rate, zeta, kind),
        ...(client && {
          client: (task: Task<Batch>, _random: Random, place: Place) => client(place, task),
        }),
      } as const;
      const { batchSize } = batches;
      if (kind === "federated") {
        const localEpochs = "epochs" in batches ? batches.epochs : 1;
        return fedavg({ ...common, clientsPerRound: tasksPerRound, batchSize, localEpochs });
      }
      const innerSteps = "steps" in batches ? batches.steps : 1;
      const fewShot = { ...common, metaBatch: tasksPerRound, batchSize, innerSteps };
      return method === "fomaml"
        ? fomaml({ ...fewShot, outer: adam() })
        : reptile({ ...fewShot, rounds });
    },
    evaluate: async ({ method, split, tasks, shots, seed, params, preset, adapt, ...progress }) => {
      const scores: number[] = [];
      const training =
        adapt === null
          ? undefined
          : localTraining({
              params,
              gradients: model.gradients,
              batches: testBatches(shots),
              ...testOptimizer(method, adapt),
            });
      const random = mulberry32(seed).fork("adaptation");
      for (const [i, task] of tasksOf(split, shots, tasks, seed).entries()) {
        if (progress.signal?.aborted) {
          break;
        }
        const start = { params, ...(preset === undefined ? {} : { optimizer: preset.optimizer }) };
        const adapted = await training?.train(task, start, random.fork(`task ${i}`));
        scores.push(scale * (await model.score(task.query(), adapted?.params ?? params)));
        progress.onTask?.(i + 1);
      }
      return scores;
    },
    ...(floor === undefined
      ? {}
      : {
          floor: ({ split, tasks, shots, seed }) =>
            tasksOf(split, shots, tasks, seed).map((task) => scale * floor(task)),
        }),
  };
}

interface Inner {
  readonly aruba?: ArubaOptions;
  readonly optimizer?: Optimizer;
  readonly learningRate?: number;
  readonly carryOptimizer?: boolean;
}

/** Training within tasks by the method's name. */
function inner(
  method: MetaMethod,
  rate: number,
  zeta: number,
  kind: "few-shot" | "federated",
): Inner {
  switch (method) {
    case "aruba":
      return { aruba: { learningRate: rate, zeta } };
    case "aruba-isotropic":
      return { aruba: { learningRate: rate, zeta, mode: "isotropic" } };
    case "adam":
      // As published Reptile: v goes from task to task. Clients of a federation keep nothing of each other.
      return {
        optimizer: adam({ b1: 0 }),
        learningRate: rate,
        carryOptimizer: kind === "few-shot",
      };
    case "sgd":
    case "fomaml":
      return { optimizer: sgd(), learningRate: rate };
    default:
      return method satisfies never;
  }
}

function testOptimizer(
  method: MetaMethod,
  { rate, coef }: { readonly rate: number; readonly coef: number },
): { readonly optimizer: Optimizer; readonly learningRate: number } {
  switch (method) {
    case "aruba":
      return { optimizer: arubaSgd({ coef }), learningRate: 1 };
    case "aruba-isotropic":
      return { optimizer: arubaSgd({ mode: "isotropic", coef }), learningRate: 1 };
    case "adam":
      return { optimizer: adam({ b1: 0 }), learningRate: rate };
    case "sgd":
    case "fomaml":
      return { optimizer: sgd(), learningRate: rate };
    default:
      return method satisfies never;
  }
}
