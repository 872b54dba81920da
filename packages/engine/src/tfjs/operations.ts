/**
 * Steps by TensorFlow.js's own operations: for every backend, the state in tensors where the variables are.
 *
 * Nothing is read back within a step. Sums are in the backend's float32, a NaN may get lost in a backend's
 * maximum, and a window of L gradients costs 2(L − 1) operations a tensor.
 */

import type { LeafState } from "@adastra/core";
import { checkState, type Expr } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { Evaluation } from "../arrays/evaluate.ts";
import type { Value } from "../arrays/ops.ts";
import type { History, StepProgram } from "../arrays/stepProgram.ts";
import { type TidyOps, tidyOps } from "./ops.ts";
import {
  leafOf,
  loadSlot,
  release,
  releaseSlot,
  type Slot,
  saveSlot,
  startSlot,
  stateShape,
} from "./slots.ts";
import type { Stepper } from "./stepper.ts";

export function operationsStepper(
  program: StepProgram,
  variables: ReadonlyMap<string, tf.Variable>,
): Stepper {
  const slots = new Map(
    [...variables].map(([name, variable]) => [name, startSlot(program, variable)] as const),
  );
  let count = 0;
  return {
    variables,
    step(gradients, learningRate) {
      const active = [...gradients].map(([name, gradient]) => {
        return { slot: slots.get(name) as Slot, gradient }; // names have been checked
      });
      const totalSize = active.reduce((total, { slot }) => total + slot.variable.size, 0);
      tf.tidy(() => {
        const tidy = tidyOps();
        const leaves = active.map(({ slot, gradient }) =>
          leafOf(slot, { g: gradient, p: slot.variable, lr: learningRate, totalSize }),
        );
        const evaluation = new Evaluation(tidy.ops, leaves, program.common);
        const after = active.map(({ slot }, leaf) =>
          afterStep(program, tidy, slot, (e) => evaluation.value(e, leaf)),
        );
        active.forEach(({ slot }, leaf) => {
          commit(slot, after[leaf] as After);
        });
      });
      count += 1;
    },
    save: async () => {
      const leaves = [...slots].map(async ([name, slot]) => {
        return [name, await saveSlot(program, slot)] as const;
      });
      return {
        format: "adastra-optimizer/1",
        optimizer: program.name,
        dtype: "float32",
        count,
        leaves: Object.fromEntries(await Promise.all(leaves)),
      };
    },
    load(state) {
      checkState("load", state, stateShape(program, variables));
      count = state.count;
      for (const [name, slot] of slots) {
        loadSlot(program, slot, state.leaves[name] as LeafState);
      }
    },
    dispose() {
      for (const slot of slots.values()) {
        releaseSlot(slot);
      }
    },
  };
}

/** A slot's values after a step, kept beyond the `tidy` but for the parameter's, which the variable takes over. */
interface After {
  readonly params: Value<tf.Tensor>;
  readonly states: readonly (readonly [string, Value<tf.Tensor>])[];
  readonly newest: readonly (readonly [History, Value<tf.Tensor>])[];
}

function afterStep(
  program: StepProgram,
  tidy: TidyOps,
  { variable }: Slot,
  value: (e: Expr) => Value<tf.Tensor>,
): After {
  const keep = (e: Expr, onHost: boolean, shape: readonly number[]): Value<tf.Tensor> =>
    onHost ? value(e) : tidy.take(value(e), shape);
  return {
    params: value(program.result),
    states: program.states.map(({ key, next, onHost, scope }) => [
      key,
      keep(next, onHost, scope === "element" ? variable.shape : []),
    ]),
    newest: [
      ...program.histories.map((history): [History, Value<tf.Tensor>] => [
        history,
        keep(history.source, history.onHost, variable.shape),
      ]),
      ...program.queues.map((queue): [History, Value<tf.Tensor>] => [
        queue,
        keep(queue.source, queue.onHost, []),
      ]),
    ],
  };
}

function commit(slot: Slot, { params, states, newest }: After): void {
  const { variable } = slot;
  const isWhole = typeof params !== "number" && tf.util.arraysEqual(params.shape, variable.shape);
  const next = typeof params === "number" ? tf.scalar(params) : params;
  variable.assign(isWhole ? next : tf.broadcastTo(next, variable.shape));
  release([...slot.states.values()]);
  slot.states = new Map(states);
  slot.past = new Map(
    newest.map(([{ source, length }, value]) => {
      const values = [...(slot.past.get(source) ?? []), value];
      release(values.slice(0, -length));
      return [source, values.slice(-length)];
    }),
  );
  slot.count += 1;
}
