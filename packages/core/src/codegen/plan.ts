/**
 * From a program to passes over memory.
 *
 *     program ─ rewrite, merge twins, expand functions ─▶ expressions
 *             ─ level: what must be reduced before ─────▶ passes
 *             ─ place every store in the earliest pass after which nobody reads the old value
 *             ─ hoist what is one number a tensor ──────▶ host tape + kernels
 *
 * A pass is one loop over the elements. A program without reductions over elements of the same step, or
 * one that only queues them for later (AdaShift's φ), is a single pass. A pass that needs or makes numbers of rows or
 * columns runs row by row: a row's number is a scalar of the run, the numbers of the columns are an array beside it.
 */

import { input } from "../expr/build.ts";
import { expandMath } from "../expr/math.ts";
import {
  type Expr,
  kernelOperands,
  operands,
  reachable,
  scopeOf,
  withOperands,
} from "../expr/node.ts";
import { Rewriter } from "../expr/rewrite.ts";
import { packingOf } from "../expr/verify.ts";
import type { KeptFormat, Program, ProgramPhase } from "../optimizer.ts";
import type { Packing } from "../runtime/parts.ts";
import { demand } from "./demand.ts";
import { HostBuilder, type Slot } from "./host.ts";
import type { DType, Kernel } from "./kernel.ts";
import { type Built, KernelBuilder } from "./kernelBuilder.ts";
import { levels } from "./levels.ts";
import {
  type ArraySpec,
  type ColumnSpec,
  EVALUATED,
  GRADIENT,
  PARAMS,
  type Pass,
  type PhasePlan,
  type Plan,
  type Stream,
  type Variant,
} from "./passes.ts";
import { mergeTwins } from "./twins.ts";
import { directWindow, recursiveWindow, windowState } from "./windows.ts";

interface Root {
  readonly array: number;
  readonly expr: Expr;
  /** Set where what is stored becomes something else before the next pass. */
  readonly matrix?: Expr & { op: "newtonSchulz" };
}

/**
 * Plans a program without choices for arrays of one dtype.
 *
 * @param sites - by domain, the pass from which on a reduction over all tensors is known, where others take longer.
 */
export function plan(
  source: Program,
  dtype: DType,
  sites: ReadonlyMap<string, number> = new Map(),
): Plan {
  const rewriter = new Rewriter();
  const expand = (e: Expr): Expr => expandOverElements(e, dtype, rewriter);
  const { program, twins } = mergeTwins(source, rewriter, expand);
  const arrays = new ArrayBuilder(program, rewriter);
  const planner = new PhasePlanner(arrays, rewriter, sites);
  const element = (key: string): boolean => program.state[key]?.scope === "element";
  const rootsOf = ({ params, next }: ProgramPhase): Root[] => [
    { array: PARAMS, expr: params },
    ...Object.keys(next)
      .filter(element)
      .map((key) => ({ array: arrays.state(key), expr: next[key] as Expr })),
  ];
  const step = (name: string, inspect: Inspected): PhasePlan =>
    planner.plan(
      name,
      program.status,
      [...rootsOf(program), ...arrays.histories],
      hostNext(program, program),
      inspect,
      true,
    );
  const plain = step(program.name, {});
  return {
    name: program.name,
    arrays: arrays.specs,
    step: plain,
    before: program.before.map((each, i) =>
      planner.plan(
        `${program.name}_before${i}`,
        each.status,
        rootsOf(each),
        hostNext(program, each),
        {},
        false,
      ),
    ),
    inspected:
      Object.keys(program.inspect).length > 0
        ? withKernelsOf(plain, step(`${program.name}_inspected`, program.inspect))
        : undefined,
    evaluation:
      program.evaluation === undefined
        ? undefined
        : planner.plan(
            `${program.name}_evaluation`,
            program.status,
            [{ array: EVALUATED, expr: program.evaluation }],
            {},
            {},
            false,
          ),
    hostState: Object.entries(program.state).flatMap(([key, { scope, init }]) =>
      scope === "element" ? [] : [{ key, scope, init: init as number }],
    ),
    twins,
  };
}

type Inspected = Readonly<Record<string, Expr>>;

type Reduce = Expr & { op: "reduce" };

/** A phase with the kernels of another where they do the same: compiled once, and as warm. */
function withKernelsOf(plain: PhasePlan, phase: PhasePlan): PhasePlan {
  const kernelAs = ({ kernel, ...rest }: Variant, known: Variant | undefined): Variant => {
    const same = known !== undefined && codeOf(kernel) === codeOf(known.kernel);
    return { kernel: same ? known.kernel : kernel, ...rest };
  };
  const passes = phase.passes.map((pass, level): Pass => {
    const known = plain.passes[level];
    return {
      ...pass,
      steady: kernelAs(pass.steady, known?.steady),
      refresh: pass.refresh && kernelAs(pass.refresh, known?.refresh),
    };
  });
  return { ...phase, passes };
}

/** What a kernel does, without names. */
function codeOf({ name: _name, streams, scalars, ...code }: Kernel): string {
  return JSON.stringify([streams, scalars.length, code], (_, x: unknown) =>
    typeof x === "number" && !(Number.isFinite(x) && !Object.is(x, -0)) ? `${1 / x}/${x}` : x,
  );
}

/** Next values of the state that the host keeps. */
function hostNext(program: Program, { next }: ProgramPhase): Record<string, Expr> {
  return Object.fromEntries(
    Object.entries(next).filter(([key]) => program.state[key]?.scope !== "element"),
  );
}

const BF16 = { format: "bf16" } as const;

/** How an array of a state's format is kept. */
function keptAs(format: KeptFormat | undefined): Pick<ArraySpec, "format"> {
  return format === undefined ? {} : format.packing === undefined ? BF16 : { format: "int8" };
}

/** The arrays of a program: parameter, gradient, state, windows, histories. */
class ArrayBuilder {
  readonly specs: ArraySpec[] = [
    { name: "p", slots: 1, init: 0 },
    { name: "g", slots: 1, init: 0 },
  ];
  /** Arrays that the planner adds, and what each step puts into them. */
  readonly histories: Root[] = [];
  /** Numbers of a tensor whose past is needed, and how far back. */
  readonly queues: Map<Expr, number> = new Map();
  readonly hasWindows: boolean;
  readonly packing: Packing | undefined;
  private readonly stateArray = new Map<string, number>();
  private readonly ringArray = new Map<Expr, number>();
  private readonly windows = new Map<Expr, string>();
  private readonly matrixArray = new Map<Expr, number>();
  private readonly rewriter: Rewriter;

  constructor(program: Program, rewriter: Rewriter) {
    this.rewriter = rewriter;
    const rings = this.findRings(program);
    this.hasWindows = this.windows.size > 0;
    this.packing = packingOf(program);
    for (const [key, { scope, init, format }] of Object.entries(program.state)) {
      if (scope === "element") {
        const spec = { name: key, slots: 1, init, ...keptAs(format) };
        this.stateArray.set(key, this.specs.push(spec) - 1);
      }
    }
    for (const [node, key] of this.windows) {
      this.stateArray.set(key, this.add(key, 1, node));
    }
    for (const [operand, steps] of rings) {
      if (operand.op === "input" && operand.name === "g") {
        // The gradient is written straight into its ring: no copy, one slot more.
        this.specs[GRADIENT] = { name: "g", slots: steps + 1, init: 0 };
        this.ringArray.set(operand, GRADIENT);
      } else {
        this.ringArray.set(operand, this.add(`history${this.ringArray.size}`, steps, operand));
      }
    }
  }

  /** The operands of matrix stages below expressions, and where they are worked on. */
  matrices(roots: readonly Expr[]): Root[] {
    return reachable(roots, operands).flatMap((e) => {
      if (e.op !== "newtonSchulz") {
        return [];
      }
      const name = `matrix${this.matrixArray.size}`;
      const array =
        this.matrixArray.get(e) ?? this.specs.push({ name, slots: 1, init: 0, work: true }) - 1;
      this.matrixArray.set(e, array);
      return [{ array, expr: e.a, matrix: e }];
    });
  }

  state(key: string): number {
    return this.stateArray.get(key) as number;
  }

  /** Where an expression over elements is read from, if it is. */
  stream(e: Expr): Stream | undefined {
    if (e.op === "delay" && scopeOf(e) === "element") {
      return { array: this.ringArray.get(e.a) as number, delay: e.steps };
    }
    if (e.op === "newtonSchulz") {
      return { array: this.matrixArray.get(e) as number, delay: 0 };
    }
    if (e.op === "input" && e.scope === "element") {
      const array = e.name === "p" ? PARAMS : e.name === "g" ? GRADIENT : this.state(e.name);
      return { array, delay: 0 };
    }
    return undefined;
  }

  /** A window as it is continued. */
  readonly steady = (e: Expr): Expr =>
    e.op === "window"
      ? this.rewriter.rewrite(recursiveWindow(e, input(this.windows.get(e) ?? "", "element")))
      : e;

  /** A window as it is summed anew. */
  readonly refresh = (e: Expr): Expr =>
    e.op === "window" ? this.rewriter.rewrite(directWindow(e)) : e;

  private add(name: string, slots: number, expr: Expr): number {
    // The past of what is rounded fits 16 bits.
    const rounded = expr.op === "bf16" || expr.op === "bf16Stochastic";
    const array = this.specs.push({ name, slots, init: 0, ...(rounded && BF16) }) - 1;
    this.histories.push({ array, expr });
    return array;
  }

  /** Expressions over elements whose past is needed, and how far back. */
  private findRings(program: Program): Map<Expr, number> {
    const rings = new Map<Expr, number>();
    const note = (operand: Expr, steps: number, kept = rings): void => {
      kept.set(operand, Math.max(kept.get(operand) ?? 0, steps));
    };
    const roots = [
      program.params,
      ...Object.values(program.next),
      ...Object.values(program.inspect),
    ];
    for (const node of reachable(roots, operands)) {
      if (node.op === "window") {
        const key = windowState(this.windows.size);
        this.windows.set(node, key);
        // As the kernels will read them: rewriting moves delays to operands.
        const forms = [recursiveWindow(node, input(key, "element")), directWindow(node)];
        for (const e of reachable(
          forms.map((form) => this.rewriter.rewrite(form)),
          kernelOperands,
        )) {
          if (e.op === "delay") {
            note(e.a, e.steps);
          }
        }
      } else if (node.op === "delay") {
        note(node.a, node.steps, scopeOf(node) === "element" ? rings : this.queues);
      }
    }
    return rings;
  }
}

/** Plans the phases of one program over the same arrays. */
class PhasePlanner {
  private readonly arrays: ArrayBuilder;
  private readonly rewriter: Rewriter;
  private readonly sites: ReadonlyMap<string, number>;

  constructor(arrays: ArrayBuilder, rewriter: Rewriter, sites: ReadonlyMap<string, number>) {
    this.arrays = arrays;
    this.rewriter = rewriter;
    this.sites = sites;
  }

  plan(
    name: string,
    status: ProgramPhase["status"],
    results: readonly Root[],
    next: Readonly<Record<string, Expr>>,
    inspect: Inspected,
    looksBack: boolean,
  ): PhasePlan {
    const { arrays, rewriter } = this;
    const { steady, refresh } = arrays;
    const levelOf = levels(refresh, this.sites);
    const queues: ReadonlyMap<Expr, number> = looksBack ? arrays.queues : new Map();
    // Statistics over elements stand apart from equal reductions of the step: they may run over a sample.
    const probed = new Map<Expr, Reduce>();
    for (const e of Object.values(inspect)) {
      if (e.op === "reduce" && scopeOf(e.a) === "element") {
        probed.set(e, { ...e });
      }
    }
    const others = [
      ...Object.values(next),
      ...Object.values(inspect).map((e) => probed.get(e)?.a ?? e),
      ...queues.keys(),
    ];
    const matrices = arrays.matrices([...results.map(({ expr }) => expr), ...others]);
    const roots = [...results, ...matrices];
    const everything = [...roots.map(({ expr }) => expr), ...others];
    const nodes = reachable(everything, operands);
    const reduces = nodes.filter((e) => e.op === "reduce");
    // Reduced in passes; the host reduces what is narrower.
    const inPasses: Reduce[] = reduces.filter((e) => scopeOf(e.a) === "element");
    const reduced = [...inPasses, ...probed.values()];
    const passCount =
      1 +
      Math.max(
        ...roots.map(({ expr }) => levelOf(expr)),
        ...reduced.map((e) => levelOf(e.a)),
        ...reduces.flatMap((e) => (e.over === "all" ? [levelOf(e) - 1] : [])),
        0,
      );
    const stores = placeStores(roots, passCount, levelOf, (pass, cuts) => {
      const work = [
        ...roots.filter((root) => cuts.placed(root) === pass).map((root) => root.expr),
        ...reduced.filter((e) => levelOf(e.a) === pass).map((e) => e.a),
      ];
      return this.oldReads(work, cuts);
    });

    const neededIn = demand(everything, nodes, levelOf);
    const host = new HostBuilder(passCount + 1, levelOf, (e) => rewriter.rewrite(e), queues);
    // Slots 0, 1, …: the row of an inspected step.
    for (const e of probed.values()) {
      host.slot(e);
    }
    const onHost = Object.values(inspect).flatMap((e) => (probed.has(e) ? [] : [host.slot(e)]));
    const build = (
      title: string,
      pass: number,
      own: readonly Reduce[],
      stored: readonly Root[],
    ): Pass => {
      const columns: ColumnSpec[] = [];
      const built = (variant: (e: Expr) => Expr): Built => {
        const builder = new KernelBuilder(
          {
            variant,
            stream: (e) => arrays.stream(e),
            host,
            rewriter,
            arrays: arrays.specs,
            packing: arrays.packing,
          },
          columns,
        );
        for (const root of roots) {
          if (root.matrix === undefined && (stores.get(root) as number) < pass) {
            builder.preload(root.expr, { array: root.array, delay: 0 });
          }
        }
        return builder.build(`${title}${variant === refresh ? "_refresh" : ""}`, stored, own);
      };
      const variant = built(steady);
      const perRow = columns.length > 0 || variant.perRow || own.some(({ over }) => over === "row");
      this.requireWholeBlocks(name, variant, perRow);
      return {
        steady: variant,
        refresh: arrays.hasWindows ? built(refresh) : undefined,
        reductions: own
          .filter((e) => e.over !== "column")
          .map((e) => ({ kind: e.kind, over: e.over, slot: host.slot(e) })),
        columns,
        perTensor: variant.perTensor,
        perRow,
      };
    };
    const passes = Array.from({ length: passCount }, (_, pass): Pass => {
      const at = (e: Reduce): boolean => levelOf(e.a) === pass;
      const stored = roots.filter(
        (root) => stores.get(root) === pass && !isUnchanged(root, (e) => arrays.stream(e)),
      );
      const reductions = inPasses.filter(at);
      const own = build(`${name}_${pass}`, pass, reductions, stored);
      const stages = matrices.flatMap(({ array, expr, matrix }) =>
        matrix !== undefined && levelOf(expr) === pass
          ? [{ array, coefficients: matrix.coefficients }]
          : [],
      );
      const inspected = [...probed.values()].filter(at);
      const probe =
        inspected.length > 0 ? build(`${name}_${pass}_probe`, pass, inspected, []) : undefined;
      // A probe is always needed, and runs with its pass.
      const isNeeded = own.steady.kernel.stores.length > 0 || probe !== undefined;
      const needed = isNeeded ? undefined : neededIn(reductions, pass);
      return {
        ...own,
        perTensor:
          stages.length + reductions.length > 0 ||
          own.perTensor ||
          (probe !== undefined && (probe.perTensor || onHost.length > 0)),
        ...(stages.length > 0 && { matrices: stages }),
        ...(needed !== undefined && { needed: host.slot(rewriter.rewrite(needed)) }),
        ...(probe !== undefined && { probe }),
      };
    });
    const slots = (record: Readonly<Record<string, Expr>>): [string, Slot][] =>
      Object.entries(record).map(([key, e]) => [key, host.slot(probed.get(e) ?? e)]);
    return {
      status,
      passes,
      next: slots(next).map(([key, slot]) => ({ key, slot })),
      inspect: slots(inspect).map(([name, slot]) => ({ name, slot })),
      ...(probed.size > 0 && { row: { probed: probed.size, onHost } }),
      shared: reduces.flatMap((e) =>
        e.over === "all"
          ? [{ kind: e.kind, domain: e.domain ?? "", slot: host.slot(e), pass: levelOf(e) - 1 }]
          : [],
      ),
      host: host.finish(),
    };
  }

  /** @throws RangeError for a pass that runs over parts of blocks of 8-bit numbers: a block has one scale. */
  private requireWholeBlocks(name: string, { packed = [] }: Variant, perRow: boolean): void {
    const [first] = packed;
    if (first !== undefined && (perRow || this.arrays.hasWindows)) {
      const state = this.arrays.specs[first.array]?.name;
      const parts = perRow ? "row by row" : "in parts, for its windows";
      throw new RangeError(
        `plan: state in 8 bits must be read in whole blocks, got "${state}" in "${name}", which runs ${parts}; keep it in "bf16"`,
      );
    }
  }

  /** Arrays whose values from before the call are read by `work`. */
  private oldReads(work: readonly Expr[], cuts: Cuts): ReadonlySet<number> {
    const { arrays } = this;
    const read = new Set<number>();
    for (const variant of [arrays.steady, arrays.refresh]) {
      for (const node of reachable(work, (e) =>
        cuts.stored(e) ? [] : kernelOperands(variant(e)),
      )) {
        const from = cuts.stored(node) ? undefined : arrays.stream(variant(node));
        if (from === undefined || !("array" in from) || node.op === "newtonSchulz") {
          continue;
        }
        // A ring's oldest slot is the one that the new value overwrites.
        if (from.delay === 0 || from.delay === arrays.specs[from.array]?.slots) {
          read.add(from.array);
        }
      }
    }
    return read;
  }
}

/** Functions over elements become programs of exact operations, the host computes others; the dtype is known from here on. */
function expandOverElements(root: Expr, dtype: DType, rewriter: Rewriter): Expr {
  const memo = new Map<Expr, Expr>();
  const scopes = new Map();
  const walk = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known !== undefined) {
      return known;
    }
    const inner: Expr =
      e.op === "roundoff"
        ? { op: "const", value: ROUNDOFF[dtype] }
        : withOperands(e, operands(e).map(walk));
    const expanded = scopeOf(inner, scopes) === "element" ? expandMath(inner, dtype) : inner;
    memo.set(e, expanded);
    return expanded;
  };
  return rewriter.rewrite(walk(root));
}

const ROUNDOFF: Readonly<Record<DType, number>> = { float32: 2 ** -24, float64: 2 ** -53 };

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
      const stored = new Set(
        earlier.flatMap(({ expr, matrix }) => (matrix === undefined ? [expr] : [])),
      );
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
  return from !== undefined && "array" in from && from.array === root.array && from.delay === 0;
}
