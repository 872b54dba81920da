/**
 * Documents: JSON whose numbers may be any and whose arrays of numbers may be typed.
 *
 *     typed array            { "$tensor": name }, its numbers stand in the tensor of that name
 *     NaN, ±Infinity, -0     { "$number": "NaN" }, "Infinity", "-Infinity", "-0"
 *     a key "$..."           "$$...", so that no document is mistaken for these
 *
 * All else is JSON as it is; finite numbers are written with the digits that give the same bits back.
 */

import { sameShape } from "../tree.ts";
import { brief, CheckpointError, requireFile, sentence } from "./error.ts";
import { isRecord, MAX_DEPTH } from "./json.ts";
import { isTensorData, type Tensor, type TensorData } from "./safetensors.ts";

/** What a document may hold. Keys whose value is undefined are left out, as in JSON. */
export type DocumentValue =
  | null
  | boolean
  | number
  | string
  | TensorData
  | readonly DocumentValue[]
  | { readonly [key: string]: DocumentValue | undefined };

/** Keys and indices from the root of a document. */
export type DocumentPath = readonly (string | number)[];

/** What the tensor at a path is called, and its shape. */
export type Place = (
  path: DocumentPath,
  data: TensorData,
) => {
  readonly name: string;
  readonly shape: readonly number[];
};

export interface Packed {
  /** Plain JSON. */
  readonly json: unknown;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

const TENSOR = "$tensor";
const NUMBER = "$number";

/** Numbers that JSON lacks, as they are written. */
const NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  "-0": -0,
};

/**
 * Takes a document apart. A name that `place` gives twice gets "~2", "~3" the next times.
 *
 * @throws TypeError naming the path of what no document holds: a function, a bigint, an instance of a class,
 * undefined in an array, a key `__proto__`, nesting over 64.
 */
export function pack(where: string, document: unknown, place: Place): Packed {
  const tensors: Record<string, Tensor> = {};
  const path: (string | number)[] = [];
  const refuse = (expected: string, got: unknown): never => {
    throw new TypeError(sentence(where, `${shown(path)} ${expected}`, got));
  };
  const step = (key: string | number, value: unknown): unknown => {
    path.push(key);
    const packed = walk(value);
    path.pop();
    return packed;
  };
  const walk = (value: unknown): unknown => {
    if (value === null || typeof value === "boolean" || typeof value === "string") {
      return value;
    }
    if (typeof value === "number" && !isUnwritten(value)) {
      return value;
    }
    if (path.length >= MAX_DEPTH) {
      return refuse(`must nest at most ${MAX_DEPTH} deep`, path.length + 1);
    }
    if (typeof value === "number") {
      return { [NUMBER]: Object.is(value, -0) ? "-0" : String(value) };
    }
    if (isTensorData(value)) {
      const { name, shape } = place(path, value);
      const unique = untaken(name, tensors);
      tensors[unique] = { shape, data: value };
      return { [TENSOR]: unique };
    }
    if (Array.isArray(value)) {
      return Array.from(value, (item, i) => step(i, item));
    }
    if (!isPlain(value)) {
      return refuse("must be JSON or a typed array of a tensor's dtype", value);
    }
    const packed: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      if (key === "__proto__") {
        refuse("must not have this key", key);
      }
      if (item !== undefined) {
        packed[key.startsWith("$") ? `$${key}` : key] = step(key, item);
      }
    }
    return packed;
  };
  return { json: walk(document), tensors };
}

/**
 * Puts a document together again, in the memory of `json`, with the tensors' own arrays.
 *
 * @returns the document, and the path of each tensor in it.
 * @throws CheckpointError `DOCUMENT`, `MISSING_TENSOR` or `EXTRA_TENSOR`.
 */
export function unpack(
  where: string,
  { json, tensors }: Packed,
): { readonly document: unknown; readonly paths: ReadonlyMap<DocumentPath, Tensor> } {
  const paths = new Map<DocumentPath, Tensor>();
  const used = new Set<string>();
  const path: (string | number)[] = [];
  const tensorOf = (name: unknown): TensorData => {
    const at = shown(path);
    requireFile(typeof name === "string", where, "DOCUMENT", `${at} must name a tensor`, name);
    requireFile(
      Object.hasOwn(tensors, name),
      where,
      "MISSING_TENSOR",
      `the file must hold the tensor of ${at}`,
      name,
    );
    requireFile(!used.has(name), where, "DOCUMENT", "a tensor must have one place", name);
    used.add(name);
    const tensor = tensors[name] as Tensor;
    paths.set([...path], tensor);
    return tensor.data;
  };
  const step = (key: string | number, node: unknown): unknown => {
    path.push(key);
    const value = walk(node);
    path.pop();
    return value;
  };
  const walk = (node: unknown): unknown => {
    if (Array.isArray(node)) {
      for (let i = 0; i < node.length; i++) {
        node[i] = step(i, node[i]);
      }
      return node;
    }
    if (typeof node === "number" && isUnwritten(node)) {
      const expected = `${shown(path)} must be a number as this version writes it`;
      throw new CheckpointError("DOCUMENT", sentence(where, expected, node));
    }
    if (!isRecord(node)) {
      return node;
    }
    const keys = Object.keys(node);
    if (keys.length === 1 && keys[0] === TENSOR) {
      return tensorOf(node[TENSOR]);
    }
    if (keys.length === 1 && keys[0] === NUMBER) {
      const text = node[NUMBER];
      const known = typeof text === "string" && Object.hasOwn(NUMBERS, text);
      requireFile(known, where, "DOCUMENT", `${shown(path)} must be a number`, text);
      return NUMBERS[text];
    }
    if (!keys.some((key) => key.startsWith("$"))) {
      for (const key of keys) {
        node[key] = step(key, node[key]);
      }
      return node;
    }
    const plain: Record<string, unknown> = {};
    for (const key of keys) {
      const escaped = key.startsWith("$$");
      requireFile(
        escaped || !key.startsWith("$"),
        where,
        "DOCUMENT",
        `${shown(path)} must have a key this version knows`,
        key,
      );
      const own = escaped ? key.slice(1) : key;
      plain[own] = step(own, node[key]);
    }
    return plain;
  };
  const document = walk(json);
  const extra = Object.keys(tensors).find((name) => !used.has(name));
  requireFile(
    extra === undefined,
    where,
    "EXTRA_TENSOR",
    "the file must hold the tensors of its document alone",
    extra,
  );
  return { document, paths };
}

/** @throws CheckpointError `SHAPE` unless every tensor has the shape that its place gives it. */
export function checkShapes(
  where: string,
  paths: ReadonlyMap<DocumentPath, Tensor>,
  place: Place,
): void {
  for (const [path, { shape, data }] of paths) {
    const expected = place(path, data).shape;
    requireFile(
      sameShape(shape, expected),
      where,
      "SHAPE",
      `the tensor of ${shown(path)} must have shape ${brief(expected)}`,
      shape,
    );
  }
}

/** Whether JSON has no text for a number. */
function isUnwritten(value: number): boolean {
  return !Number.isFinite(value) || Object.is(value, -0);
}

/** A path in a message; its start says enough where a document nests without end. */
function shown(path: DocumentPath): string {
  return brief(path.length > 12 ? `${path.slice(0, 12).join("/")}/...` : path.join("/"));
}

/** A name that no tensor has yet, well-formed, as files need it. */
function untaken(wanted: string, tensors: Readonly<Record<string, Tensor>>): string {
  const name = wanted.replaceAll(/\p{Surrogate}/gu, "\ufffd");
  let unique = name;
  for (let i = 2; Object.hasOwn(tensors, unique); i++) {
    unique = `${name}~${i}`;
  }
  return unique;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value) || Object.prototype.toString.call(value) !== "[object Object]") {
    return false;
  }
  // `Object.prototype`, of this realm or another, has no prototype of its own.
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
