/** What is checked of an optimizer's state before it is written, and after it was read. */

import type { OptimizerState } from "../state.ts";
import { isNumericArray, sizeOf } from "../tree.ts";
import { brief } from "./error.ts";
import { isNatural, isRecord } from "./json.ts";
import { isTensorData } from "./safetensors.ts";

/** Reports what does not fit. */
export type Expect = (ok: boolean, expected: string, got: unknown, hint?: string) => void;

/**
 * That a value has the form of a state that `save` returns: names, counts, shapes, and arrays that fit them.
 * Fields that this version does not know pass, so that an optimizer may keep more. Whether the state is that of the
 * optimizer at hand is for its `load` to say.
 */
export function checkOptimizerState(
  value: unknown,
  expect: Expect,
): asserts value is OptimizerState {
  const state = record(value, "the optimizer's state", expect);
  expect(
    typeof state["format"] === "string" && /^adastra-optimizer\/[1-9]\d*$/.test(state["format"]),
    'the optimizer\'s state must have format "adastra-optimizer/..."',
    state["format"],
    "pass what `save` returns",
  );
  expect(
    typeof state["optimizer"] === "string",
    "the optimizer must have a name",
    state["optimizer"],
  );
  const { dtype, count } = state;
  expect(
    dtype === "float32" || dtype === "float64",
    "the optimizer's dtype must be float32 or float64",
    dtype,
  );
  expect(isNatural(count), "the step count must be a natural number", count);
  numbersByKey(state["hyperparameters"], "hyperparameters", expect);
  numbersByKey(state["global"], "global state", expect);
  const leaves = Object.entries(record(state["leaves"], "the leaves", expect));
  for (const [path, leaf] of leaves) {
    checkLeaf(path, leaf, dtype as string, count as number, expect);
  }
  if (state["accumulation"] !== undefined) {
    const accumulation = record(state["accumulation"], "the accumulation", expect);
    const of = "gradients accumulated";
    expect(
      isNatural(accumulation["count"]),
      `the count of ${of} must be a natural number`,
      accumulation["count"],
    );
    for (const [path, data] of Object.entries(record(accumulation["gradients"], of, expect))) {
      expect(
        isNumericArray(data),
        `the gradient accumulated for leaf ${brief(path)} must be numbers`,
        data,
      );
    }
  }
}

function checkLeaf(
  path: string,
  value: unknown,
  dtype: string,
  total: number,
  expect: Expect,
): void {
  const leaf = record(value, `leaf ${brief(path)}`, expect);
  const { shape, count, params } = leaf;
  expect(
    Array.isArray(shape) && shape.every(isNatural),
    `leaf ${brief(path)} must have a shape of natural numbers`,
    shape,
  );
  expect(
    isNatural(count) && count <= total,
    `the step count of leaf ${brief(path)} must be a natural number up to ${total}`,
    count,
  );
  const size = sizeOf(shape as number[]);
  const fits = isNumericArray(params) && params.length === size;
  expect(fits, `parameters of leaf ${brief(path)} must be ${size} numbers`, params);
  const bits = dtype === "float32" ? 4 : 8;
  expect(
    fits && params.BYTES_PER_ELEMENT === bits,
    `parameters of leaf ${brief(path)} must be ${dtype}`,
    fits ? `${params.BYTES_PER_ELEMENT} bytes a number` : params,
  );
  for (const [key, steps] of Object.entries(
    record(leaf["arrays"], `state of leaf ${brief(path)}`, expect),
  )) {
    expect(
      Array.isArray(steps) && steps.every(isTensorData),
      `state ${brief(key)} of leaf ${brief(path)} must be a list of arrays`,
      steps,
    );
  }
  numbersByKey(leaf["tensor"], `per-tensor state of leaf ${brief(path)}`, expect);
  if (leaf["vectors"] !== undefined) {
    const vectors = record(leaf["vectors"], `vectors of leaf ${brief(path)}`, expect);
    for (const [key, data] of Object.entries(vectors)) {
      expect(
        isNumericArray(data),
        `vector ${brief(key)} of leaf ${brief(path)} must be numbers`,
        data,
      );
    }
  }
  const { queues } = leaf;
  expect(
    Array.isArray(queues) &&
      queues.every(
        (queue) => Array.isArray(queue) && queue.every((item) => typeof item === "number"),
      ),
    `leaf ${brief(path)} must hold queues of numbers`,
    queues,
  );
}

function record(value: unknown, what: string, expect: Expect): Record<string, unknown> {
  expect(isRecord(value) && !isTensorData(value), `${what} must be a record`, value);
  return value as Record<string, unknown>;
}

function numbersByKey(value: unknown, what: string, expect: Expect): void {
  if (value !== undefined) {
    for (const [key, item] of Object.entries(record(value, what, expect))) {
      expect(typeof item === "number", `${brief(key)} of ${what} must be a number`, item);
    }
  }
}
