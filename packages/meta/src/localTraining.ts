/** Training on one task, from a start to a result: what a client does. */

import {
  type CompiledOptimizer,
  type CompileOptions,
  compileOptimizer,
  type GradientSource,
  type Leaves,
  type Optimizer,
  type Random,
  type Schedule,
  type Tree,
} from "@adastra/core";
import { copyLeaves, requireLike, writeLeaves } from "./leaves.ts";
import { type BatchPlan, checkPlan, minibatches } from "./minibatches.ts";
import type { Client, Start, Task, TaskResult } from "./task.ts";

export interface LocalTrainingOptions<Batch> {
  /** The model's parameters; only paths, shapes and kinds are read. */
  readonly params: Tree;
  /** Loss and gradient of a batch. */
  readonly gradients: GradientSource<Batch>;
  /** Steps on the task: `collectingSgd` while ARUBA learns, `arubaSgd` with a preset, or any other. */
  readonly optimizer: Optimizer;
  /** Default 1, for optimizers that have rates of their own. */
  readonly learningRate?: number | Schedule;
  readonly batches: BatchPlan;
  /** Also take the gradient of the query batch at the final parameters, as first-order MAML needs; default false. */
  readonly queryGradient?: boolean;
  readonly dtype?: CompileOptions["dtype"];
  readonly backend?: CompileOptions["backend"];
}

export interface LocalTraining<Batch> {
  /**
   * Trains on a task; `random` orders its examples. Calls wait for each other.
   *
   * @throws RangeError for a task without examples; TypeError for a start of another model.
   */
  train(task: Task<Batch>, start: Start, random: Random): Promise<TaskResult>;
  /** The task as a function of its start: every call draws the same batches. */
  client(task: Task<Batch>, random: Random): Client;
}

/**
 * Compiles an optimizer once and trains task after task with it.
 *
 * Parameters, and all state that the start does not bring, begin anew at every task.
 *
 * @throws what `compileOptimizer` throws, and RangeError for a plan out of range.
 */
export function localTraining<Batch>({
  params,
  gradients,
  optimizer,
  learningRate = 1,
  batches,
  queryGradient = false,
  dtype = "float32",
  backend = "auto",
}: LocalTrainingOptions<Batch>): LocalTraining<Batch> {
  checkPlan("localTraining", batches);
  const compiled = compileOptimizer(optimizer, { params, learningRate, dtype, backend });
  const initial = compiled.save();
  let before: Promise<unknown> = Promise.resolve();

  const run = async (task: Task<Batch>, start: Start, random: Random): Promise<TaskResult> => {
    begin(compiled, start, start.optimizer ?? initial);
    const losses: number[] = [];
    for (const indices of minibatches(task.examples, batches, random)) {
      const { params, gradients: into } = compiled;
      const { loss } = await gradients.run(task.batch(indices), params, into);
      losses.push(loss);
      compiled.step();
    }
    const theta = copyLeaves(compiled.params, dtype);
    const { state } = optimizer;
    const stateOf = (key: string): Leaves => copyLeaves(compiled.views(key), dtype);
    const result: TaskResult = {
      params: theta,
      examples: task.examples,
      steps: losses.length,
      losses,
      optimizer: compiled.save(),
      ...("squares" in state ? { squares: stateOf("squares") } : {}),
      ...("lastSquare" in state ? { lastSquare: stateOf("lastSquare") } : {}),
    };
    if (!queryGradient) {
      return result;
    }
    await gradients.run(task.query(), compiled.params, compiled.gradients);
    return { ...result, queryGradient: copyLeaves(compiled.gradients, dtype) };
  };

  const train: LocalTraining<Batch>["train"] = (task, start, random) => {
    if (!(Number.isSafeInteger(task.examples) && task.examples >= 1)) {
      throw new RangeError(
        `train: task "${task.name}" must have at least one example, got ${task.examples}; leave it out`,
      );
    }
    const own = before.then(() => run(task, start, random));
    before = own.catch(() => {});
    return own;
  };
  return {
    train,
    client: (task, random) => {
      const drawn = random.save();
      return async (start) => {
        random.restore(drawn);
        return train(task, start, random);
      };
    },
  };
}

/** Puts optimizer and parameters to where the task begins. */
function begin(
  compiled: CompiledOptimizer,
  { params, rates }: Start,
  state: Start["optimizer"],
): void {
  if (state !== undefined) {
    compiled.load(state);
  }
  requireLike("train", "the start", compiled.params, params);
  writeLeaves(compiled.params, params);
  if (rates !== undefined) {
    requireLike("train", "the rates", compiled.params, rates);
    writeLeaves(compiled.views("rates"), rates);
  }
}
