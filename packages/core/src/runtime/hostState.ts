/** State on the host: what is not one number an element, and numbers of earlier steps in rings by step number. */

import { type Matrix, valuesAt } from "../codegen/host.ts";
import type { Plan } from "../codegen/passes.ts";
import type { HostMemory, KeptOnHost } from "./tensor.ts";

/** State that is one number for all tensors, by key: the same arrays for every tensor. */
type Globals = Readonly<Record<string, Float64Array>>;

/** What the host keeps for the tensors of plans, at its start. */
export function hostMemory(plans: readonly Plan[]): HostMemory {
  const globals: Globals = Object.fromEntries(
    plans.flatMap(({ hostState }) =>
      hostState.flatMap(({ key, scope, init }) =>
        scope === "step" ? [[key, Float64Array.of(init)] as const] : [],
      ),
    ),
  );
  return {
    save: () =>
      Object.fromEntries(Object.entries(globals).map(([key, state]) => [key, state[0] as number])),
    load: (saved) => {
      for (const [key, state] of Object.entries(globals)) {
        state[0] = saved[key] as number;
      }
    },
    start: (plan, matrix) => keptOnHost(plan, matrix, globals),
  };
}

function keptOnHost({ hostState, step }: Plan, matrix: Matrix, globals: Globals): KeptOnHost {
  const { rows, columns } = matrix;
  const state = Object.fromEntries(
    hostState.map(({ key, scope, init }) => [
      key,
      scope === "step"
        ? (globals[key] as Float64Array)
        : new Float64Array({ tensor: 1, row: rows, column: columns }[scope]).fill(init),
    ]),
  );
  const rings = step.host.queues.map(({ length }) => new Float64Array(length));
  const ofScope = (...scopes: readonly string[]): readonly (readonly [string, Float64Array])[] =>
    hostState
      .filter(({ scope }) => scopes.includes(scope))
      .map(({ key }) => [key, state[key] as Float64Array]);
  const vectors = ofScope("row", "column");
  return {
    bytes: vectors.reduce((bytes, [, { byteLength }]) => bytes + byteLength, 0),
    recall({ host }, values, t) {
      for (const { name, slot } of host.inputs) {
        const kept = state[name];
        if (kept !== undefined) {
          valuesAt(values, slot).set(kept);
        }
      }
      for (const { slot, queue, steps } of host.delays) {
        const ring = rings[queue] as Float64Array;
        values.numbers[slot] = ring[(t - steps + ring.length) % ring.length] as number;
      }
    },
    keep({ host, next }, values, t, written) {
      host.queues.forEach(({ source }, index) => {
        const ring = rings[index] as Float64Array;
        ring[t % ring.length] = values.numbers[source] as number;
      });
      // What is next was computed into places of its own: no state is read after it is written.
      for (const { key, slot } of next) {
        const kept = state[key] as Float64Array;
        // One number for all tensors is that of the first that takes part.
        if (!written.has(kept)) {
          const made = valuesAt(values, slot);
          if (made.length === kept.length) {
            kept.set(made);
          } else {
            kept.fill(made[0] as number);
          }
          written.add(kept);
        }
      }
    },
    save: (count) => ({
      tensor: Object.fromEntries(ofScope("tensor").map(([key, kept]) => [key, kept[0] as number])),
      vectors: Object.fromEntries(vectors.map(([key, kept]) => [key, kept.slice()])),
      queues: rings.map((ring) =>
        Array.from(ring, (_, i) => ring[(count + 1 + i) % ring.length] as number),
      ),
    }),
    load(saved, count) {
      for (const [key, value] of Object.entries(saved.tensor)) {
        state[key]?.fill(value);
      }
      for (const [key, numbers] of Object.entries(saved.vectors)) {
        state[key]?.set(numbers);
      }
      saved.queues.forEach((queue, index) => {
        const ring = rings[index] as Float64Array;
        queue.forEach((value, i) => {
          ring[(count + 1 + i) % ring.length] = value;
        });
      });
    },
  };
}
