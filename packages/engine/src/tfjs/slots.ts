/** What is kept of a variable in tensors, and its form in core's format. */

import type { LeafState, NumericArray } from "@adastra/core";
import { type Expr, matrixOf, type TensorShape } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { Evaluation, type LeafValues } from "../arrays/evaluate.ts";
import type { Value } from "../arrays/ops.ts";
import { type History, type StateSlot, type StepProgram, shapeIn } from "../arrays/stepProgram.ts";
import { tidyOps } from "./ops.ts";

/** State that is one number for all variables, by key. */
export type Globals = Map<string, Value<tf.Tensor>>;

/** One variable and what is kept of it. */
export interface Slot {
  readonly program: StepProgram;
  readonly variable: tf.Variable;
  readonly globals: Globals;
  /** Steps this variable took part in. */
  count: number;
  /** By key, `globals` apart; a number where no tensor has touched it. */
  states: ReadonlyMap<string, Value<tf.Tensor>>;
  /** Of histories and queues, the oldest step first; shorter than they are in the first steps. */
  past: ReadonlyMap<Expr, readonly Value<tf.Tensor>[]>;
}

export function startSlot(program: StepProgram, variable: tf.Variable, globals: Globals): Slot {
  for (const { key, init, onHost } of program.states.filter(isGlobal)) {
    if (!globals.has(key)) {
      globals.set(key, onHost ? (init as number) : tf.keep(tf.scalar(init as number)));
    }
  }
  const states = ownStates(program).map(({ key, scope, init, onHost }) => {
    if (init === "params") {
      // The data itself belongs to the variable, which may be written in place.
      return [key, tf.keep(tf.tensor(variable.dataSync().slice(), variable.shape))] as const;
    }
    const shape = shapeIn(scope, variable.shape) as tf.Tensor["shape"];
    return [key, onHost ? init : tf.keep(tf.fill(shape, init))] as const;
  });
  return { program, variable, globals, count: 0, states: new Map(states), past: new Map() };
}

/** State of the variable itself. */
export function ownStates({ states }: StepProgram): readonly StateSlot[] {
  return states.filter((state) => !isGlobal(state));
}

export function isGlobal({ scope }: StateSlot): boolean {
  return scope === "step";
}

/** A slot as a step finds it; `given` are the inputs beside state and step number. */
export function leafOf(
  { program, variable, globals, count, states, past }: Slot,
  given: Readonly<Record<string, Value<tf.Tensor>>>,
): LeafValues<tf.Tensor> {
  const inputs = new Map([
    ...globals,
    ...states,
    ...Object.entries(given),
    ["t", count + 1] as const,
  ]);
  return {
    shape: variable.shape,
    step: count,
    sites: program.sites,
    // `stepPrograms` has checked that inputs are these.
    input: (name) => inputs.get(name) as Value<tf.Tensor>,
    past: (e, ago) => past.get(e)?.at(-ago) ?? 0,
  };
}

export function releaseSlot({ states, past }: Slot): void {
  release([...states.values(), ...[...past.values()].flat()]);
}

export function release(values: readonly Value<tf.Tensor>[]): void {
  tf.dispose(values.filter((value) => typeof value !== "number"));
}

export async function readNumber(value: Value<tf.Tensor>): Promise<number> {
  return typeof value === "number" ? value : ((await value.data())[0] as number);
}

/** Every read starts before the first wait, so that a step in between changes nothing of what is saved. */
export async function saveSlot(slot: Slot): Promise<LeafState> {
  const { program, variable, count } = slot;
  const read = async (value: Value<tf.Tensor>): Promise<NumericArray> =>
    typeof value === "number"
      ? new Float32Array(variable.size).fill(value)
      : ((await value.data()) as Float32Array).slice();
  const readVector = async (value: Value<tf.Tensor>): Promise<Float64Array> =>
    Float64Array.from(await (value as tf.Tensor).data());
  const pastOf = ({ source, length }: History): readonly Value<tf.Tensor>[] => {
    const values = slot.past.get(source) ?? [];
    return [...Array.from({ length: length - values.length }, () => 0), ...values];
  };
  const sums = windowSums(slot);
  const kept = (key: string): Value<tf.Tensor> =>
    (slot.states.get(key) ?? sums.get(key)) as Value<tf.Tensor>;
  const arrays = arraysOf(program).map(({ key, history }) => {
    const steps = history === undefined ? [kept(key)] : pastOf(history);
    return [key, Promise.all(steps.map(read))] as const;
  });
  const perTensor = keysOf(program, "tensor").map((key) => [key, readNumber(kept(key))] as const);
  const vectors = [...keysOf(program, "row"), ...keysOf(program, "column")].map(
    (key) => [key, readVector(kept(key))] as const,
  );
  const queues = program.queues.map((queue) => Promise.all(pastOf(queue).map(readNumber)));
  const params = read(variable);
  const saved: LeafState = {
    shape: [...variable.shape],
    count,
    params: await params,
    arrays: await settled(arrays),
    tensor: await settled(perTensor),
    vectors: await settled(vectors),
    queues: await Promise.all(queues),
  };
  tf.dispose([...sums.values()]);
  return saved;
}

/** Takes over state that fits. Running sums are not read: they follow from the history. */
export function loadSlot(slot: Slot, saved: LeafState): void {
  const { program, variable } = slot;
  const array = (data: NumericArray, shape: readonly number[] = variable.shape): tf.Tensor =>
    tf.tensor(Float32Array.from(data), [...shape] as tf.Tensor["shape"]);
  const recent = <V>(values: readonly V[]): readonly V[] =>
    values.slice(Math.max(0, values.length - saved.count));
  releaseSlot(slot);
  tf.tidy(() => {
    variable.assign(array(saved.params));
    slot.count = saved.count;
    slot.states = new Map(
      ownStates(program).map(({ key, scope, onHost }): [string, Value<tf.Tensor>] => {
        if (scope === "tensor") {
          const value = saved.tensor[key] as number;
          return [key, onHost ? value : tf.keep(tf.scalar(value))];
        }
        const data = scope === "element" ? saved.arrays[key]?.[0] : saved.vectors[key];
        return [key, tf.keep(array(data as NumericArray, shapeIn(scope, variable.shape)))];
      }),
    );
    slot.past = new Map<Expr, readonly Value<tf.Tensor>[]>([
      ...program.histories.map(({ key, source }) => {
        const steps = recent(saved.arrays[key] ?? []);
        // No history is in fewer bits: such programs are refused.
        return [source, steps.map((data) => tf.keep(array(data as NumericArray)))] as const;
      }),
      ...program.queues.map(({ source, onHost }, i) => {
        const values = recent(saved.queues[i] ?? []);
        return [source, values.map((x) => (onHost ? x : tf.keep(tf.scalar(x))))] as const;
      }),
    ]);
  });
}

/** What state of this variable must look like. */
export function stateShape({ program, variable }: Slot, path: string): TensorShape {
  const arrays = arraysOf(program);
  return {
    leaf: { path, shape: variable.shape },
    matrix: matrixOf(variable.shape),
    queues: program.queues,
    owner: {
      plan: {
        arrays: arrays.map(({ key }) => ({ name: key })),
        hostState: program.states.flatMap(({ key, scope }) =>
          scope === "element" ? [] : [{ key, scope }],
        ),
      },
      kept: (array) => arrays[array]?.history?.length ?? 1,
    },
  };
}

/** Arrays in core's order: gradients, states, running sums, other histories. */
function arraysOf(program: StepProgram): readonly {
  readonly key: string;
  readonly history?: History;
}[] {
  const { histories, windows } = program;
  const entry = (history: History): { key: string; history: History } => ({
    key: history.key,
    history,
  });
  return [
    ...histories.filter(({ key }) => key === "g").map(entry),
    ...keysOf(program, "element").map((key) => ({ key })),
    ...windows.map(({ key }) => ({ key })),
    ...histories.filter(({ key }) => key !== "g").map(entry),
  ];
}

function keysOf({ states }: StepProgram, scope: StateSlot["scope"]): readonly string[] {
  return states.filter((state) => state.scope === scope).map(({ key }) => key);
}

/** The sums that core continues from step to step, by key. */
function windowSums(slot: Slot): ReadonlyMap<string, tf.Tensor> {
  const { program, variable } = slot;
  return new Map(
    tf.tidy(() => {
      const tidy = tidyOps();
      const evaluation = new Evaluation(tidy.ops, [leafOf(slot, {})], program.common);
      return program.windows.map(({ key, sum }): [string, tf.Tensor] => [
        key,
        tidy.take(evaluation.value(sum, 0), variable.shape),
      ]);
    }),
  );
}

export async function settled<V>(
  entries: readonly (readonly [string, Promise<V>])[],
): Promise<Record<string, V>> {
  const values = entries.map(async ([key, value]) => [key, await value] as const);
  return Object.fromEntries(await Promise.all(values));
}
