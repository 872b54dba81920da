/**
 * Where numbers first stopped being finite.
 *
 *     parameter ─▶ gradient ─▶ state and values of the step ─▶ update          what comes earlier is the cause
 */

import type { CompiledOptimizer } from "./compiledOptimizer.ts";
import type { NumericArray } from "./contracts.ts";
import { unpacked } from "./expr/int8.ts";
import type { Statistics, TensorStatistics } from "./inspect.ts";
import type { StoredArray } from "./runtime/tensor.ts";

/** A leaf and the earliest of its numbers that is NaN or infinite. */
export interface NonFinite {
  readonly path: string;
  /**
   * `"parameter"`: before the step, so an earlier step made it; `"gradient"`: the model or its loss;
   * `"state"`: kept by the optimizer, so an earlier step; `"value"`: named by the optimizer in this step;
   * `"update"`: the optimizer's formula, with everything before it finite.
   */
  readonly where: "parameter" | "gradient" | "state" | "value" | "update";
  /** Key of the state, or name of the value. */
  readonly name?: string;
}

/** What an array tells besides: the element. */
export interface NonFiniteArray extends NonFinite {
  /** Of the first such element, and what it is; state that is one number a tensor has index 0. */
  readonly index: number;
  readonly value: number;
  /** Elements of that array that are not finite. */
  readonly count: number;
}

/**
 * The first cause of what is not finite in an inspected step; undefined where all is finite.
 *
 * A parameter goes before a gradient of any leaf, a gradient before a value, a value before an update; leaves go in
 * their order. Of a sampled step only elements of the sample are known: inspect `"all"`. Finite numbers whose sum of squares overflows are finite here.
 *
 * @example const { statistics } = optimizer.step(gradients, { inspect: true });
 * const cause = statistics && firstNonFinite(statistics);
 */
export function firstNonFinite({ tensors }: Statistics): NonFinite | undefined {
  const looks: readonly ((tensor: TensorStatistics) => Omit<NonFinite, "path"> | undefined)[] = [
    ({ parameter }) => (Number.isFinite(parameter.max) ? undefined : { where: "parameter" }),
    ({ gradient }) => (Number.isFinite(gradient.max) ? undefined : { where: "gradient" }),
    ({ values }) => {
      const found = Object.entries(values).find(
        ([, { min, max }]) => !(Number.isFinite(min) && Number.isFinite(max)),
      );
      return found && { where: "value", name: found[0] };
    },
    ({ update }) => (Number.isFinite(update.max) ? undefined : { where: "update" }),
  ];
  for (const look of looks) {
    for (const [path, tensor] of Object.entries(tensors)) {
      const found = look(tensor);
      if (found !== undefined) {
        return { path, ...found };
      }
    }
  }
  return undefined;
}

/**
 * The first array of an optimizer that is not finite, as it stands between steps; undefined where all are.
 *
 * Parameters are looked at before state, state before the gradients that wait for the next step. After a
 * NonFiniteError, or a step that was skipped, that is the gradient that was refused: nothing else has changed.
 * Copies the state, so it is for when something went wrong.
 *
 * @example diagnose(optimizer) // { path: "dense1/kernel", where: "gradient", index: 17, value: NaN, count: 3 }
 */
export function diagnose(optimizer: CompiledOptimizer): NonFiniteArray | undefined {
  const { leaves, global } = optimizer.save();
  for (const [path, { data }] of Object.entries(optimizer.params)) {
    const found = find(data);
    if (found !== undefined) {
      return { path, where: "parameter", ...found };
    }
  }
  for (const [path, { arrays, vectors, tensor }] of Object.entries(leaves)) {
    const numbers = Object.entries({ ...global, ...tensor }).map(
      ([name, value]): [string, readonly NumericArray[]] => [name, [Float64Array.of(value)]],
    );
    const kept = Object.entries(vectors).map(([name, data]): [string, readonly NumericArray[]] => [
      name,
      [data],
    ]);
    for (const [name, slots] of [...Object.entries(arrays), ...kept, ...numbers]) {
      const found = numbersOf(slots)
        .map(find)
        .find((each) => each !== undefined);
      if (found !== undefined) {
        return { path, where: "state", name, ...found };
      }
    }
  }
  for (const [path, { data }] of Object.entries(optimizer.gradients)) {
    const found = find(data);
    if (found !== undefined) {
      return { path, where: "gradient", ...found };
    }
  }
  return undefined;
}

function find(data: NumericArray): Omit<NonFiniteArray, "path" | "where"> | undefined {
  let [index, count] = [-1, 0];
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      index = count === 0 ? i : index;
      count += 1;
    }
  }
  return count === 0 ? undefined : { index, value: data[index] as number, count };
}

/** Arrays of a state as numbers, whatever it keeps of them. */
function numbersOf(slots: readonly StoredArray[]): NumericArray[] {
  const [codes, scales] = slots;
  if (codes instanceof Uint8Array) {
    return [unpacked({ codes, scales: scales as Float32Array })];
  }
  return (slots as readonly (NumericArray | Uint16Array)[]).map((data) =>
    data instanceof Uint16Array ? fromBf16(data) : data,
  );
}

/** The numbers whose upper halves these are. */
function fromBf16(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}
