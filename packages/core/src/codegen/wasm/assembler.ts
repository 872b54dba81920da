/**
 * WebAssembly functions as trees of instructions, and the two forms of such a tree: bytes for the engine and
 * text for the reader. An instruction's operands are its children, so the bytes are the tree in postorder and
 * the text is WAT in its folded form. Each instruction brings both forms of its immediates along.
 */

import { identifiers } from "../names.ts";
import { MEMORY_IMPORT } from "./instance.ts";
import {
  BLOCK,
  BRANCH_IF,
  CONST,
  END,
  FUNCTION_TYPE,
  LANE,
  LOCAL,
  MEMORY,
  MEMORY_LANE,
  NO_RESULT,
  PLAIN,
  SHUFFLE,
  V128_CONST,
  VALUE_TYPE,
} from "./opcodes.ts";

export type ValueType = keyof typeof VALUE_TYPE;
export type PlainOp = keyof typeof PLAIN;
export type LoadOp =
  | "i32.load"
  | "f64.load"
  | "v128.load"
  | "v128.load16x4_u"
  | "v128.load8_splat"
  | "v128.load16_splat"
  | "v128.load32_zero"
  | "v128.load64_zero";
export type StoreOp = "f64.store" | "v128.store";
export type StoreLaneOp = keyof typeof MEMORY_LANE;

export interface Node {
  readonly op: string;
  readonly code: number;
  readonly operands: readonly Node[];
  /** Encoded immediates, and the same as text. */
  readonly bytes: readonly number[];
  readonly text: readonly string[];
  /** What a loop repeats and an `if` guards. */
  readonly body?: readonly Node[];
}

export interface Local {
  readonly name: string;
  readonly type: ValueType;
  readonly index: number;
}

export function plain(op: PlainOp, ...operands: Node[]): Node {
  return { op, code: PLAIN[op], operands, bytes: [], text: [] };
}

export function get(local: Local): Node {
  return onLocal("local.get", local, []);
}
export function set(local: Local, value: Node): Node {
  return onLocal("local.set", local, [value]);
}
/** Sets the local and leaves the value. */
export function tee(local: Local, value: Node): Node {
  return onLocal("local.tee", local, [value]);
}
function onLocal(op: keyof typeof LOCAL, local: Local, operands: Node[]): Node {
  const { index, name } = local;
  return { op, code: LOCAL[op], operands, bytes: unsigned(index), text: [`$${name}`] };
}

export function i32(value: number): Node {
  return constant("i32.const", value, signed(value));
}
export function f32(value: number): Node {
  return constant("f32.const", value, littleEndian("float32", value));
}
export function f64(value: number): Node {
  return constant("f64.const", value, littleEndian("float64", value));
}
/** Four integers, the first in the first lane. */
export function i32x4(lanes: readonly [number, number, number, number]): Node {
  return {
    op: "v128.const",
    code: V128_CONST,
    operands: [],
    bytes: [...new Uint8Array(Int32Array.from(lanes).buffer)],
    text: ["i32x4", ...lanes.map(String)],
  };
}
function constant(op: keyof typeof CONST, value: number, bytes: number[]): Node {
  return { op, code: CONST[op], operands: [], bytes, text: [numeral(value)] };
}

/** A number in WAT. */
function numeral(value: number): string {
  if (Number.isNaN(value)) {
    return "nan";
  }
  return Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "inf");
}

export function load(op: LoadOp, address: Node, offset: number, align: Align = 4): Node {
  return { op, code: MEMORY[op], operands: [address], ...place(offset, align) };
}
export function store(op: StoreOp, address: Node, offset: number, value: Node): Node {
  return { op, code: MEMORY[op], operands: [address, value], ...place(offset) };
}
/** Stores the first lane of a vector. */
export function storeFirst(
  op: StoreLaneOp,
  address: Node,
  offset: number,
  vector: Node,
  align: Align = 4,
): Node {
  const { bytes, text } = place(offset, align);
  return {
    op,
    code: MEMORY_LANE[op],
    operands: [address, vector],
    bytes: [...bytes, 0],
    text: [...text, "0"],
  };
}
/** What the engine is told of an address: a multiple of 4, of 2 where bfloat16 lie, of 1 where bytes do. */
type Align = 1 | 2 | 4;

function place(offset: number, align: Align = 4): Pick<Node, "bytes" | "text"> {
  return {
    bytes: [Math.log2(align), ...unsigned(offset)],
    text: [`offset=${offset}`, `align=${align}`],
  };
}

export function extractFirst(op: keyof typeof LANE, vector: Node): Node {
  return { op, code: LANE[op], operands: [vector], bytes: [0], text: ["0"] };
}
/** The upper eight bytes of a vector, in the place of the lower. */
export function upperHalf(local: Local): Node {
  const bytes = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
  return {
    op: "i8x16.shuffle",
    code: SHUFFLE,
    operands: [get(local), get(local)],
    bytes,
    text: bytes.map(String),
  };
}

/** Runs `body` if `condition` is not 0. */
export function when(condition: Node, body: readonly Node[]): Node {
  return { op: "if", code: BLOCK.if, operands: [condition], bytes: [NO_RESULT], text: [], body };
}
/** Runs `body` once, and again as long as `again` is not 0. */
export function repeat(body: readonly Node[], again: Node): Node {
  const branch = { op: "br_if", code: BRANCH_IF, operands: [again], bytes: [0], text: ["0"] };
  const statements = [...body, branch];
  return {
    op: "loop",
    code: BLOCK.loop,
    operands: [],
    bytes: [NO_RESULT],
    text: [],
    body: statements,
  };
}

/** A function without result, under construction: parameters first, then locals and statements as they come. */
export class FunctionBuilder {
  readonly name: string;
  readonly params: Local[] = [];
  readonly locals: Local[] = [];
  readonly statements: Node[] = [];
  readonly #identifier: (label: string) => string = identifiers([]);

  constructor(name: string) {
    this.name = name;
  }

  param(label: string, type: ValueType): Local {
    const param = { name: this.#identifier(label), type, index: this.params.length };
    this.params.push(param);
    return param;
  }

  local(label: string, type: ValueType): Local {
    const index = this.params.length + this.locals.length;
    const local = { name: this.#identifier(label), type, index };
    this.locals.push(local);
    return local;
  }

  emit(statements: readonly Node[]): void {
    for (const statement of statements) {
      this.statements.push(statement);
    }
  }
}

/** Pages of 64 KiB that 32-bit addresses reach. */
const MAX_PAGES = 65536;

/**
 * A module that imports one memory and exports each function under its name; names are distinct.
 *
 * @param shared - whether the memory is one that threads share.
 */
export function moduleBytes(
  functions: readonly FunctionBuilder[],
  shared = false,
): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ params }) => [
    FUNCTION_TYPE,
    ...vector(params.map(({ type }) => [VALUE_TYPE[type]])),
    ...vector([]),
  ]);
  // A memory (2) of at least 0 pages without an upper bound (0, 0): any memory fits. A shared one (3) must name a bound.
  const limits = shared ? [3, 0, ...unsigned(MAX_PAGES)] : [0, 0];
  const imports = [[...utf8(MEMORY_IMPORT.module), ...utf8(MEMORY_IMPORT.name), 2, ...limits]];
  const indices = functions.map((_, index) => unsigned(index));
  // A function (0).
  const exports = functions.map(({ name }, index) => [...utf8(name), 0, ...unsigned(index)]);
  const bodies = functions.map(({ locals, statements }) => {
    const bytes = vector(locals.map(({ type }) => [1, VALUE_TYPE[type]]));
    encode(statements, bytes);
    bytes.push(END);
    return [...unsigned(bytes.length), ...bytes];
  });
  return Uint8Array.from([
    ...HEADER,
    ...section(SECTION.type, types),
    ...section(SECTION.import, imports),
    ...section(SECTION.function, indices),
    ...section(SECTION.export, exports),
    ...section(SECTION.code, bodies),
  ]);
}

/** Appends the nodes in postorder. */
function encode(nodes: readonly Node[], bytes: number[]): void {
  for (const node of nodes) {
    encode(node.operands, bytes);
    if (node.code > 0xff) {
      bytes.push(node.code >>> 8, ...unsigned(node.code & 0xff));
    } else {
      bytes.push(node.code);
    }
    bytes.push(...node.bytes);
    if (node.body !== undefined) {
      encode(node.body, bytes);
      bytes.push(END);
    }
  }
}

/** "\0asm", version 1. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  const content = vector(entries);
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

/** Names are identifiers: a byte a character. */
function utf8(name: string): number[] {
  return [...unsigned(name.length), ...Array.from(name, (letter) => letter.charCodeAt(0))];
}

/** LEB128: seven bits a byte, lowest first, the eighth bit saying that more follow. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | 0x80);
  }
  bytes.push(rest);
  return bytes;
}

/** LEB128 of an int32; the last byte's sixth bit is the sign. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -64 || rest > 63; rest >>= 7) {
    bytes.push((rest & 0x7f) | 0x80);
  }
  bytes.push(rest & 0x7f);
  return bytes;
}

function littleEndian(dtype: "float32" | "float64", value: number): number[] {
  const view = new DataView(new ArrayBuffer(dtype === "float32" ? 4 : 8));
  if (dtype === "float32") {
    view.setFloat32(0, value, true);
  } else {
    view.setFloat64(0, value, true);
  }
  return [...new Uint8Array(view.buffer)];
}
