/**
 * From a program to passes over memory.
 *
 *     program ─ rewrite, merge twins, expand functions ─▶ expressions
 *             ─ level: what must be reduced before ─────▶ passes
 *             ─ place every store in the earliest pass after which nobody reads the old value
 *             ─ hoist what is one number a tensor ──────▶ host tape + kernels
 *
 * A pass is one loop over the elements. A program without reductions over elements of the same step, or
 * one that only queues them for later (AdaShift's φ), is a single pass.
 */

import { input } from "../expr/build.ts";
import { expandMath } from "../expr/math.ts";
import { type Expr, operands, scopeOf, withOperands } from "../expr/node.ts";
import { Rewriter } from "../expr/rewrite.ts";
import { verifyProgram } from "../expr/verify.ts";
import type { Program, StateSpec } from "../optimizer.ts";
import { asNumber, HostBuilder, type HostProgram, type Slot } from "./host.ts";
import type { DType, Id, Instruction, Kernel } from "./kernel.ts";
import { mergeTwins } from "./twins.ts";
import { directWindow, recursiveWindow, windowState } from "./windows.ts";

/** An array of one number an element. Rings hold `slots` steps; step t lies in slot t mod slots. */
export interface ArraySpec {
  readonly name: string;
  readonly slots: number;
  readonly init: number;
}

/** An array as a kernel sees it: as it was `delay` steps ago. */
export interface Stream {
  readonly array: number;
  readonly delay: number;
}

/** One way to run a pass: where windows are continued, or where they are summed anew. */
export interface Variant {
  readonly kernel: Kernel;
  readonly streams: readonly Stream[];
  /** Host slots of the kernel's scalars. */
  readonly scalars: readonly Slot[];
}

export interface Pass {
  readonly steady: Variant;
  /** For the blocks whose windows are summed anew this step; absent without windows. */
  readonly refresh: Variant | undefined;
  /** Indices into `plan.reductions`, in the order of the kernel's. */
  readonly reductions: readonly number[];
  /** Whether each tensor needs a run of its own: it is reduced, or scaled by a number of its own. */
  readonly perTensor: boolean;
}

export interface Plan {
  readonly name: string;
  /** `[0]` is p, `[1]` is g; then state by key, then histories. */
  readonly arrays: readonly ArraySpec[];
  readonly passes: readonly Pass[];
  readonly reductions: readonly { readonly kind: "sum" | "max"; readonly over: "tensor" | "all" }[];
  readonly host: HostProgram;
  /** Per-tensor state: where it is read and where its next value stands. */
  readonly tensorState: readonly {
    readonly key: string;
    readonly init: number;
    readonly slot: Slot;
    readonly next: Slot;
  }[];
  /** State keys that turned out to be the same array, by the key they live on under. */
  readonly twins: ReadonlyMap<string, string>;
}

export const PARAMS = 0;
export const GRADIENT = 1;

interface Root {
  readonly array: number;
  readonly expr: Expr;
}

/**
 * Plans a program for arrays of one dtype.
 *
 * @throws TypeError when the program is not legal (see `verifyProgram`).
 */
export function plan(source: Program, dtype: DType): Plan {
  verifyProgram(source);
  const rewriter = new Rewriter();
  const expand = (e: Expr): Expr => expandOverElements(e, dtype, rewriter);
  const { program, twins } = mergeTwins(source, rewriter, expand);

  const windows = new Map<Expr, string>();
  const rings = new Map<Expr, number>();
  const everything = [program.params, ...Object.values(program.next)];
  for (const node of reachable(everything, operands)) {
    if (node.op === "window") {
      const key = windowState(windows.size);
      windows.set(node, key);
      // As the kernels will read them: rewriting moves delays to operands.
      const forms = [recursiveWindow(node, input(key, "element")), directWindow(node)];
      for (const e of reachable(
        forms.map((form) => rewriter.rewrite(form)),
        elementOperands,
      )) {
        if (e.op === "delay") {
          noteRing(rings, e.a, e.steps);
        }
      }
    } else if (node.op === "delay" && scopeOf(node) === "element") {
      noteRing(rings, node.a, node.steps);
    }
  }

  const arrays: ArraySpec[] = [
    { name: "p", slots: 1, init: 0 },
    { name: "g", slots: 1, init: 0 },
  ];
  const roots: Root[] = [{ array: PARAMS, expr: program.params }];
  const stateArray = new Map<string, number>();
  const addArray = (name: string, slots: number, init: number, expr: Expr): number => {
    const array = arrays.push({ name, slots, init }) - 1;
    roots.push({ array, expr });
    return array;
  };
  for (const [key, spec] of elementStates(program)) {
    stateArray.set(key, addArray(key, 1, spec.init, program.next[key] as Expr));
  }
  for (const [node, key] of windows) {
    stateArray.set(key, addArray(key, 1, 0, node));
  }
  const ringArray = new Map<Expr, number>();
  for (const [operand, steps] of rings) {
    if (operand.op === "input" && operand.name === "g") {
      // The gradient is written straight into its ring: no copy, one slot more.
      arrays[GRADIENT] = { name: "g", slots: steps + 1, init: 0 };
      ringArray.set(operand, GRADIENT);
    } else {
      ringArray.set(operand, addArray(`history${ringArray.size}`, steps, 0, operand));
    }
  }

  const stream = (e: Expr): Stream | undefined => {
    if (e.op === "delay" && scopeOf(e) === "element") {
      return { array: ringArray.get(e.a) as number, delay: e.steps };
    }
    if (e.op === "input" && e.scope === "element") {
      const array = e.name === "p" ? PARAMS : e.name === "g" ? GRADIENT : stateArray.get(e.name);
      return { array: array as number, delay: 0 };
    }
    return undefined;
  };
  const stateInput = (node: Expr): Expr =>
    rewriter.rewrite(input(windows.get(node) ?? "", "element"));
  const steady = (e: Expr): Expr =>
    e.op === "window" ? rewriter.rewrite(recursiveWindow(e, stateInput(e))) : e;
  const refresh = (e: Expr): Expr => (e.op === "window" ? rewriter.rewrite(directWindow(e)) : e);

  const levelOf = levels(refresh);
  const reduces = reachable(everything, operands).filter((e) => e.op === "reduce");
  const passCount =
    1 + Math.max(...roots.map(({ expr }) => levelOf(expr)), ...reduces.map((e) => levelOf(e.a)), 0);
  const stores = placeStores(roots, passCount, levelOf, (pass, cuts) => {
    const work = [
      ...roots.filter((root) => cuts.placed(root) === pass).map((root) => root.expr),
      ...reduces.filter((e) => levelOf(e.a) === pass).map((e) => e.a),
    ];
    const read = new Set<number>();
    for (const variant of [steady, refresh]) {
      for (const node of reachable(work, (e) =>
        cuts.stored(e) ? [] : elementOperands(variant(e)),
      )) {
        const from = cuts.stored(node) ? undefined : stream(variant(node));
        // A ring's oldest slot is the one that the new value overwrites.
        if (from !== undefined && (from.delay === 0 || from.delay === arrays[from.array]?.slots)) {
          read.add(from.array);
        }
      }
    }
    return read;
  });

  const host = new HostBuilder(reduces, passCount + 1, levelOf, (e) => rewriter.rewrite(e));
  const passes = Array.from({ length: passCount }, (_, pass): Pass => {
    const reductions = reduces.flatMap((e, index) => (levelOf(e.a) === pass ? [index] : []));
    const build = (variant: (e: Expr) => Expr): Built => {
      const builder = new KernelBuilder(variant, stream, host, rewriter, arrays);
      for (const root of roots) {
        if ((stores.get(root) as number) < pass) {
          builder.preload(root.expr, { array: root.array, delay: 0 });
        }
      }
      return builder.build(
        `${program.name}_${pass}${variant === refresh ? "_refresh" : ""}`,
        roots.filter((root) => stores.get(root) === pass && !isUnchanged(root, stream)),
        reductions.map((index) => reduces[index] as Expr & { op: "reduce" }),
      );
    };
    const variant = build(steady);
    return {
      steady: variant,
      refresh: windows.size === 0 ? undefined : build(refresh),
      reductions,
      perTensor: reductions.length > 0 || variant.perTensor,
    };
  });

  const tensorState = Object.entries(program.state)
    .filter(([, spec]) => spec.scope === "tensor")
    .map(([key, spec]) => ({
      key,
      init: spec.init,
      slot: host.slot(rewriter.rewrite(input(key, "tensor"))),
      next: host.slot(program.next[key] as Expr),
    }));
  return {
    name: program.name,
    arrays,
    passes,
    reductions: reduces.map((e) => ({ kind: e.kind, over: e.over })),
    host: host.finish(),
    tensorState,
    twins,
  };
}

/** Functions over elements become programs of exact operations; over tensors the host computes them. */
function expandOverElements(root: Expr, dtype: DType, rewriter: Rewriter): Expr {
  const memo = new Map<Expr, Expr>();
  const scopes = new Map();
  const walk = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const inner = withOperands(e, operands(e).map(walk));
    const isFunction = ["exp", "expm1", "log", "erf", "tanh", "pow"].includes(inner.op);
    const expanded =
      isFunction && scopeOf(inner, scopes) === "element" ? expandMath(inner, dtype) : inner;
    memo.set(e, expanded);
    return expanded;
  };
  return rewriter.rewrite(walk(root));
}

/** Every node that `next` leads to from the roots, operands before users. */
function reachable(roots: readonly Expr[], next: (e: Expr) => readonly Expr[]): Expr[] {
  const seen = new Set<Expr>();
  const order: Expr[] = [];
  const walk = (e: Expr): void => {
    if (!seen.has(e)) {
      seen.add(e);
      next(e).forEach(walk);
      order.push(e);
    }
  };
  roots.forEach(walk);
  return order;
}

/** What a kernel needs of the same step: not the operand of a delay, nor anything that the host knows. */
function elementOperands(e: Expr): readonly Expr[] {
  return e.op === "delay" ? [] : operands(e).filter((operand) => scopeOf(operand) === "element");
}

function elementStates(program: Program): [string, StateSpec][] {
  return Object.entries(program.state).filter(([, spec]) => spec.scope === "element");
}

function noteRing(rings: Map<Expr, number>, operand: Expr, steps: number): void {
  rings.set(operand, Math.max(rings.get(operand) ?? 0, steps));
}

/** The earliest pass in which a node can be computed: one after each reduction it needs. */
function levels(expandWindow: (e: Expr) => Expr): (e: Expr) => number {
  const memo = new Map<Expr, number>();
  const levelOf = (e: Expr): number => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const needs = e.op === "delay" ? [] : operands(expandWindow(e));
    const level = needs.reduce((most, operand) => Math.max(most, levelOf(operand)), 0);
    const result = e.op === "reduce" ? level + 1 : level;
    memo.set(e, result);
    return result;
  };
  return levelOf;
}

interface Cuts {
  placed(root: Root): number;
  /** Whether an earlier pass has stored this value, so that it can be loaded. */
  stored(e: Expr): boolean;
}

/** Puts each store into the earliest pass after which no pass reads the value it overwrites. */
function placeStores(
  roots: readonly Root[],
  passCount: number,
  levelOf: (e: Expr) => number,
  oldReads: (pass: number, cuts: Cuts) => ReadonlySet<number>,
): ReadonlyMap<Root, number> {
  const placed = new Map(roots.map((root) => [root, levelOf(root.expr)]));
  for (let moved = true; moved; ) {
    moved = false;
    for (let pass = 1; pass < passCount; pass++) {
      const earlier = roots.filter((root) => (placed.get(root) as number) < pass);
      const stored = new Set(earlier.map((root) => root.expr));
      const read = oldReads(pass, {
        placed: (root) => placed.get(root) as number,
        stored: (e) => stored.has(e),
      });
      for (const root of earlier) {
        if (read.has(root.array)) {
          placed.set(root, pass);
          moved = true;
        }
      }
    }
  }
  return placed;
}

/** Whether a root only writes back what it read. */
function isUnchanged(root: Root, stream: (e: Expr) => Stream | undefined): boolean {
  const from = stream(root.expr);
  return from?.array === root.array && from.delay === 0;
}

interface Built extends Variant {
  /** Whether a scalar differs from tensor to tensor. */
  readonly perTensor: boolean;
}

class KernelBuilder {
  private readonly body: Instruction[] = [];
  private readonly idOf = new Map<Expr, Id>();
  private readonly streams: Stream[] = [];
  private readonly scalars: Slot[] = [];
  private readonly scalarId = new Map<Slot, Id>();
  private perTensor = false;
  private readonly variant: (e: Expr) => Expr;
  private readonly stream: (e: Expr) => Stream | undefined;
  private readonly host: HostBuilder;
  private readonly rewriter: Rewriter;
  private readonly arrays: readonly ArraySpec[];

  constructor(
    variant: (e: Expr) => Expr,
    stream: (e: Expr) => Stream | undefined,
    host: HostBuilder,
    rewriter: Rewriter,
    arrays: readonly ArraySpec[],
  ) {
    this.variant = variant;
    this.stream = stream;
    this.host = host;
    this.rewriter = rewriter;
    this.arrays = arrays;
  }

  /** Values that an earlier pass stored, loaded when they are needed. */
  private readonly preloaded = new Map<Expr, Stream>();

  preload(e: Expr, from: Stream): void {
    this.preloaded.set(e, from);
  }

  build(
    name: string,
    roots: readonly Root[],
    reduces: readonly (Expr & { op: "reduce" })[],
  ): Built {
    const stores = roots.map((root) => ({
      stream: this.streamIndex({ array: root.array, delay: 0 }),
      value: this.value(root.expr),
    }));
    const reductions = reduces.map((e) => ({ kind: e.kind, value: this.value(e.a) }));
    return {
      kernel: {
        name: name.replaceAll(/\W/g, "_"),
        streams: this.streams.map(({ array, delay: steps }) => {
          const label = this.arrays[array]?.name ?? "";
          return steps === 0 ? label : `${label}_${steps}`;
        }),
        scalars: this.scalars.map((slot) => `s${slot}`),
        body: this.body,
        stores,
        reductions,
      },
      streams: this.streams,
      scalars: this.scalars,
      perTensor: this.perTensor,
    };
  }

  private value(original: Expr): Id {
    const known = this.idOf.get(original);
    if (known !== undefined) {
      return known;
    }
    const id = this.emit(original);
    this.idOf.set(original, id);
    return id;
  }

  private emit(original: Expr): Id {
    const from = this.preloaded.get(original);
    if (from !== undefined && original.op !== "const") {
      return this.push({ op: "load", stream: this.streamIndex(from) });
    }
    const scope = scopeOf(original);
    if (scope !== "element") {
      return this.hoist(original, scope);
    }
    const e = this.variant(original);
    if (e !== original) {
      return this.value(e);
    }
    const read = this.stream(e);
    if (read !== undefined) {
      return this.push({ op: "load", stream: this.streamIndex(read) });
    }
    const ids = operands(e).map((operand) => this.value(operand));
    const [a, b, c] = ids as [Id, Id, Id];
    if (e.op === "select") {
      return this.push({ op: "select", cond: a, a: b, b: c });
    }
    // The remaining operations carry the same names as instructions, functions being expanded.
    return this.push((ids.length === 2 ? { op: e.op, a, b } : { op: e.op, a }) as Instruction);
  }

  /** A value that is the same for all elements: a constant, or a scalar that the host fills in. */
  private hoist(e: Expr, scope: "step" | "tensor"): Id {
    if (e.op === "const") {
      return this.push({ op: "const", value: e.value });
    }
    this.perTensor ||= scope === "tensor";
    const number = this.rewriter.rewrite(asNumber(e));
    const slot = this.host.slot(number);
    let id = this.scalarId.get(slot);
    if (id === undefined) {
      id = this.push({ op: "scalar", index: this.scalars.push(slot) - 1 });
      this.scalarId.set(slot, id);
    }
    if (number === e) {
      return id;
    }
    const zero = this.value(this.rewriter.rewrite({ op: "const", value: 0 }));
    return this.push({ op: "lt", a: zero, b: id });
  }

  private streamIndex(from: Stream): number {
    const known = this.streams.findIndex(
      (other) => other.array === from.array && other.delay === from.delay,
    );
    return known >= 0 ? known : this.streams.push(from) - 1;
  }

  private push(instruction: Instruction): Id {
    return this.body.push(instruction) - 1;
  }
}
