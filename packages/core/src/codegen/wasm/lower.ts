/**
 * Kernels as WebAssembly functions of one parameter, the address of the kernel's frame.
 *
 *     splat scalars and constants
 *     count div 8 times: eight elements, as two f32x4 or four f64x2
 *     count mod 8 times: one element, in the first lane of a vector whose other lanes idle
 *
 * Both loops come from one emitter; they differ in how many vectors they fill and in how they reach memory.
 * The first keeps the partials of its reductions in locals, the second in the frame.
 */

import type { DType, FrameLayout, Id, Instruction, Kernel } from "../kernel.ts";
import { draws, frameLayout, PARTIALS, streamBytes } from "../kernel.ts";
import type { Local, Node } from "./assembler.ts";
import {
  FunctionBuilder,
  get,
  i32,
  load,
  plain,
  repeat,
  set,
  store,
  storeFirst,
  tee,
  when,
} from "./assembler.ts";
import type { Constant, Lanes } from "./lanes.ts";
import {
  asBytes,
  countUp,
  draw,
  lanesOf,
  loadByte,
  loadBytes,
  loadHalf,
  loadHalves,
  upperHalves,
} from "./lanes.ts";

/**
 * Vectors that take each instruction together, before the next one. A second vector gives the processor
 * independent work: up to 1.7 times the speed of one where instructions wait for each other (a polynomial),
 * at most 15 % slower where they do not. Four do not fit the sixteen registers: 10 to 30 % slower than two.
 */
const INTERLEAVED = 2;

/** The kernel as a function called `name`. */
export function lowerKernel(kernel: Kernel, dtype: DType, name: string): FunctionBuilder {
  const { f, ...parts } = declare(kernel, dtype, name);
  f.emit([...entry(parts), ...wideLoop(parts), ...tailLoop(parts)]);
  return f;
}

/** A kernel with the locals of its function. */
interface Parts {
  readonly kernel: Kernel;
  /** Instructions that have one value for all elements: computed once, before the loops. */
  readonly shared: ReadonlySet<Id>;
  readonly lanes: Lanes;
  readonly layout: FrameLayout;
  /** Bytes of an element of each stream. */
  readonly bytes: readonly number[];
  /** Of a kernel that draws: the index of the loop's next element, the key in every lane, a place for a moment. */
  readonly drawing:
    | { readonly index: Local; readonly key: Local; readonly temporary: Local }
    | undefined;
  /** Vectors that hold eight elements. */
  readonly vectors: number;
  readonly frame: Local;
  /** Iterations left in a loop. */
  readonly left: Local;
  /** The frame's address plus that of the next partial, relative to the first. */
  readonly slot: Local;
  readonly pointers: readonly Local[];
  /** `values[id][position]`: the value of an instruction in each of the vectors. */
  readonly values: readonly (readonly Local[])[];
  /**
   * Partials of each reduction while the wide loop runs. A sum has a local a pair of partials, in float64.
   * A maximum has one a vector, in the dtype: widening changes no comparison, so it can wait for the end.
   */
  readonly partials: readonly (readonly Local[])[];
}

function declare(kernel: Kernel, dtype: DType, name: string): Parts & { f: FunctionBuilder } {
  const f = new FunctionBuilder(name);
  const lanes = lanesOf(dtype);
  const vectors = PARTIALS / lanes.perVector;
  const vector = (label: string): Local => f.local(label, "v128");
  const numbered = (n: number, label: string): Local[] =>
    Array.from({ length: n }, (_, i) => vector(`${label}_${i}`));
  const shared = sharedValues(kernel);
  return {
    f,
    kernel,
    shared,
    lanes,
    layout: frameLayout(kernel),
    bytes: kernel.streams.map((_, s) => streamBytes(kernel, s, dtype)),
    vectors,
    frame: f.param("frame", "i32"),
    left: f.local("left", "i32"),
    slot: f.local("slot", "i32"),
    drawing: draws(kernel)
      ? { index: f.local("index", "i32"), key: vector("key"), temporary: vector("drawn") }
      : undefined,
    pointers: kernel.streams.map((stream) => f.local(`to_${stream}`, "i32")),
    values: kernel.body.map((e, id) => {
      const label = labelOf(kernel, e, id);
      if (shared.has(id)) {
        const once = vector(label);
        return Array.from({ length: vectors }, () => once);
      }
      return numbered(vectors, label);
    }),
    partials: kernel.reductions.map(({ kind }, r) =>
      numbered(kind === "sum" ? PARTIALS / 2 : vectors, `partial${r}`),
    ),
  };
}

function labelOf(kernel: Kernel, e: Instruction, id: Id): string {
  if (e.op === "load") {
    return kernel.streams[e.stream]!;
  }
  return e.op === "scalar" ? kernel.scalars[e.index]! : `x${id}`;
}

/** Scalars, constants, and what is computed from such alone: truth values that the host decides, above all. */
function sharedValues({ body }: Kernel): ReadonlySet<Id> {
  const shared = new Set<Id>();
  body.forEach((e, id) => {
    if (
      e.op !== "load" &&
      e.op !== "random" &&
      operandsOf(e).every((operand) => shared.has(operand))
    ) {
      shared.add(id);
    }
  });
  return shared;
}

function operandsOf(e: Instruction): Id[] {
  const operands = "cond" in e ? [e.cond] : [];
  return [...operands, ...("a" in e ? [e.a] : []), ...("b" in e ? [e.b] : [])];
}

function constantsOf({ body }: Kernel): Constant {
  return (id) => {
    const e = body[id]!;
    return e.op === "const" ? e.value : undefined;
  };
}

function entry(parts: Parts): Node[] {
  const { kernel, shared, lanes, layout, frame, pointers, values, drawing } = parts;
  const once = (e: Instruction): Node => {
    switch (e.op) {
      case "load":
      case "random":
        throw new TypeError(`lowerKernel: a ${e.op} differs from element to element`);
      case "scalar":
        return lanes.splat(load("f64.load", get(frame), layout.scalars + 8 * e.index));
      case "const":
        return lanes.splatConst(e.value);
      default:
        return lanes.compute(e, (operand) => get(values[operand]![0]!), constantsOf(kernel));
    }
  };
  return [
    ...pointers.map((pointer, s) =>
      set(pointer, load("i32.load", get(frame), layout.pointers + 4 * s)),
    ),
    ...(drawing === undefined
      ? []
      : [
          set(drawing.index, load("i32.load", get(frame), layout.base)),
          set(drawing.key, plain("i32x4.splat", load("i32.load", get(frame), layout.key))),
        ]),
    ...kernel.body.flatMap((e, id) => (shared.has(id) ? [set(values[id]![0]!, once(e))] : [])),
  ];
}

/** How a loop reaches memory and partials; a position is the number of a vector within the iteration. */
interface Access {
  load(stream: number, position: number): Node;
  store(stream: number, position: number, value: Local): Node;
  accumulate(kind: "sum" | "max", reduction: number, position: number, value: Id): Node[];
}

/** Eight elements an iteration. */
function wideLoop(parts: Parts): Node[] {
  const { kernel, lanes, bytes, vectors, frame, left, pointers, values, partials } = parts;
  const access: Access = {
    load: (stream, position) => {
      const from = get(pointers[stream]!);
      switch (bytes[stream]) {
        case 1:
          return loadBytes(from, 4 * position);
        case 2:
          return loadHalves(from, 8 * position);
        default:
          return load("v128.load", from, 16 * position);
      }
    },
    store: (stream, position, value) => {
      const to = get(pointers[stream]!);
      switch (bytes[stream]) {
        case 1:
          return storeFirst("v128.store32_lane", to, 4 * position, asBytes(get(value)), 1);
        case 2:
          return storeFirst("v128.store64_lane", to, 8 * position, upperHalves(get(value)), 2);
        default:
          return store("v128.store", to, 16 * position, get(value));
      }
    },
    accumulate: (kind, reduction, position, id) => {
      const own = partials[reduction]!;
      const value = values[id]![position]!;
      if (kind === "max") {
        const partial = own[position]!;
        const larger = isNotNegative(kernel.body[id]!) ? lanes.largerMagnitude : lanes.larger;
        return [set(partial, larger(get(partial), get(value)))];
      }
      return lanes.widened(value).map((wide, i, all) => {
        const partial = own[position * all.length + i]!;
        return set(partial, plain("f64x2.add", get(partial), wide));
      });
    },
  };
  const positions = Array.from({ length: vectors }, (_, position) => position);
  const groups = positions
    .filter((first) => first % INTERLEAVED === 0)
    .map((first) => positions.slice(first, first + INTERLEAVED));
  const body = [
    ...groups.flatMap((group) => elements(parts, group, access)),
    ...advanceAll(parts, PARTIALS),
  ];
  return [
    set(left, plain("i32.shr_u", count(frame), i32(Math.log2(PARTIALS)))),
    when(get(left), [
      ...kernel.reductions.flatMap(({ kind }, r) => enterPartials(parts, kind, r)),
      countdown(left, body),
      ...kernel.reductions.flatMap(({ kind }, r) => leavePartials(parts, kind, r)),
    ]),
  ];
}

/** A square or a magnitude: never negative, never -0, though NaN. */
function isNotNegative(e: Instruction): boolean {
  return e.op === "abs" || (e.op === "mul" && e.a === e.b);
}

/** Sums continue from the frame's partials, maxima join them at the end. */
function enterPartials(
  { lanes, layout, frame, partials }: Parts,
  kind: "sum" | "max",
  reduction: number,
): Node[] {
  return partials[reduction]!.map((partial, i) =>
    set(
      partial,
      kind === "sum"
        ? load("v128.load", get(frame), pairOffset(layout, reduction, i))
        : lanes.splatConst(Number.NEGATIVE_INFINITY),
    ),
  );
}

function leavePartials(
  { lanes, layout, frame, partials }: Parts,
  kind: "sum" | "max",
  reduction: number,
): Node[] {
  if (kind === "sum") {
    return partials[reduction]!.map((partial, i) =>
      store("v128.store", get(frame), pairOffset(layout, reduction, i), get(partial)),
    );
  }
  return partials[reduction]!.flatMap(lanes.widened).map((wide, i) => {
    const offset = pairOffset(layout, reduction, i);
    const joined = plain("f64x2.max", load("v128.load", get(frame), offset), wide);
    return store("v128.store", get(frame), offset, joined);
  });
}

/** Where partials 2·pair and 2·pair + 1 lie in the frame. */
function pairOffset(layout: FrameLayout, reduction: number, pair: number): number {
  return layout.partials + 8 * PARTIALS * reduction + 16 * pair;
}

/** One element an iteration. */
function tailLoop(parts: Parts): Node[] {
  const { lanes, layout, bytes, frame, left, slot, pointers, values } = parts;
  const access: Access = {
    load: (stream) => {
      const from = get(pointers[stream]!);
      switch (bytes[stream]) {
        case 1:
          return loadByte(from);
        case 2:
          return loadHalf(from);
        default:
          return load(lanes.loadFirst, from, 0);
      }
    },
    store: (stream, _, value) => {
      const to = get(pointers[stream]!);
      switch (bytes[stream]) {
        case 1:
          return storeFirst("v128.store8_lane", to, 0, asBytes(get(value)), 1);
        case 2:
          return storeFirst("v128.store16_lane", to, 0, upperHalves(get(value)), 2);
        default:
          return storeFirst(lanes.storeFirst, to, 0, get(value));
      }
    },
    accumulate(kind, reduction, _, id) {
      const offset = layout.partials + 8 * PARTIALS * reduction;
      const before = load("f64.load", get(slot), offset);
      const after = plain(`f64.${JOIN[kind]}`, before, lanes.widenedFirst(values[id]![0]!));
      return [store("f64.store", get(slot), offset, after)];
    },
  };
  const body = [...elements(parts, [0], access), ...advanceAll(parts, 1), advance(slot, 8)];
  return [
    set(left, plain("i32.and", count(frame), i32(PARTIALS - 1))),
    set(slot, get(frame)),
    when(get(left), [countdown(left, body)]),
  ];
}

/** The kernel's body for some vectors at once: each instruction for all of them before the next. */
function elements(parts: Parts, positions: readonly number[], access: Access): Node[] {
  const { kernel, shared, lanes, values } = parts;
  const each = <T>(items: readonly T[], emit: (item: T, at: number, index: number) => Node[]) =>
    items.flatMap((item, index) => positions.flatMap((at) => emit(item, at, index)));
  return [
    ...each(kernel.body, (e, at, id) => {
      if (shared.has(id) || e.op === "scalar" || e.op === "const") {
        return [];
      }
      const value =
        e.op === "load"
          ? access.load(e.stream, at)
          : e.op === "random"
            ? drawn(parts, e.salt, at)
            : lanes.compute(e, (operand) => get(values[operand]![at]!), constantsOf(kernel));
      return [set(values[id]![at]!, value)];
    }),
    ...each(kernel.reductions, ({ kind, value }, at, r) => access.accumulate(kind, r, at, value)),
    ...each(kernel.stores, ({ stream, value }, at) => [
      access.store(stream, at, values[value]![at]!),
    ]),
  ];
}

const JOIN = { sum: "add", max: "max" } as const;

function count(frame: Local): Node {
  return load("i32.load", get(frame), 0);
}

function countdown(left: Local, body: readonly Node[]): Node {
  return repeat(body, tee(left, plain("i32.sub", get(left), i32(1))));
}

/** Moves pointers and the index of draws on by some elements. */
function advanceAll({ pointers, bytes, drawing }: Parts, elementsOn: number): Node[] {
  return [
    ...pointers.map((pointer, s) => advance(pointer, elementsOn * bytes[s]!)),
    ...(drawing === undefined ? [] : [advance(drawing.index, elementsOn)]),
  ];
}

function advance(local: Local, by: number): Node {
  return set(local, plain("i32.add", get(local), i32(by)));
}

/** The draws of the vector number `position` of an iteration. */
function drawn({ lanes, drawing }: Parts, salt: number, position: number): Node {
  const { index, key, temporary } = drawing!;
  const first = plain("i32.add", get(index), i32(position * lanes.perVector));
  return draw(lanes, countUp(first), key, salt, temporary);
}
