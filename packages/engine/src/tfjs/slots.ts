/** What is kept of a variable in tensors, and its form in core's format. */

import type { LeafState, NumericArray } from "@adastra/core";
import type { Expr, StateShape } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { Evaluation, type LeafValues } from "../arrays/evaluate.ts";
import type { Value } from "../arrays/ops.ts";
import type { History, StepProgram } from "../arrays/stepProgram.ts";
import { tidyOps } from "./ops.ts";

/** One variable and what is kept of it. */
export interface Slot {
  readonly variable: tf.Variable;
  /** Steps this variable took part in. */
  count: number;
  /** By key; a number where no tensor has touched it. */
  states: ReadonlyMap<string, Value<tf.Tensor>>;
  /** Of histories and queues, the oldest step first; shorter than they are in the first steps. */
  past: ReadonlyMap<Expr, readonly Value<tf.Tensor>[]>;
}

export function startSlot(program: StepProgram, variable: tf.Variable): Slot {
  const states = program.states.map(({ key, scope, init, onHost }) => {
    const shape = scope === "element" ? variable.shape : [];
    return [key, onHost ? init : tf.keep(tf.fill(shape, init))] as const;
  });
  return { variable, count: 0, states: new Map(states), past: new Map() };
}

/** A slot as a step finds it; `given` are the inputs beside state, size and step number. */
export function leafOf(
  { variable, count, states, past }: Slot,
  given: Readonly<Record<string, Value<tf.Tensor>>>,
): LeafValues<tf.Tensor> {
  const inputs = new Map([
    ...states,
    ...Object.entries(given),
    ["t", count + 1] as const,
    ["size", variable.size] as const,
  ]);
  return {
    size: variable.size,
    step: count,
    // `stepProgram` has checked that inputs are these.
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

/** Every read starts before the first wait, so that a step in between changes nothing of what is saved. */
export async function saveSlot(program: StepProgram, slot: Slot): Promise<LeafState> {
  const { variable, count } = slot;
  const read = async (value: Value<tf.Tensor>): Promise<NumericArray> =>
    typeof value === "number"
      ? new Float32Array(variable.size).fill(value)
      : ((await value.data()) as Float32Array).slice();
  const readNumber = async (value: Value<tf.Tensor>): Promise<number> =>
    typeof value === "number" ? value : ((await value.data())[0] as number);
  const pastOf = ({ source, length }: History): readonly Value<tf.Tensor>[] => {
    const values = slot.past.get(source) ?? [];
    return [...Array.from({ length: length - values.length }, () => 0), ...values];
  };
  const sums = windowSums(program, slot);
  const arrays = arraysOf(program).map(({ key, history }) => {
    const kept = slot.states.get(key) ?? sums.get(key);
    const steps = history === undefined ? [kept as Value<tf.Tensor>] : pastOf(history);
    return [key, Promise.all(steps.map(read))] as const;
  });
  const perTensor = tensorKeys(program).map(
    (key) => [key, readNumber(slot.states.get(key) as Value<tf.Tensor>)] as const,
  );
  const queues = program.queues.map((queue) => Promise.all(pastOf(queue).map(readNumber)));
  const params = read(variable);
  const saved: LeafState = {
    shape: [...variable.shape],
    count,
    params: await params,
    arrays: await settled(arrays),
    tensor: await settled(perTensor),
    queues: await Promise.all(queues),
  };
  tf.dispose([...sums.values()]);
  return saved;
}

/** Takes over state that fits. Running sums are not read: they follow from the history. */
export function loadSlot(program: StepProgram, slot: Slot, saved: LeafState): void {
  const { variable } = slot;
  const array = (data: NumericArray): tf.Tensor =>
    tf.tensor(Float32Array.from(data), variable.shape);
  const recent = <V>(values: readonly V[]): readonly V[] =>
    values.slice(Math.max(0, values.length - saved.count));
  releaseSlot(slot);
  tf.tidy(() => {
    variable.assign(array(saved.params));
    slot.count = saved.count;
    slot.states = new Map(
      program.states.map(({ key, scope, onHost }): [string, Value<tf.Tensor>] => {
        if (scope === "element") {
          return [key, tf.keep(array(saved.arrays[key]?.[0] as NumericArray))];
        }
        const value = saved.tensor[key] as number;
        return [key, onHost ? value : tf.keep(tf.scalar(value))];
      }),
    );
    slot.past = new Map<Expr, readonly Value<tf.Tensor>[]>([
      ...program.histories.map(({ key, source }) => {
        const steps = recent(saved.arrays[key] ?? []);
        return [source, steps.map((data) => tf.keep(array(data)))] as const;
      }),
      ...program.queues.map(({ source, onHost }, i) => {
        const values = recent(saved.queues[i] ?? []);
        return [source, values.map((x) => (onHost ? x : tf.keep(tf.scalar(x))))] as const;
      }),
    ]);
  });
}

/** What state of these variables must look like. */
export function stateShape(
  program: StepProgram,
  variables: ReadonlyMap<string, tf.Variable>,
): StateShape {
  return {
    optimizer: program.name,
    dtype: "float32",
    extents: [...variables].map(([path, { shape, size }]) => ({ path, shape, start: 0, size })),
    arrays: arraysOf(program).map(({ key, history }) => ({
      name: key,
      kept: history?.length ?? 1,
    })),
    tensor: tensorKeys(program),
    queues: program.queues.map(({ length }) => length),
  };
}

/** Arrays in core's order: gradients, states, running sums, other histories. */
function arraysOf({ states, histories, windows }: StepProgram): readonly {
  readonly key: string;
  readonly history?: History;
}[] {
  const entry = (history: History): { key: string; history: History } => ({
    key: history.key,
    history,
  });
  return [
    ...histories.filter(({ key }) => key === "g").map(entry),
    ...states.filter(({ scope }) => scope === "element").map(({ key }) => ({ key })),
    ...windows.map(({ key }) => ({ key })),
    ...histories.filter(({ key }) => key !== "g").map(entry),
  ];
}

function tensorKeys({ states }: StepProgram): readonly string[] {
  return states.filter(({ scope }) => scope === "tensor").map(({ key }) => key);
}

/** The sums that core continues from step to step, by key. */
function windowSums(program: StepProgram, slot: Slot): ReadonlyMap<string, tf.Tensor> {
  return new Map(
    tf.tidy(() => {
      const tidy = tidyOps();
      const evaluation = new Evaluation(tidy.ops, [leafOf(slot, {})], program.common);
      return program.windows.map(({ key, sum }): [string, tf.Tensor] => [
        key,
        tidy.take(evaluation.value(sum, 0), slot.variable.shape),
      ]);
    }),
  );
}

async function settled<V>(
  entries: readonly (readonly [string, Promise<V>])[],
): Promise<Record<string, V>> {
  const values = entries.map(async ([key, value]) => [key, await value] as const);
  return Object.fromEntries(await Promise.all(values));
}
