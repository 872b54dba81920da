/**
 * Tracing: a loss over values becomes a program of jax-js primitives, gradients included.
 *
 * The user's function runs once on tracers. jax-js differentiates it (`valueAndGrad`) and records
 * both passes (`makeJaxpr`); `jaxpr.ts` turns the record into plain data.
 */

import type { Tree } from "@adastra/core";
import { type Array as JaxArray, makeJaxpr, numpy as np, valueAndGrad } from "@jax-js/jax";
import { showShape } from "../errors.ts";
import type { InputSlot, Signature } from "../signature.ts";
import { toProgram } from "./jaxpr.ts";
import { Mode } from "./mode.ts";
import type { DType, Program } from "./program.ts";
import { Value } from "./value.ts";

/** `T` with every leaf replaced by the value that stands for it while tracing. */
export type Traced<T> = T extends { readonly shape: readonly number[]; readonly data: unknown }
  ? Value
  : { readonly [K in keyof T]: Traced<T[K]> };

/** A scalar loss, alone or with named values to return beside it. */
export type LossResult = Value | readonly [loss: Value, aux: Readonly<Record<string, Value>>];

export interface OutputSlot {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A function of jax-js arrays in the signature's order: parameters, then batch. Uses its arguments up. */
export type ArrayFunction = (...arrays: JaxArray[]) => JaxArray[];

/** What one trace found out. */
export interface Trace {
  readonly program: Program;
  /** Outputs a caller names: loss and aux values, or a forward function's results. */
  readonly outputs: readonly OutputSlot[];
  /** Paths of the state that a training step changes; their values are the last outputs. */
  readonly kept: readonly string[];
  /** Batch inputs used as class labels, each with the number of classes. */
  readonly bounds: ReadonlyMap<string, number>;
}

/** A trace, and the function itself. */
export interface Traceable extends Trace {
  readonly call: ArrayFunction;
}

/** While tracing, functions note here what their caller needs to know besides arrays. */
interface Notes {
  outputs: OutputSlot[];
  kept: string[];
  readonly bounds: Map<string, number>;
}

/** `[loss, ...aux, ...gradients, ...kept]` of a loss; gradients in the signature's order. */
export function gradientFunction<P extends Tree, B>(
  loss: (params: Traced<P>, batch: Traced<B>, mode: Mode) => LossResult,
  params: P,
  signature: Signature,
  notes: Notes,
): ArrayFunction {
  return (...arrays) => {
    const inputs = apart(signature, arrays);
    const batch = batchValues(signature.batch, inputs.batch, notes);
    const state = stateValues(signature.state, inputs.state);
    const differentiable = (leaves: JaxArray[]): [JaxArray, JaxArray[]] => {
      const mode = new Mode(true, state);
      const result = loss(
        paramValues(params, signature.params, leaves) as Traced<P>, // same keys, leaf by leaf
        batch as Traced<B>, // same keys, by construction of the signature
        mode,
      );
      const [scalar, aux] = result instanceof Value ? [result, {}] : readPair(result);
      if (!(scalar.shape.length === 0 && scalar.dtype === "float32")) {
        throw new TypeError(
          `compile: loss must be a float32 scalar, got ${scalar.dtype} of shape ${showShape(scalar.shape)}; reduce it with .mean() or .sum()`,
        );
      }
      const named = namedValues("aux", aux);
      notes.outputs = [{ name: "loss", shape: [] }, ...named.slots];
      const kept = [...Mode.kept(mode)];
      notes.kept = kept.map(([path]) => path);
      return [Value.lend(scalar), [...named.arrays, ...kept.map(([, value]) => Value.lend(value))]];
    };
    const [[value, rest], gradients] = valueAndGrad(differentiable, { hasAux: true })(
      inputs.params,
    ) as [
      [JaxArray, JaxArray[]],
      JaxArray[], // jax-js's types lose that a gradient has the form of its argument
    ];
    const named = notes.outputs.length - 1;
    return [value, ...rest.slice(0, named), ...gradients, ...rest.slice(named)];
  };
}

/** The results of a forward function, by name, as float32. */
export function forwardFunction<P extends Tree, B>(
  forward: (params: Traced<P>, batch: Traced<B>, mode: Mode) => Readonly<Record<string, Value>>,
  params: P,
  signature: Signature,
  notes: Notes,
): ArrayFunction {
  return (...arrays) => {
    const inputs = apart(signature, arrays);
    const named = namedValues(
      "result",
      forward(
        paramValues(params, signature.params, inputs.params) as Traced<P>, // same keys
        batchValues(signature.batch, inputs.batch, notes) as Traced<B>, // same keys
        new Mode(false, stateValues(signature.state, inputs.state)),
      ),
    );
    notes.outputs = named.slots;
    return named.arrays;
  };
}

/** Runs `build`'s function once on tracers. */
export function trace(signature: Signature, build: (notes: Notes) => ArrayFunction): Traceable {
  const notes: Notes = { outputs: [], kept: [], bounds: new Map() };
  const call = build(notes);
  const program = traceArrays(call, slotsOf(signature));
  return { program, outputs: notes.outputs, kept: notes.kept, bounds: notes.bounds, call };
}

/** The program of a function of arrays; only shapes and dtypes of `inputs` are used. */
export function traceArrays(
  call: ArrayFunction,
  inputs: readonly { readonly shape: readonly number[]; readonly dtype: DType }[],
): Program {
  const examples = inputs.map(({ shape, dtype }) => np.zeros([...shape], { dtype: np[dtype] }));
  const { jaxpr: closed } = makeJaxpr(call)(...examples);
  try {
    return toProgram(closed);
  } finally {
    closed.dispose();
  }
}

/** Every input in the order of a traced function. */
export function slotsOf({ params, batch, state }: Signature): InputSlot[] {
  return [...params, ...batch, ...state];
}

function apart(
  { params, batch }: Signature,
  arrays: readonly JaxArray[],
): Readonly<Record<keyof Signature, JaxArray[]>> {
  const [afterParams, afterBatch] = [params.length, params.length + batch.length];
  return {
    params: arrays.slice(0, afterParams),
    batch: arrays.slice(afterParams, afterBatch),
    state: arrays.slice(afterBatch),
  };
}

function stateValues(
  slots: readonly InputSlot[],
  arrays: readonly JaxArray[],
): ReadonlyMap<string, Value> {
  return new Map(slots.map(({ name }, i) => [name, Value.own(arrays[i] as JaxArray)]));
}

function batchValues(
  slots: readonly InputSlot[],
  arrays: readonly JaxArray[],
  notes: Notes,
): Readonly<Record<string, Value>> {
  return Object.fromEntries(
    slots.map(({ name }, index) => [
      name,
      Value.own(arrays[index] as JaxArray, (bound) => {
        notes.bounds.set(name, Math.min(bound, notes.bounds.get(name) ?? bound));
      }),
    ]),
  );
}

/** The user's tree again, values in place of leaves. */
function paramValues(
  tree: Tree,
  slots: readonly InputSlot[],
  arrays: readonly JaxArray[],
): Readonly<Record<string, unknown>> {
  const byPath = new Map(slots.map(({ name }, index) => [name, arrays[index] as JaxArray]));
  const walk = (branch: Tree, prefix: string): Readonly<Record<string, unknown>> =>
    Object.fromEntries(
      Object.entries(branch).map(([key, child]) => {
        const path = prefix === "" ? key : `${prefix}/${key}`;
        const array = byPath.get(path);
        return [key, array === undefined ? walk(child as Tree, path) : Value.own(array)];
      }),
    );
  return walk(tree, "");
}

function namedValues(
  what: string,
  values: Readonly<Record<string, Value>>,
): { slots: OutputSlot[]; arrays: JaxArray[] } {
  const slots: OutputSlot[] = [];
  const arrays: JaxArray[] = [];
  for (const [name, value] of Object.entries(values)) {
    if (!(value instanceof Value)) {
      throw new TypeError(`compile: ${what} "${name}" must be a Value, got ${String(value)}`);
    }
    slots.push({ name, shape: value.shape });
    arrays.push(Value.lend(value.dtype === "float32" ? value : value.cast("float32")));
  }
  return { slots, arrays };
}

function readPair(result: unknown): readonly [Value, Readonly<Record<string, Value>>] {
  if (Array.isArray(result) && result.length === 2 && result[0] instanceof Value) {
    return [result[0], result[1] as Readonly<Record<string, Value>>]; // its values are checked one by one
  }
  throw new TypeError(
    `compile: loss must return a Value or [Value, aux], got ${result instanceof Promise ? "a Promise" : String(result)}`,
  );
}
