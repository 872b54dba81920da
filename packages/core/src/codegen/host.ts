/**
 * The part of a program that is one number a step or a tensor: bias corrections, rates, per-tensor state.
 *
 * It runs on the host in float64 before, between and after the passes over elements, the same code for
 * every backend. A tape of instructions writes into one Float64Array a tensor; a truth value is 1 or 0.
 */

import { expandMath } from "../expr/math.ts";
import type { Expr, MathUnary } from "../expr/node.ts";
import { isMask, operands } from "../expr/node.ts";
import { type BitOperations, bitOperations } from "./format.ts";

/** Index into a tensor's values. */
export type Slot = number;

export interface HostInstruction {
  readonly op: Expr["op"];
  readonly out: Slot;
  readonly operands: readonly Slot[];
}

export interface HostProgram {
  readonly slots: number;
  /** Constants, written once. */
  readonly constants: readonly { readonly slot: Slot; readonly value: number }[];
  /** Inputs by name that the program reads: t, lr, size, totalSize, per-tensor state. */
  readonly inputs: ReadonlyMap<string, Slot>;
  /** Where the result of each reduction goes, in the order of `plan.reductions`. */
  readonly reductions: readonly Slot[];
  /** Per-tensor values of earlier steps: `queue` holds `source` of the last `length` steps. */
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
  private readonly inputs = new Map<string, Slot>();
  private readonly reductionSlots: Slot[];
  private readonly queueOf = new Map<Expr, number>();
  private readonly queues: { source: Slot; length: number }[] = [];
  private readonly delays: { slot: Slot; queue: number; steps: number }[] = [];
  private readonly levels: HostInstruction[][];
  private slots = 0;
  private readonly reductions: readonly Expr[];
  private readonly levelOf: (e: Expr) => number;
  private readonly rewrite: (e: Expr) => Expr;

  /** `reductions` are the program's, in the order their results will arrive. */
  constructor(
    reductions: readonly Expr[],
    levels: number,
    levelOf: (e: Expr) => number,
    rewrite: (e: Expr) => Expr,
  ) {
    this.reductions = reductions;
    this.levelOf = levelOf;
    this.rewrite = rewrite;
    this.reductionSlots = reductions.map(() => this.fresh());
    this.levels = Array.from({ length: levels }, () => []);
  }

  /** The slot that will hold an expression of step or tensor scope. */
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
    return {
      slots: this.slots,
      constants: this.constants,
      inputs: this.inputs,
      reductions: this.reductionSlots,
      queues: this.queues,
      delays: this.delays,
      levels: this.levels,
    };
  }

  private place(e: Expr): Slot {
    switch (e.op) {
      case "const": {
        const slot = this.fresh();
        this.constants.push({ slot, value: e.value });
        return slot;
      }
      case "input": {
        const slot = this.fresh();
        this.inputs.set(e.name, slot);
        return slot;
      }
      case "reduce":
        return this.reductionSlots[this.reductions.indexOf(e)] as Slot;
      case "delay":
        return this.placeDelay(e.a, e.steps);
      case "window":
        throw new TypeError("plan: a window runs over elements, got tensor scope");
      case "erf":
        // The only function that JavaScript lacks: the elements' own program, in float64.
        return this.slot(this.rewrite(expandMath(e, "float64")));
      default: {
        const inner = operands(e).map((operand) => this.slot(operand));
        const slot = this.fresh();
        this.levels[this.levelOf(e)]?.push({ op: e.op, out: slot, operands: inner });
        return slot;
      }
    }
  }

  private placeDelay(source: Expr, steps: number): Slot {
    const slot = this.fresh();
    let queue = this.queueOf.get(source);
    if (queue === undefined) {
      queue = this.queues.length;
      this.queueOf.set(source, queue);
      this.queues.push({ source: -1, length: 0 });
    }
    const entry = this.queues[queue] as { source: Slot; length: number };
    entry.length = Math.max(entry.length, steps);
    this.delays.push({ slot, queue, steps });
    entry.source = this.slot(source);
    return slot;
  }

  private fresh(): Slot {
    return this.slots++;
  }
}

/** Runs the instructions of one level over a tensor's values. */
export function runHost(instructions: readonly HostInstruction[], values: Float64Array): void {
  for (const { op, out, operands: at } of instructions) {
    const a = values[at[0] as Slot] as number;
    const b = values[at[1] as Slot] as number;
    values[out] = compute(op, a, b, () => values[at[2] as Slot] as number);
  }
}

/** The two operations on bits, in float64 as everything here. */
const BITS: BitOperations = /* @__PURE__ */ bitOperations("float64");

function compute(op: Expr["op"], a: number, b: number, c: () => number): number {
  switch (op) {
    case "neg":
      return -a;
    case "abs":
      return Math.abs(a);
    case "sqrt":
      return Math.sqrt(a);
    case "floor":
      return Math.floor(a);
    case "exponent":
      return BITS.exponent(a);
    case "exp2i":
      return BITS.exp2i(a);
    case "exp":
    case "expm1":
    case "log":
    case "tanh":
      return hostMath(op, a);
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return a * b;
    case "div":
      return a / b;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "pow":
      return a ** b;
    case "lt":
      return a < b ? 1 : 0;
    case "le":
      return a <= b ? 1 : 0;
    case "eq":
      return a === b ? 1 : 0;
    case "and":
      return a !== 0 && b !== 0 ? 1 : 0;
    case "or":
      return a !== 0 || b !== 0 ? 1 : 0;
    case "not":
      return a === 0 ? 1 : 0;
    case "select":
      return a !== 0 ? b : c();
    case "const":
    case "input":
    case "delay":
    case "window":
    case "reduce":
    case "erf":
      throw new TypeError(`runHost: "${op}" is placed, not computed`);
    default:
      return op satisfies never;
  }
}

function hostMath(op: Exclude<MathUnary, "erf">, a: number): number {
  switch (op) {
    case "exp":
      return Math.exp(a);
    case "expm1":
      return Math.expm1(a);
    case "log":
      return Math.log(a);
    case "tanh":
      return Math.tanh(a);
    default:
      return op satisfies never;
  }
}

/** A host truth value as a number that a kernel can take: 1 or 0. */
export function asNumber(e: Expr): Expr {
  return isMask(e)
    ? { op: "select", cond: e, a: { op: "const", value: 1 }, b: { op: "const", value: 0 } }
    : e;
}
