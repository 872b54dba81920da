/** From the expressions of one pass to its kernel. */

import { saltOf } from "../expr/draw.ts";
import { type Expr, operands, type Scope, scopeOf } from "../expr/node.ts";
import type { Rewriter } from "../expr/rewrite.ts";
import { isPacked } from "../expr/verify.ts";
import type { Packing } from "../runtime/parts.ts";
import { asNumber, type HostBuilder, type Slot } from "./host.ts";
import { draws, type Id, type Instruction } from "./kernel.ts";
import type { ArraySpec, ColumnSpec, PackedStream, Stream, Variant } from "./passes.ts";

export interface Built extends Variant {
  /** Whether a scalar differs from tensor to tensor. */
  readonly perTensor: boolean;
  /** Whether one differs from row to row. */
  readonly perRow: boolean;
}

/** What a kernel is built from. */
export interface Surroundings {
  /** The form in which a window is computed. */
  readonly variant: (e: Expr) => Expr;
  readonly stream: (e: Expr) => Stream | undefined;
  readonly host: HostBuilder;
  readonly rewriter: Rewriter;
  readonly arrays: readonly ArraySpec[];
  /** Absent without state in 8 bits. */
  readonly packing: Packing | undefined;
}

export class KernelBuilder {
  private readonly body: Instruction[] = [];
  private readonly idOf = new Map<Expr, Id>();
  private readonly streams: Stream[] = [];
  private readonly scalars: Slot[] = [];
  private readonly hoisted = new Map<Slot, Id>();
  private perTensor = false;
  private perRow = false;
  private readonly from: Surroundings;
  /** Numbers of the columns that the pass shares among its kernels. */
  private readonly columns: ColumnSpec[];

  constructor(from: Surroundings, columns: ColumnSpec[]) {
    this.from = from;
    this.columns = columns;
  }

  /** Values that an earlier pass stored, loaded when they are needed. */
  private readonly preloaded = new Map<Expr, Stream>();

  preload(e: Expr, from: Stream): void {
    this.preloaded.set(e, from);
  }

  build(
    name: string,
    roots: readonly { readonly array: number; readonly expr: Expr }[],
    reduces: readonly (Expr & { op: "reduce" })[],
  ): Built {
    const stores = roots.map((root) => ({
      stream: this.streamIndex({ array: root.array, delay: 0 }),
      // The kernel stores the number, packing makes 8 bits of it.
      value: this.value(isPacked(root.expr) ? root.expr.a : root.expr),
    }));
    const reductions: { kind: "sum" | "max"; value: Id }[] = [];
    for (const e of reduces) {
      const value = this.value(e.a);
      if (e.over === "column") {
        stores.push(this.accumulate(e, value));
      } else {
        reductions.push({ kind: e.kind, value });
      }
    }
    const halves = this.streamsOf("bf16").map(({ stream }) => stream);
    const packed = this.packedStreams(roots);
    const packs = packed.flatMap(({ pack }) => pack ?? []);
    const drawing = [{ body: this.body }, ...packs].some(draws);
    return {
      kernel: {
        name: name.replaceAll(/\W/g, "_"),
        streams: this.streams.map((stream) => this.label(stream)),
        scalars: this.scalars.map((slot) => (slot < 0 ? `row${-1 - slot}` : `s${slot}`)),
        body: this.body,
        stores,
        reductions,
        ...(halves.length > 0 && { bf16: halves }),
      },
      streams: this.streams,
      scalars: this.scalars,
      ...(packed.length > 0 && { packed }),
      ...(drawing && { draws: true as const }),
      // Blocks are those of a leaf: no run over two of them.
      perTensor: this.perTensor || packed.length > 0,
      perRow: this.perRow,
    };
  }

  private packedStreams(
    roots: readonly { readonly array: number; readonly expr: Expr }[],
  ): readonly PackedStream[] {
    const { packing } = this.from;
    if (packing === undefined) {
      return [];
    }
    return this.streamsOf("int8").map(({ stream, array }) => {
      const root = roots.find((each) => each.array === array);
      return {
        stream,
        array,
        reads: this.body.some((e) => e.op === "load" && e.stream === stream),
        unpack: packing.unpack,
        extremes: packing.extremes,
        ...(root !== undefined && { pack: packing.pack(drawsOf(root.expr)) }),
      };
    });
  }

  private streamsOf(format: ArraySpec["format"]): { stream: number; array: number }[] {
    return this.streams.flatMap((each, stream) =>
      "array" in each && this.from.arrays[each.array]?.format === format
        ? [{ stream, array: each.array }]
        : [],
    );
  }

  /** A reduction over columns: what the rows before made of it, joined with this one. */
  private accumulate(
    e: Expr & { op: "reduce" },
    value: Id,
  ): { readonly stream: number; readonly value: Id } {
    const stream = this.streamIndex({ column: this.column(e.kind, this.from.host.slot(e)) });
    const before = this.push({ op: "load", stream });
    const op = e.kind === "sum" ? "add" : "max";
    return { stream, value: this.push({ op, a: before, b: value }) };
  }

  private label(stream: Stream): string {
    if ("column" in stream) {
      return this.columns[stream.column]?.name ?? "";
    }
    const label = this.from.arrays[stream.array]?.name ?? "evaluated";
    return stream.delay === 0 ? label : `${label}_${stream.delay}`;
  }

  private column(role: ColumnSpec["role"], slot: Slot): number {
    const known = this.columns.findIndex((each) => each.slot === slot && each.role === role);
    const name = `column${this.columns.length}`;
    return known >= 0 ? known : this.columns.push({ name, role, slot }) - 1;
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
    const e = this.from.variant(original);
    if (e !== original) {
      return this.value(e);
    }
    if (e.op === "random") {
      // Draws go by the place in a leaf: no run over two of them.
      this.perTensor = true;
      return this.push({ op: "random", salt: saltOf(e.stream) });
    }
    const read = this.from.stream(e);
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

  /** A value that the host knows: a constant, a scalar that it fills in for the run, or a number a column. */
  private hoist(e: Expr, scope: Exclude<Scope, "element">): Id {
    if (e.op === "const") {
      return this.push({ op: "const", value: e.value });
    }
    this.perTensor ||= scope !== "step";
    this.perRow ||= scope === "row";
    const number = this.from.rewriter.rewrite(asNumber(e));
    const slot = this.from.host.slot(number);
    let id = this.hoisted.get(slot);
    if (id === undefined) {
      id = this.push(
        scope === "column"
          ? { op: "load", stream: this.streamIndex({ column: this.column("read", slot) }) }
          : { op: "scalar", index: this.scalars.push(slot) - 1 },
      );
      this.hoisted.set(slot, id);
    }
    if (number === e) {
      return id;
    }
    const zero = this.value(this.from.rewriter.rewrite({ op: "const", value: 0 }));
    return this.push({ op: "lt", a: zero, b: id });
  }

  private streamIndex(from: Stream): number {
    const same = (other: Stream): boolean =>
      "column" in from
        ? "column" in other && other.column === from.column
        : "array" in other && other.array === from.array && other.delay === from.delay;
    const known = this.streams.findIndex(same);
    return known >= 0 ? known : this.streams.push(from) - 1;
  }

  private push(instruction: Instruction): Id {
    return this.body.push(instruction) - 1;
  }
}

/** The stream whose draws round a number, if any do. */
function drawsOf(e: Expr): string | undefined {
  return e.op === "int8Stochastic" && e.b.op === "random" ? e.b.stream : undefined;
}
