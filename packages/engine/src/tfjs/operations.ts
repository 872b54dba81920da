/**
 * Steps by TensorFlow.js's own operations: for every backend, the state in tensors where the variables are.
 *
 * Nothing is read back within a step, but for whether gradients are finite where `nonFinite` asks. Sums are in the backend's float32, a NaN may get lost in a backend's
 * maximum, and a window of L gradients costs 2(L − 1) operations a tensor.
 */

import { type LeafState, NonFiniteError } from "@adastra/core";
import { checkState, type Expr, type Program } from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { Evaluation } from "../arrays/evaluate.ts";
import type { Value } from "../arrays/ops.ts";
import { type History, requireSteps, shapeIn, stepPrograms } from "../arrays/stepProgram.ts";
import { type TidyOps, tidyOps } from "./ops.ts";
import {
  type Globals,
  isGlobal,
  leafOf,
  loadSlot,
  ownStates,
  readNumber,
  release,
  releaseSlot,
  type Slot,
  saveSlot,
  settled,
  startSlot,
  stateShape,
} from "./slots.ts";
import type { OnNonFinite, Stepper } from "./stepper.ts";

/** @throws TypeError for an optimizer with calls before its step. */
export function operationsStepper(
  program: Program,
  variables: ReadonlyMap<string, tf.Variable>,
  nonFinite: OnNonFinite,
): Stepper {
  requireSteps("toTf", program);
  const infos = [...variables].map(([path, { shape }]) => ({ path, shape }));
  const { programs, common, hyperparameters } = stepPrograms(program, infos);
  const globals: Globals = new Map();
  const slots = new Map(
    [...variables].map(([name, variable], i) => {
      return [name, startSlot(programs[i] as Slot["program"], variable, globals)] as const;
    }),
  );
  let count = 0;
  return {
    variables,
    step(gradients, numbers) {
      const culprit = nonFinite === "propagate" ? undefined : firstNonFinite(gradients);
      if (culprit !== undefined) {
        if (nonFinite === "throw") {
          throw new NonFiniteError("step", count + 1, culprit);
        }
        return "skipped";
      }
      const active = [...gradients].map(([name, gradient]) => {
        return { slot: slots.get(name) as Slot, gradient }; // names have been checked
      });
      tf.tidy(() => {
        const tidy = tidyOps();
        const leaves = active.map(({ slot, gradient }) =>
          leafOf(slot, { ...numbers, g: gradient, p: slot.variable }),
        );
        const evaluation = new Evaluation(tidy.ops, leaves, common);
        const after = active.map(({ slot }, leaf) =>
          afterStep(tidy, slot, (e) => evaluation.value(e, leaf)),
        );
        const shared = globalsAfter(tidy, active, (e, leaf) => evaluation.value(e, leaf));
        active.forEach(({ slot }, leaf) => {
          commit(slot, after[leaf] as After);
        });
        for (const [key, value] of shared) {
          release([globals.get(key) as Value<tf.Tensor>]);
          globals.set(key, value);
        }
      });
      count += 1;
      return "stepped";
    },
    evaluationParams: (numbers) =>
      tf.tidy(() => {
        const { ops } = tidyOps();
        const evaluated = [...slots].map(([name, slot]): [string, tf.Tensor] => {
          const { program: own, variable } = slot;
          if (own.evaluation === undefined) {
            return [name, tf.clone(variable)];
          }
          const leaf = leafOf(slot, { ...numbers, p: variable });
          const value = new Evaluation(ops, [leaf], common).value(own.evaluation, 0);
          const shape = [...variable.shape] as tf.Tensor["shape"];
          return [
            name,
            typeof value === "number" ? tf.fill(shape, value) : tf.broadcastTo(value, shape),
          ];
        });
        return Object.fromEntries(evaluated);
      }),
    save: async (numbers) => {
      const leaves = [...slots].map(([name, slot]) => [name, saveSlot(slot)] as const);
      const shared = [...globals].map(([key, value]) => [key, readNumber(value)] as const);
      const { lr: _, ...others } = numbers;
      return {
        format: "adastra-optimizer/2",
        optimizer: program.name,
        dtype: "float32",
        count,
        phase: 0,
        hyperparameters: others,
        global: await settled(shared),
        leaves: await settled(leaves),
      };
    },
    load(state) {
      checkState("load", state, {
        optimizer: program.name,
        dtype: "float32",
        phases: 1,
        hyperparameters: Object.keys(hyperparameters),
        global: [...globals.keys()],
        tensors: [...slots].map(([name, slot]) => stateShape(slot, name)),
        draws: false,
      });
      count = state.count;
      for (const [key, value] of globals) {
        const loaded = state.global[key] as number;
        release([value]);
        globals.set(key, typeof value === "number" ? loaded : tf.keep(tf.scalar(loaded)));
      }
      for (const [name, slot] of slots) {
        loadSlot(slot, state.leaves[name] as LeafState);
      }
    },
    dispose() {
      for (const slot of slots.values()) {
        releaseSlot(slot);
      }
      release([...globals.values()]);
    },
  };
}

/** The variable of the first gradient with NaN or infinity; one number a variable is read back, all at once. */
function firstNonFinite(gradients: ReadonlyMap<string, tf.Tensor>): string | undefined {
  const each = [...gradients.values()];
  const finite =
    each.length === 0
      ? []
      : tf.tidy(() => tf.stack(each.map((gradient) => tf.all(tf.isFinite(gradient)))).dataSync());
  return [...gradients.keys()].find((_, i) => finite[i] === 0);
}

/** A slot's values after a step, kept beyond the `tidy` but for the parameter's, which the variable takes over. */
interface After {
  readonly params: Value<tf.Tensor>;
  readonly states: readonly (readonly [string, Value<tf.Tensor>])[];
  readonly newest: readonly (readonly [History, Value<tf.Tensor>])[];
}

function afterStep(
  tidy: TidyOps,
  { program, variable }: Slot,
  value: (e: Expr) => Value<tf.Tensor>,
): After {
  const keep = (e: Expr, onHost: boolean, shape: readonly number[]): Value<tf.Tensor> =>
    onHost ? value(e) : tidy.take(value(e), shape);
  return {
    params: value(program.result),
    states: ownStates(program).map(({ key, next, onHost, scope }) => [
      key,
      keep(next, onHost, shapeIn(scope, variable.shape)),
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

/** One number for all variables is that of the first that takes part, as in core. */
function globalsAfter(
  tidy: TidyOps,
  active: readonly { readonly slot: Slot }[],
  value: (e: Expr, leaf: number) => Value<tf.Tensor>,
): ReadonlyMap<string, Value<tf.Tensor>> {
  const after = new Map<string, Value<tf.Tensor>>();
  for (const [leaf, { slot }] of active.entries()) {
    for (const { key, next, onHost } of slot.program.states.filter(isGlobal)) {
      if (!after.has(key)) {
        after.set(key, onHost ? value(next, leaf) : tidy.take(value(next, leaf), []));
      }
    }
  }
  return after;
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
