/**
 * safetensors, the file format of tensors by name.
 *
 *     8 bytes                length n of the header, little-endian
 *     n bytes                JSON: name -> { dtype, shape, data_offsets: [begin, end] }, and `__metadata__`: text by key
 *     the rest               the tensors' bytes, little-endian, row-major, one after the other
 *
 * Tensors leave no hole and share no byte, so padding between them is not possible. Both this writer and the
 * reference's put the widest dtype first and pad the header to 8 bytes: every tensor then lies at a multiple of its
 * element's size and can be viewed where it is.
 *
 * @see https://github.com/huggingface/safetensors (format), safetensors/src/tensor.rs of 0.8.0 (order, limits)
 */

import { ShapeMismatchError } from "../errors.ts";
import { brief, CheckpointError, requireFile, sentence } from "./error.ts";
import { isNatural, isRecord, parseJson } from "./json.ts";

/** What tensors are kept in: F64, F32, I32, BF16 (as its 16 bits) and U8, in this order. */
export type TensorData = Float64Array | Float32Array | Int32Array | Uint16Array | Uint8Array;

/** Flat, row-major. */
export interface Tensor<D extends TensorData = TensorData> {
  readonly shape: readonly number[];
  readonly data: D;
}

export interface Safetensors {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Row {
  readonly dtype: string;
  readonly tag: string;
  readonly bytes: number;
  view(buffer: ArrayBufferLike, offset: number, length: number): TensorData;
}

/** The dtypes in the order of the file: that of the reference, widest first. */
const DTYPES: readonly Row[] = [
  { dtype: "F64", tag: "Float64Array", bytes: 8, view: (b, o, n) => new Float64Array(b, o, n) },
  { dtype: "F32", tag: "Float32Array", bytes: 4, view: (b, o, n) => new Float32Array(b, o, n) },
  { dtype: "I32", tag: "Int32Array", bytes: 4, view: (b, o, n) => new Int32Array(b, o, n) },
  { dtype: "BF16", tag: "Uint16Array", bytes: 2, view: (b, o, n) => new Uint16Array(b, o, n) },
  { dtype: "U8", tag: "Uint8Array", bytes: 1, view: (b, o, n) => new Uint8Array(b, o, n) },
];

/** The reference refuses longer headers, so none is written. */
const MAX_HEADER = 100_000_000;

const METADATA = "__metadata__";

/**
 * A file with these tensors. The same tensors give the same bytes, whatever their order; those that Python's
 * `safetensors` writes, as far as names are ASCII and there is at most one key of metadata.
 *
 * @throws TypeError for what is no tensor, a name that is reserved or not well-formed, metadata that is not text;
 * ShapeMismatchError for data that does not fit its shape; RangeError for a header over 100 MB.
 * @example writeSafetensors(optimizer.params, { format: "pt" })
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return join(layOut("writeSafetensors", tensors, metadata));
}

/** `writeSafetensors` in pieces: the header, then the tensors' own memory, so that nothing is held twice. */
export function safetensorsParts(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): readonly Uint8Array[] {
  return layOut("safetensorsParts", tensors, metadata);
}

/**
 * The tensors of a file, as views on `bytes` where they are aligned in memory and as copies where not; so at most
 * `bytes.length` bytes are allocated for them. Fields of an entry that the format does not know are passed over.
 *
 * @throws TypeError unless `bytes` is a Uint8Array; CheckpointError naming the first thing that is wrong.
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  return parse("readSafetensors", bytes, false);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function layOut(
  where: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>>,
): readonly Uint8Array[] {
  requireLittleEndian(where);
  requireRecord(where, "tensors must be a record", tensors);
  requireRecord(where, "metadata must be a record", metadata);
  const header: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(metadata)) {
    if (typeof text !== "string" || key === "__proto__") {
      throw new TypeError(
        sentence(where, `metadata ${brief(key)} must be text under a plain key`, text),
      );
    }
  }
  if (Object.keys(metadata).length > 0) {
    header[METADATA] = metadata;
  }
  const placed = Object.entries(tensors).map(([name, tensor]) => {
    const row = checkTensor(where, name, tensor);
    return { name, tensor, row, rank: DTYPES.indexOf(row) };
  });
  placed.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1));
  let offset = 0;
  const parts = placed.map(({ name, tensor: { shape, data }, row }) => {
    const end = offset + data.byteLength;
    header[name] = { dtype: row.dtype, shape, data_offsets: [offset, end] };
    offset = end;
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER) {
    throw new RangeError(
      sentence(where, `the header must be at most ${MAX_HEADER} bytes`, length, "split the file"),
    );
  }
  const start = new Uint8Array(8 + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(text, 8);
  return [start, ...parts];
}

export function isTensorData(value: unknown): value is TensorData {
  return rowOf(value) !== undefined;
}

/** The dtype in which a file holds such an array. */
export function dtypeOf(data: TensorData): string | undefined {
  return rowOf(data)?.dtype;
}

export function parse(where: string, bytes: Uint8Array, aligned: boolean): Safetensors {
  requireLittleEndian(where);
  if (rowOf(bytes)?.dtype !== "U8") {
    throw new TypeError(sentence(where, "bytes must be a Uint8Array", bytes, "wrap the buffer"));
  }
  const { header, start } = readHeader(where, bytes);
  requireFile(
    !aligned || start % 8 === 0,
    where,
    "MISALIGNED",
    "the header must end at a multiple of 8 bytes",
    start,
    "write the file anew",
  );
  const { [METADATA]: metadata = {}, ...entries } = header;
  requireFile(
    isRecord(metadata) && Object.values(metadata).every((text) => typeof text === "string"),
    where,
    "ENTRY",
    "`__metadata__` must hold text by key",
    metadata,
  );
  const placed = Object.entries(entries).map(([name, entry]) =>
    readEntry(where, name, entry, bytes.length - start),
  );
  checkCoverage(where, placed, bytes.length - start);
  const tensors: Record<string, Tensor> = {};
  for (const { name, row, shape, begin, end } of placed) {
    requireFile(
      !aligned || begin % row.bytes === 0,
      where,
      "MISALIGNED",
      `tensor ${brief(name)} must lie at a multiple of ${row.bytes} bytes`,
      begin,
      "write the file anew",
    );
    tensors[name] = { shape, data: view(row, bytes.subarray(start + begin, start + end)) };
  }
  return { tensors, metadata: metadata as Record<string, string> };
}

function readHeader(
  where: string,
  bytes: Uint8Array,
): { readonly header: Record<string, unknown>; readonly start: number } {
  requireFile(
    bytes.length >= 8,
    where,
    "TOO_SHORT",
    "a file must have at least 8 bytes",
    bytes.length,
    "the file is cut off",
  );
  const words = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const length = words.getUint32(0, true) + words.getUint32(4, true) * 2 ** 32;
  requireFile(
    length <= MAX_HEADER,
    where,
    "HEADER_LENGTH",
    `the header must be at most ${MAX_HEADER} bytes`,
    length,
    "this is no safetensors file",
  );
  requireFile(
    8 + length <= bytes.length,
    where,
    "HEADER_LENGTH",
    `the header must end within the file of ${bytes.length} bytes`,
    8 + length,
    "the file is cut off",
  );
  const header = parseJson(where, "the header", decode(where, bytes.subarray(8, 8 + length)));
  requireFile(isRecord(header), where, "ENTRY", "the header must hold tensors by name", header);
  return { header, start: 8 + length };
}

function decode(where: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const message = sentence(where, "the header must be UTF-8", `${bytes.length} bytes`);
    throw new CheckpointError("NOT_JSON", message, { cause });
  }
}

interface Entry {
  readonly name: string;
  readonly row: Row;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function readEntry(where: string, name: string, entry: unknown, available: number): Entry {
  const tensor = `tensor ${brief(name)}`;
  requireFile(isWellFormed(name), where, "ENTRY", "a name must be well-formed Unicode", name);
  requireFile(
    isRecord(entry),
    where,
    "ENTRY",
    `${tensor} must be an entry of dtype and shape`,
    entry,
  );
  const { dtype, shape, data_offsets: offsets } = entry;
  const row = DTYPES.find((candidate) => candidate.dtype === dtype);
  requireFile(
    row !== undefined,
    where,
    "DTYPE",
    `${tensor} must be one of ${DTYPES.map((known) => known.dtype).join(", ")}`,
    dtype,
    "convert it",
  );
  requireFile(
    Array.isArray(shape) && shape.every(isNatural),
    where,
    "SHAPE",
    `${tensor} must have a shape of natural numbers`,
    shape,
  );
  const size = shape.reduce((product: number, extent: number) => product * extent, row.bytes);
  requireFile(
    // Every partial product counts: [2 ** 52, 2 ** 52, 0] overflows in readers that multiply integers.
    isNatural(shape.reduce((most: number, n: number) => most * Math.max(n, 1), row.bytes)),
    where,
    "SHAPE",
    `${tensor} must have a size below 2^53 bytes`,
    shape,
  );
  requireFile(
    Array.isArray(offsets) && offsets.length === 2 && offsets.every(isNatural),
    where,
    "OFFSETS",
    `${tensor} must have two offsets`,
    offsets,
  );
  const [begin, end] = offsets as [number, number];
  requireFile(
    begin <= end && end <= available,
    where,
    "OFFSETS",
    `${tensor} must lie within the ${available} bytes of data`,
    offsets,
    "the file is cut off, or its header wrong",
  );
  requireFile(
    size === end - begin,
    where,
    "SIZE",
    `${tensor} of dtype ${row.dtype} and shape ${brief(shape)} must take ${size} bytes`,
    end - begin,
  );
  return { name, row, shape, begin, end };
}

/** Tensors must cover the data, each byte once. */
function checkCoverage(where: string, entries: readonly Entry[], available: number): void {
  let covered = 0;
  for (const { name, begin, end } of entries.toSorted(
    (a, b) => a.begin - b.begin || a.end - b.end,
  )) {
    requireFile(
      begin === covered,
      where,
      "OFFSETS",
      `tensor ${brief(name)} must start where the one before it ends, at ${covered}`,
      begin,
    );
    covered = end;
  }
  requireFile(
    covered === available,
    where,
    "OFFSETS",
    `the data must end with the last tensor, at ${covered}`,
    available,
  );
}

function view(row: Row, bytes: Uint8Array): TensorData {
  const length = bytes.length / row.bytes;
  if (bytes.byteOffset % row.bytes === 0) {
    return row.view(bytes.buffer, bytes.byteOffset, length);
  }
  return row.view(new Uint8Array(bytes).buffer, 0, length);
}

function checkTensor(where: string, name: string, tensor: Tensor): Row {
  if (name === METADATA || name === "__proto__" || !isWellFormed(name)) {
    throw new TypeError(
      sentence(where, "a name must be well-formed and not reserved", name, "rename the tensor"),
    );
  }
  const row = isRecord(tensor) ? rowOf(tensor.data) : undefined;
  if (row === undefined || !Array.isArray(tensor.shape) || !tensor.shape.every(isNatural)) {
    const arrays = DTYPES.map(({ tag }) => tag).join(", ");
    throw new TypeError(
      sentence(
        where,
        `tensor ${brief(name)} must be { shape, data } with data in one of ${arrays}`,
        tensor,
      ),
    );
  }
  if (tensor.data.length !== tensor.shape.reduce((product, extent) => product * extent, 1)) {
    throw new ShapeMismatchError(where, name, tensor.shape, [tensor.data.length]);
  }
  return row;
}

/** By tag and not `instanceof`: arrays may come from another realm. */
function rowOf(value: unknown): Row | undefined {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  return DTYPES.find((row) => row.tag === tag);
}

function isWellFormed(name: string): boolean {
  return !/\p{Surrogate}/u.test(name);
}

function requireRecord(where: string, expected: string, value: unknown): void {
  if (!isRecord(value)) {
    throw new TypeError(sentence(where, expected, value));
  }
}

/** Files are little-endian and tensors are viewed where they lie. */
function requireLittleEndian(where: string): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new RangeError(`${where}: the machine must be little-endian, got a big-endian one`);
  }
}
