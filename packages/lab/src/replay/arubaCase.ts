/** Cases of ARUBA in trace files: they carry their tasks, and what was recorded of each. */

import { sizeOf } from "@adastra/core";
import { broken, isList, isShape, isTensors, record } from "./checks.ts";

/** `[tensor][element]`. */
export type Tensors = readonly (readonly number[])[];

export interface ArubaInputs {
  readonly shapes: readonly (readonly number[])[];
  /** The initialisation of the first round. */
  readonly init: Tensors;
  readonly rounds: readonly ArubaRound[];
  /** Training on a new task from the last round's initialisation. */
  readonly finetune: readonly {
    readonly coef: number;
    readonly grads: readonly Tensors[];
    readonly params?: readonly Tensors[];
  }[];
}

export interface ArubaRound {
  readonly tasks: readonly ArubaTask[];
  readonly metaStep: number;
  /** Recorded: the initialisation, and the rates where they are refreshed, after the round. */
  readonly phi?: Tensors;
  readonly eta?: Tensors;
}

export interface ArubaTask {
  /** `[step][tensor][element]`. */
  readonly grads: readonly Tensors[];
  readonly weight: number;
  /** Recorded: parameters after every step; accumulators and rates after the task. */
  readonly params?: readonly Tensors[];
  readonly bsq?: Tensors;
  readonly gsq?: Tensors;
  readonly eta?: Tensors;
}

/** @throws TypeError naming the file and what in the case is not of the schema. */
export function parseAruba(value: unknown, file: string, at: string): ArubaInputs {
  const { shapes, init, rounds, finetune } = record(value, file, at);
  if (!isList(shapes, isShape) || shapes.length === 0) {
    throw broken(file, `${at}: \`shapes\` must be a list of shapes`, shapes);
  }
  const sizes = shapes.map(sizeOf);
  const numbers = `${sizes.join(", ")} numbers a tensor`;
  if (!isTensors(init, sizes)) {
    throw broken(file, `${at}: \`init\` must hold ${numbers}`, init);
  }
  if (!isList(rounds, isAnything) || rounds.length === 0) {
    throw broken(file, `${at}: \`rounds\` must be a list of rounds`, rounds);
  }
  const steps = (found: unknown, where: string): readonly Tensors[] => {
    if (!isList(found, (step): step is Tensors => isTensors(step, sizes))) {
      throw broken(file, `${where} must hold ${numbers} at every step`, found);
    }
    return found;
  };
  const positive = (found: unknown, where: string, least: "above 0" | "at least 0"): number => {
    const ok = typeof found === "number" && Number.isFinite(found) && found >= 0;
    if (!ok || (least === "above 0" && found === 0)) {
      throw broken(file, `${where} must be a finite number ${least}`, found);
    }
    return found;
  };
  /** What was recorded under these keys. */
  const recorded = <K extends string>(
    from: Readonly<Record<string, unknown>>,
    keys: readonly K[],
    where: string,
  ): { [Key in K]?: Tensors } => {
    const found: { [Key in K]?: Tensors } = {};
    for (const key of keys) {
      const tensors = from[key] ?? undefined;
      if (tensors !== undefined && !isTensors(tensors, sizes)) {
        throw broken(file, `${where}: \`${key}\` must hold ${numbers}`, tensors);
      }
      if (tensors !== undefined) {
        found[key] = tensors;
      }
    }
    return found;
  };
  const run = (item: Readonly<Record<string, unknown>>, where: string) => {
    const grads = steps(item.grads, `${where}: \`grads\``);
    const given = item.params ?? undefined;
    const params = given === undefined ? undefined : steps(given, `${where}: \`params\``);
    if (params !== undefined && params.length !== grads.length) {
      throw broken(file, `${where}: \`params\` must hold ${grads.length} steps`, params.length);
    }
    return { grads, ...(params === undefined ? {} : { params }) };
  };
  const parseTask = (found: unknown, where: string): ArubaTask => {
    const task = record(found, file, where);
    return {
      ...run(task, where),
      weight: positive(task.weight ?? 1, `${where}: \`weight\``, "above 0"),
      ...recorded(task, ["bsq", "gsq", "eta"], where),
    };
  };
  const parseRound = (found: unknown, where: string): ArubaRound => {
    const round = record(found, file, where);
    const { tasks } = round;
    if (!isList(tasks, isAnything) || tasks.length === 0) {
      throw broken(file, `${where}: \`tasks\` must be a list of tasks`, tasks);
    }
    return {
      tasks: tasks.map((task, k) => parseTask(task, `${where}, task ${k}`)),
      metaStep: positive(round.metaStep ?? 1, `${where}: \`metaStep\``, "at least 0"),
      ...recorded(round, ["phi", "eta"], where),
    };
  };
  const tests = finetune ?? [];
  if (!isList(tests, isAnything)) {
    throw broken(file, `${at}: \`finetune\` must be a list`, tests);
  }
  return {
    shapes,
    init,
    rounds: rounds.map((round, i) => parseRound(round, `${at}, round ${i}`)),
    finetune: tests.map((found, i) => {
      const where = `${at}, finetune ${i}`;
      const test = record(found, file, where);
      return {
        ...run(test, where),
        coef: positive(test.coef ?? 0, `${where}: \`coef\``, "at least 0"),
      };
    }),
  };
}

const isAnything = (): boolean => true;
