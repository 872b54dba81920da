/** What a row of the op table is given: a node's inputs and attributes, read by what the row expects. */

import type { Scope } from "../nn/layer.ts";
import { Value } from "../trace/value.ts";
import { OnnxError } from "./errors.ts";
import type { OnnxNode } from "./file.ts";
import { Known } from "./known.ts";

/** A tensor while a model is traced. */
export type Operand = Value | Known;

/** One op of ONNX: what its nodes compute. */
export interface Row {
  /** Least and greatest number of inputs. */
  readonly arity: readonly [least: number, most: number];
  /** Places of inputs that say what to compute rather than what with: weights found there are constants. */
  readonly known?: readonly number[];
  /** Places of inputs that are kept beside parameters, without gradients. */
  readonly kept?: readonly number[];
  run(call: Call): Operand | readonly Operand[];
}

export type RowTable = Readonly<Record<string, Row>>;

export interface Call {
  readonly opset: number;
  /** How many outputs anybody reads, from the first on. */
  readonly outputs: number;
  readonly inputs: readonly (Operand | undefined)[];
  readonly scope: Scope;
  /** Normalise training batches by their own statistics. */
  readonly batchStatistics: boolean;
  readonly node: OnnxNode;
  has(index: number): boolean;
  operand(index: number): Operand;
  /** The input in the traced graph. */
  value(index: number): Value;
  /** The input's numbers. */
  known(index: number): Known;
  int(name: string, otherwise?: number): number;
  float(name: string, otherwise?: number): number;
  text(name: string, otherwise: string): string;
  ints(name: string): readonly number[] | undefined;
  /** Integers that moved from an attribute to an input: wherever this node has them. */
  integers(name: string, index: number): readonly number[] | undefined;
  /** An error that names op and node. */
  fail(detail: string): OnnxError;
}

export function callOf(
  given: Pick<Call, "node" | "inputs" | "opset" | "outputs" | "scope" | "batchStatistics">,
): Call {
  const { node, inputs } = given;
  const fail = (detail: string): OnnxError =>
    new OnnxError(`apply: ${node.op} node "${node.name}": ${detail}`);
  const operand = (index: number): Operand => {
    const input = inputs[index];
    if (input === undefined) {
      throw fail(`input ${index} must be there, got ${inputs.length} inputs`);
    }
    return input;
  };
  const known = (index: number): Known => {
    const input = operand(index);
    if (input instanceof Value) {
      throw fail(
        `input "${node.inputs[index]}" must be known while tracing, got numbers that depend on the model's input or weights; shapes are static here, so export the model with static ones`,
      );
    }
    return input;
  };
  const attribute = <T>(
    name: string,
    expected: string,
    holds: (value: unknown) => boolean,
  ): T | undefined => {
    const value = node.attributes.get(name);
    if (value !== undefined && !holds(value)) {
      throw fail(
        `\`${name}\` must be ${expected}, got ${value instanceof Known ? "a tensor" : String(value)}`,
      );
    }
    return value as T | undefined; // `holds` said so
  };
  const required = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) {
      throw fail(`\`${name}\` must be given, got none`);
    }
    return value;
  };
  const isInteger = (value: unknown): boolean => Number.isInteger(value);
  const ints = (name: string): readonly number[] | undefined =>
    attribute(name, "integers", (value) => Array.isArray(value) && value.every(isInteger));
  return {
    ...given,
    has: (index) => inputs[index] !== undefined,
    operand,
    value: (index) => valueOf(operand(index)),
    known,
    int: (name, otherwise) =>
      required(name, attribute<number>(name, "an integer", isInteger) ?? otherwise),
    float: (name, otherwise) =>
      required(
        name,
        attribute<number>(name, "a number", (value) => typeof value === "number") ?? otherwise,
      ),
    text: (name, otherwise) =>
      attribute<string>(name, "a word", (value) => typeof value === "string") ?? otherwise,
    ints,
    integers: (name, index) =>
      inputs[index] === undefined ? ints(name) : Array.from(known(index).data),
    fail,
  };
}

export function valueOf(operand: Operand): Value {
  return operand instanceof Value ? operand : operand.toValue();
}

/** An axis counted from the front. */
export function wrapAxis(call: Call, axis: number, rank: number): number {
  const wrapped = axis < 0 ? axis + rank : axis;
  if (!(Number.isInteger(wrapped) && wrapped >= 0 && wrapped < rank)) {
    throw call.fail(`axis must be one of ${rank}, got ${axis}`);
  }
  return wrapped;
}

/** Axes counted from the front; each once. */
export function wrapAxes(call: Call, axes: readonly number[], rank: number): readonly number[] {
  const wrapped = axes.map((axis) => wrapAxis(call, axis, rank));
  if (new Set(wrapped).size !== wrapped.length) {
    throw call.fail(`axes must differ, got [${axes.join(", ")}]`);
  }
  return wrapped;
}
