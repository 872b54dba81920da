/**
 * The part of a program that is one number a step, a tensor, a row or a column: bias corrections, rates, state.
 *
 * It runs on the host in float64 before, between and after the passes over elements, the same code for
 * every backend. A tape of instructions writes into the values of a tensor: one Float64Array for what is one number,
 * one for each vector of rows or columns; a truth value is 1 or 0.
 */

import { expandMath } from "../expr/math.ts";
import type { Expr, ReduceOver, Scope } from "../expr/node.ts";
import { isMask, operands, scopeOf } from "../expr/node.ts";
import { OPERATIONS, type Operation, type Operations } from "./operations.ts";

/** Where a value stands: from 0 on among a tensor's numbers, below 0 its vector number −1 − slot. */
export type Slot = number;

export interface HostInstruction {
  readonly op: Expr["op"];
  readonly out: Slot;
  readonly operands: readonly Slot[];
  /** Of a reduction: what it does, and over what. */
  readonly reduce?: { readonly kind: "sum" | "max"; readonly over: ReduceOver; readonly of: Scope };
}

export interface HostProgram {
  /** Numbers a tensor. */
  readonly slots: number;
  /** Scope of each vector. */
  readonly vectors: readonly ("row" | "column")[];
  /** Constants, written once. */
  readonly constants: readonly { readonly slot: Slot; readonly value: number }[];
  /** What the program reads by name: t, lr, hyperparameters, state that is not one number an element. */
  readonly inputs: readonly { readonly name: string; readonly slot: Slot }[];
  /** Numbers of earlier steps: `queue` holds `source` of the last `length` steps. */
  readonly queues: readonly { readonly source: Slot; readonly length: number }[];
  readonly delays: readonly {
    readonly slot: Slot;
    readonly queue: number;
    readonly steps: number;
  }[];
  /** Instructions by level: those of level k need the reductions of the passes before pass k. */
  readonly levels: readonly (readonly HostInstruction[])[];
}

/** Collects host expressions and gives each a slot. */
export class HostBuilder {
  private readonly slotOf = new Map<Expr, Slot>();
  private readonly constants: { slot: Slot; value: number }[] = [];
  private readonly inputs: { name: string; slot: Slot }[] = [];
  private readonly delays: { slot: Slot; queue: number; steps: number }[] = [];
  private readonly levels: HostInstruction[][];
  private readonly vectors: ("row" | "column")[] = [];
  private readonly scopes = new Map<Expr, Scope>();
  private slots = 0;
  private readonly levelOf: (e: Expr) => number;
  private readonly rewrite: (e: Expr) => Expr;
  private readonly queues: ReadonlyMap<Expr, number>;

  /** `queues` are the numbers whose past is needed and how far back, in the order of their queues. */
  constructor(
    levels: number,
    levelOf: (e: Expr) => number,
    rewrite: (e: Expr) => Expr,
    queues: ReadonlyMap<Expr, number>,
  ) {
    this.levelOf = levelOf;
    this.rewrite = rewrite;
    this.queues = queues;
    this.levels = Array.from({ length: levels }, () => []);
  }

  /** The slot that will hold an expression that is not one number an element. */
  slot(e: Expr): Slot {
    const known = this.slotOf.get(e);
    if (known !== undefined) {
      return known;
    }
    const slot = this.place(e);
    this.slotOf.set(e, slot);
    return slot;
  }

  finish(): HostProgram {
    const queues = Array.from(this.queues, ([e, length]) => ({ source: this.slot(e), length }));
    return {
      slots: this.slots,
      vectors: this.vectors,
      constants: this.constants,
      inputs: this.inputs,
      queues,
      delays: this.delays,
      levels: this.levels,
    };
  }

  private place(e: Expr): Slot {
    switch (e.op) {
      case "const": {
        const slot = this.fresh(e);
        this.constants.push({ slot, value: e.value });
        return slot;
      }
      case "input": {
        const slot = this.fresh(e);
        this.inputs.push({ name: e.name, slot });
        return slot;
      }
      case "reduce":
        return this.placeReduction(e);
      case "delay":
        return this.placeDelay(e.a, e.steps);
      case "window":
        throw new TypeError("plan: a window runs over elements, got tensor scope");
      case "erf":
      case "cosPi":
        // JavaScript lacks them: the elements' own programs, in float64.
        return this.slot(this.rewrite(expandMath(e, "float64")));
      default: {
        const inner = operands(e).map((operand) => this.slot(operand));
        const slot = this.fresh(e);
        this.levels[this.levelOf(e)]?.push({ op: e.op, out: slot, operands: inner });
        return slot;
      }
    }
  }

  /** Where a pass leaves a reduction over elements; what is narrower the host reduces itself. */
  private placeReduction(e: Expr & { op: "reduce" }): Slot {
    const of = scopeOf(e.a, this.scopes);
    if (of === "element") {
      return this.fresh(e);
    }
    const source = this.slot(e.a);
    const slot = this.fresh(e);
    const { kind, over } = e;
    const reduce = { kind, over, of };
    this.levels[this.levelOf(e.a)]?.push({ op: "reduce", out: slot, operands: [source], reduce });
    return slot;
  }

  private placeDelay(source: Expr, steps: number): Slot {
    const slot = this.slots++;
    this.delays.push({ slot, queue: [...this.queues.keys()].indexOf(source), steps });
    return slot;
  }

  private fresh(e: Expr): Slot {
    const scope = scopeOf(e, this.scopes);
    return scope === "row" || scope === "column" ? -this.vectors.push(scope) : this.slots++;
  }
}

/** The values of one tensor: numbers by slot, vectors by −1 − slot. */
export interface HostValues {
  readonly numbers: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** Values for a tensor of so many rows and columns, constants in place. */
export function allocateValues(
  { slots, vectors, constants }: HostProgram,
  { rows, columns }: Matrix,
): HostValues {
  const values = {
    numbers: new Float64Array(slots),
    vectors: vectors.map((scope) => new Float64Array(scope === "row" ? rows : columns)),
  };
  for (const { slot, value } of constants) {
    values.numbers[slot] = value;
  }
  return values;
}

/** All numbers of a slot; for one number, an array of one that shares its memory. */
export function valuesAt({ numbers, vectors }: HostValues, slot: Slot): Float64Array {
  return slot < 0 ? (vectors[-1 - slot] as Float64Array) : numbers.subarray(slot, slot + 1);
}

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
}

/** Runs the instructions of one level over a tensor's values. */
export type HostRunner = (
  instructions: readonly HostInstruction[],
  values: HostValues,
  matrix: Matrix,
) => void;

/** Runs any instructions. */
export const runHost: HostRunner = (instructions, values, matrix) => {
  for (const instruction of instructions) {
    const { out, operands: at, reduce } = instruction;
    if (reduce !== undefined) {
      hostReduce(reduce, valuesAt(values, at[0] as Slot), valuesAt(values, out), matrix);
    } else if (out >= 0) {
      computeNumber(instruction, values, OPERATIONS);
    } else {
      computeVector(instruction, values);
    }
  }
};

/** Runs instructions whose operands and results are single numbers, by the operations given. */
export function onNumbers(operations: Operations): HostRunner {
  return (instructions, values) => {
    for (const instruction of instructions) {
      computeNumber(instruction, values, operations);
    }
  };
}

function computeNumber(
  { op, out, operands: at }: HostInstruction,
  { numbers }: HostValues,
  operations: Operations,
): void {
  const compute = operations[op] as Operation;
  // An operand that is not there is not read: any number will do, and one that exists is found fast.
  const read = (slot = 0): number => numbers[slot] as number;
  numbers[out] = compute(read(at[0]), read(at[1]), read(at[2]));
}

function computeVector(
  { op, out, operands: at }: HostInstruction,
  { numbers, vectors }: HostValues,
): void {
  const read = (slot: Slot | undefined, i: number): number =>
    slot === undefined ? 0 : ((slot < 0 ? vectors[-1 - slot]?.[i] : numbers[slot]) as number);
  const compute = (OPERATIONS as Operations)[op] as Operation;
  const result = vectors[-1 - out] as Float64Array;
  for (let i = 0; i < result.length; i++) {
    result[i] = compute(read(at[0], i), read(at[1], i), read(at[2], i));
  }
}

/**
 * Reduces what is narrower than elements as if it stood at each of them: a sum over a tensor counts a row's number
 * once for each column. `over` decides the shape of the result, one number where it is the tensor or all tensors.
 */
function hostReduce(
  { kind, over, of }: NonNullable<HostInstruction["reduce"]>,
  from: Float64Array,
  to: Float64Array,
  { rows, columns }: Matrix,
): void {
  const terms = over === "row" ? columns : over === "column" ? rows : rows * columns;
  const identity = kind === "sum" ? 0 : Number.NEGATIVE_INFINITY;
  if (of === over || (of !== "row" && of !== "column")) {
    // Each result sees one number, `terms` times.
    for (let i = 0; i < to.length; i++) {
      const x = from[of === over ? i : 0] as number;
      to[i] = terms === 0 ? identity : kind === "sum" ? x * terms : x;
    }
    return;
  }
  const times = terms / from.length;
  const total = from.reduce((sum, x) => (kind === "sum" ? sum + x : Math.max(sum, x)), identity);
  to.fill(from.length === 0 || terms === 0 ? identity : kind === "sum" ? total * times : total);
}

/** A host truth value as a number that a kernel can take: 1 or 0. */
export function asNumber(e: Expr): Expr {
  return isMask(e)
    ? { op: "select", cond: e, a: { op: "const", value: 1 }, b: { op: "const", value: 0 } }
    : e;
}
