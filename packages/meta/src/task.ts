/** What meta-learning learns from: tasks, where they come from, and what training on one of them takes and gives. */

import type { Leaves, OptimizerState, Random } from "@adastra/core";

/** One task, or the data of one client. */
export interface Task<Batch> {
  /** Appears in errors and reports. */
  readonly name: string;
  /** Examples to train on; the weight of the task where tasks are weighted by their data. */
  readonly examples: number;
  /** The training examples of these indices, each in [0, examples). */
  batch(indices: readonly number[]): Batch;
  /** What the trained parameters are judged by. */
  query(): Batch;
}

/** Where tasks come from. */
export interface TaskSource<Batch> {
  /** `count` different tasks, by `random` alone. */
  sample(count: number, random: Random): readonly Task<Batch>[];
}

/** What a task starts from. */
export interface Start {
  /** The initialisation φ. */
  readonly params: Leaves;
  /** A rate an element, η, where the method learns them. */
  readonly rates?: Leaves;
  /** State that the optimizer within tasks has from the task before; its own start where absent. */
  readonly optimizer?: OptimizerState;
}

/** What training on a task gives back; arrays of its own. */
export interface TaskResult {
  /** The final parameters θ. */
  readonly params: Leaves;
  readonly examples: number;
  readonly steps: number;
  /** Loss of each step's batch, before the step. */
  readonly losses: readonly number[];
  /** Σ g² over all steps, where rates are learned. */
  readonly squares?: Leaves;
  /** g² of the last step, where ARUBA's `decayMode` is `"official"`. */
  readonly lastSquare?: Leaves;
  /** The gradient of the query batch at θ, for first-order MAML. */
  readonly queryGradient?: Leaves;
  /** State of the optimizer within tasks, for a learner that carries it to the next task. */
  readonly optimizer?: OptimizerState;
}

/**
 * A task that can be trained on from any start: in this process, in a worker, at a peer. It must be a function of its
 * start: called again it gives the same result.
 */
export type Client = (start: Start) => Promise<TaskResult>;

/**
 * Tasks of a fixed list: the clients of a federation.
 *
 * @throws RangeError for no tasks; `sample` for more of them than there are.
 */
export function tasksOf<Batch>(tasks: readonly Task<Batch>[]): TaskSource<Batch> {
  if (tasks.length === 0) {
    throw new RangeError("tasksOf: `tasks` must hold at least one task, got none; pass some");
  }
  return {
    sample: (count, random) => {
      if (!(Number.isSafeInteger(count) && count >= 1 && count <= tasks.length)) {
        throw new RangeError(
          `sample: \`count\` must be an integer from 1 to the ${tasks.length} tasks there are, got ${count}`,
        );
      }
      return shuffled(tasks.length, random)
        .slice(0, count)
        .map((index) => tasks[index] as Task<Batch>);
    },
  };
}

/** 0, 1, ..., count − 1 in random order. */
export function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}
