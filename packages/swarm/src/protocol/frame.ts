/**
 * Messages as bytes, little-endian.
 *
 *     0   magic, u32           4  version, u8     5  kind, u8      6  form of the payload, u8
 *     7   u8, 1 where a `want` says that it holds values, else 0
 *     8   run, 8 bytes         16 hash of the graph's epoch and of the layout, 8 bytes
 *     24  round, u32           28 bytes after the header, u32
 *     32  CRC-32 of these      36 CRC-32 of the 36 bytes before
 *
 * After the header of `values` and `beat` a settlement (session, mixed, closed, unknown, u32 each), then the payload:
 * numbers as they lie in memory, before them int8's scales, or base, length (u32 each) and indices of a sparse one.
 */

import type { DType } from "@adastra/core";
import type { Contents } from "./contents.ts";
import { crc32 } from "./crc32.node.ts";
import { type Layout, parametersOf } from "./layout.ts";
import type { Message, Payload, Settlement } from "./message.ts";
import { HEADER_BYTES } from "./size.ts";

/** "ADA" and a byte that is no letter. */
export const MAGIC = 0x9d414441;
export const VERSION = 1;

/** By the number that stands for them. */
export const KINDS = ["values", "have", "beat", "fetch", "snapshot", "leave", "want"] as const;
export const FORMS = ["none", "float32", "float64", "bf16", "int8", "sparse"] as const;

/** Base and length of a sparse payload. */
export const SPARSE_BYTES = 8;

/** What every frame of a run has in common. */
export interface Wire extends Contents {
  readonly run: Uint8Array;
  readonly layout: Uint8Array;
  readonly dtype: DType;
}

/** @throws RangeError for ids that are not 16 hexadecimal digits, or a layout whose values exceed 4 GiB. */
export function wireOf(run: string, layout: Layout, id: string): Wire {
  const { dtype, vectors, nonNegative = [] } = layout;
  const parameters = parametersOf(layout);
  const bytes = parameters * vectors.length * (dtype === "float64" ? 8 : 4);
  // A sparse payload of all numbers is the largest: an index and a value each.
  if (!(bytes > 0 && Math.max(bytes, parameters * vectors.length * 8) < 2 ** 32 - 64)) {
    throw new RangeError(
      `wireOf: values of a run must take more than 0 bytes and less than 4 GiB, got ${bytes}`,
    );
  }
  const unknown = nonNegative.find((name) => !vectors.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(
      `wireOf: \`nonNegative\` must name vectors of the layout, got "${unknown}"`,
    );
  }
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
    throw new RangeError("wireOf: this machine must be little-endian, got a big-endian one");
  }
  return {
    run: idBytes("run", run),
    layout: idBytes("layout", id),
    dtype,
    parameters,
    vectors: vectors.length,
    nonNegative: vectors.map((name) => nonNegative.includes(name)),
  };
}

function idBytes(name: string, id: string): Uint8Array {
  if (!/^[0-9a-f]{16}$/.test(id)) {
    throw new RangeError(`wireOf: \`${name}\` must be 16 hexadecimal digits, got "${id}"`);
  }
  return Uint8Array.from({ length: 8 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16));
}

/**
 * A frame in pieces, to be sent one after the other; numbers are views of the message's arrays, not copies.
 *
 * @throws RangeError for values that are not those of the layout.
 */
export function encodeFrame(message: Message, wire: Wire): Uint8Array[] {
  const payload = "payload" in message ? message.payload : undefined;
  if (payload !== undefined) {
    requireFit(payload, wire);
  }
  const settlement = "settled" in message ? settlementBytes(message.settled) : [];
  const body = [...settlement, ...(payload === undefined ? [] : payloadPieces(payload))];
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  header[4] = VERSION;
  header[5] = KINDS.indexOf(message.kind);
  header[6] = payload === undefined ? 0 : FORMS.indexOf(formOf(payload));
  header[7] = message.kind === "want" && message.holds ? 1 : 0;
  header.set(wire.run, 8);
  header.set(wire.layout, 16);
  view.setUint32(24, "round" in message ? message.round : 0, true);
  view.setUint32(
    28,
    body.reduce((sum, piece) => sum + piece.byteLength, 0),
    true,
  );
  view.setUint32(
    32,
    body.reduce((crc, piece) => crc32(piece, crc), 0),
    true,
  );
  seal(header);
  return [header, ...body];
}

/** Writes the header's own checksum. */
export function seal(header: Uint8Array): void {
  const view = new DataView(header.buffer, header.byteOffset);
  view.setUint32(36, crc32(header.subarray(0, 36)), true);
}

function formOf(payload: Payload): (typeof FORMS)[number] {
  if (payload.form !== "dense") {
    return payload.form;
  }
  return payload.values instanceof Float64Array ? "float64" : "float32";
}

function requireFit(payload: Payload, { dtype, parameters, vectors }: Wire): void {
  const numbers = payload.form === "sparse" ? payload.length : payload.values.length;
  if (numbers !== parameters * vectors) {
    throw new RangeError(
      `encodeFrame: a payload must hold ${vectors} × ${parameters} numbers, got ${numbers}`,
    );
  }
  if (payload.form === "dense" && formOf(payload) !== dtype) {
    throw new RangeError(`encodeFrame: values must be ${dtype}, got ${formOf(payload)}`);
  }
}

function settlementBytes({ session, mixed, closed, unknown }: Settlement): Uint8Array[] {
  return [bytesOf(Uint32Array.of(session, mixed, closed, unknown))];
}

function payloadPieces(payload: Payload): Uint8Array[] {
  switch (payload.form) {
    case "dense":
    case "bf16":
      return [bytesOf(payload.values)];
    case "int8":
      return [bytesOf(payload.scales), bytesOf(payload.values)];
    case "sparse":
      return [
        bytesOf(Uint32Array.of(payload.base, payload.length)),
        bytesOf(payload.indices),
        bytesOf(payload.values),
      ];
    default:
      return payload satisfies never;
  }
}

/** The memory of an array, as bytes. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
