/**
 * Bytes as messages: in pieces of any size, nothing allocated before a header is found in order, numbers written straight
 * into the arrays that are handed out.
 */

import { type ContentFault, contentFault } from "./contents.ts";
import { crc32 } from "./crc32.node.ts";
import { bytesOf, FORMS, KINDS, MAGIC, SPARSE_BYTES, VERSION, type Wire } from "./frame.ts";
import { INT8_BLOCK, type Message, type Payload } from "./message.ts";
import { HEADER_BYTES, SETTLEMENT_BYTES } from "./size.ts";

/** Why bytes are no frame of this run: whatever follows them cannot be read. */
export type FrameFault =
  | "magic"
  | "version"
  | "header"
  | "kind"
  | "run"
  | "layout"
  | "form"
  | "length"
  | "checksum";

export class FrameError extends Error {
  readonly code = "FRAME";
  readonly fault: FrameFault;

  constructor(fault: FrameFault, expected: string, got: string | number) {
    super(`frameDecoder: ${expected}, got ${got}`);
    this.name = "FrameError";
    this.fault = fault;
  }
}

/** Takes the next bytes of a stream. @throws FrameError for bytes that are no frame; then nothing more is taken. */
export type FrameDecoder = (bytes: Uint8Array) => void;

/**
 * A decoder of one stream.
 *
 * @param deliver - takes messages, whole and checked.
 * @param refuse - is told of frames in order whose numbers are not finite, negative where the layout excludes it, or no
 * indices; such a message is not delivered, and those after it are.
 */
export function frameDecoder(
  wire: Wire,
  deliver: (message: Message) => void,
  refuse: (fault: ContentFault) => void,
): FrameDecoder {
  const bytesOfHeader = new Uint8Array(HEADER_BYTES);
  let filled = 0;
  let frame: Frame | undefined;
  let broken: FrameError | undefined;

  const finish = ({ header, crc, ...body }: Frame): void => {
    filled = 0;
    frame = undefined;
    requireFrame(crc === header.crc, "checksum", `a frame must have CRC-32 ${header.crc}`, crc);
    const payload = body.payload();
    const fault = payload && contentFault(payload, wire);
    if (fault === undefined) {
      deliver(messageOf(header, body.settlement, payload));
    } else {
      refuse(fault);
    }
  };

  const take = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      if (frame === undefined) {
        const count = Math.min(HEADER_BYTES - filled, bytes.length - at);
        bytesOfHeader.set(bytes.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled < HEADER_BYTES) {
          return;
        }
        frame = begin(readHeader(bytesOfHeader, wire));
      } else {
        at += fill(frame, bytes, at);
      }
      if (frame.part === frame.parts.length) {
        finish(frame);
      }
    }
  };

  return (bytes) => {
    if (broken !== undefined) {
      throw broken;
    }
    try {
      take(bytes);
    } catch (error) {
      broken = error instanceof FrameError ? error : undefined;
      throw error;
    }
  };
}

interface Header {
  readonly kind: Message["kind"];
  readonly form: (typeof FORMS)[number];
  /** Of `want`. */
  readonly holds: boolean;
  readonly round: number;
  /** Numbers that follow. */
  readonly count: number;
  /** Of what follows. */
  readonly crc: number;
}

/** A frame that arrives: where its bytes go, and how far they have come. */
interface Frame {
  readonly header: Header;
  readonly parts: readonly Uint8Array[];
  readonly settlement: Uint32Array;
  readonly payload: () => Payload | undefined;
  part: number;
  offset: number;
  crc: number;
}

/** @throws FrameError for a header that no peer of this run writes. */
function readHeader(header: Uint8Array, wire: Wire): Header {
  const view = new DataView(header.buffer);
  const [byte, word] = [
    (at: number) => view.getUint8(at),
    (at: number) => view.getUint32(at, true),
  ];
  requireFrame(word(0) === MAGIC, "magic", `a frame must begin with ${MAGIC}`, word(0));
  requireFrame(byte(4) === VERSION, "version", `a frame must be of version ${VERSION}`, byte(4));
  const crc = crc32(header.subarray(0, 36));
  requireFrame(crc === word(36), "header", `a header must have CRC-32 ${word(36)}`, crc);
  requireId(header.subarray(8, 16), wire.run, "run");
  requireId(header.subarray(16, 24), wire.layout, "layout");
  const kind = KINDS[byte(5)];
  const flag = byte(7);
  if (kind === undefined || flag > (kind === "want" ? 1 : 0)) {
    throw new FrameError("kind", "a message must be of a known kind", byte(5));
  }
  const form = FORMS[byte(6)];
  const carries = kind === "values" || kind === "snapshot";
  if (form === undefined || !(carries ? formsOf(wire) : ["none"]).includes(form)) {
    throw new FrameError("form", `a form of ${kind} must be known`, byte(6));
  }
  const count = countOf(form, word(28) - settlementBytes(kind), wire);
  if (count === undefined) {
    throw new FrameError("length", `${kind} must have the length of its form`, word(28));
  }
  return { kind, form, holds: flag === 1, round: word(24), count, crc: word(32) };
}

const formsOf = ({ dtype }: Wire): readonly string[] => [dtype, "bf16", "int8", "sparse"];

const settlementBytes = (kind: Message["kind"]): number =>
  kind === "values" || kind === "beat" ? SETTLEMENT_BYTES : 0;

function requireFrame(ok: boolean, fault: FrameFault, expected: string, got: number): void {
  if (!ok) {
    throw new FrameError(fault, expected, got);
  }
}

function requireId(got: Uint8Array, expected: Uint8Array, fault: "run" | "layout"): void {
  if (got.some((byte, i) => byte !== expected[i])) {
    const hex = (id: Uint8Array): string =>
      Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
    throw new FrameError(fault, `a frame must be of ${fault} ${hex(expected)}`, hex(got));
  }
}

/** How many numbers a payload of so many bytes holds; undefined where none of the layout's is so long. */
function countOf(form: Header["form"], bytes: number, wire: Wire): number | undefined {
  const numbers = wire.parameters * wire.vectors;
  if (form === "sparse") {
    const count = (bytes - SPARSE_BYTES) / 8;
    return Number.isInteger(count) && count >= 0 && count <= numbers ? count : undefined;
  }
  const count = form === "none" ? 0 : numbers;
  return bytes === fullBytes(form, count) ? count : undefined;
}

function fullBytes(form: Exclude<Header["form"], "sparse">, count: number): number {
  switch (form) {
    case "none":
      return 0;
    case "float32":
      return 4 * count;
    case "float64":
      return 8 * count;
    case "bf16":
      return 2 * count;
    case "int8":
      return count + 4 * Math.ceil(count / INT8_BLOCK);
    default:
      return form satisfies never;
  }
}

/** Makes room for what follows a header. */
function begin(header: Header): Frame {
  const settlement = new Uint32Array(settlementBytes(header.kind) / 4);
  const { arrays, payload } = allocate(header);
  const parts = [settlement, ...arrays].map(bytesOf);
  const frame: Frame = { header, parts, settlement, payload, part: 0, offset: 0, crc: 0 };
  skipFilled(frame);
  return frame;
}

interface Room {
  readonly arrays: readonly ArrayBufferView[];
  /** What the arrays are once they are full. */
  readonly payload: () => Payload | undefined;
}

function allocate({ form, count }: Header): Room {
  switch (form) {
    case "none":
      return { arrays: [], payload: () => undefined };
    case "float32":
    case "float64": {
      const values = form === "float32" ? new Float32Array(count) : new Float64Array(count);
      return { arrays: [values], payload: () => ({ form: "dense", values }) };
    }
    case "bf16": {
      const values = new Uint16Array(count);
      return { arrays: [values], payload: () => ({ form, values }) };
    }
    case "int8": {
      const scales = new Float32Array(Math.ceil(count / INT8_BLOCK));
      const values = new Int8Array(count);
      return { arrays: [scales, values], payload: () => ({ form, scales, values }) };
    }
    case "sparse": {
      const words = new Uint32Array(SPARSE_BYTES / 4);
      const [indices, values] = [new Uint32Array(count), new Float32Array(count)];
      const payload = (): Payload => {
        const [base = 0, length = 0] = words;
        return { form, base, length, indices, values };
      };
      return { arrays: [words, indices, values], payload };
    }
    default:
      return form satisfies never;
  }
}

/** Copies bytes from `at` on into the part that is being filled; returns how many. */
function fill(frame: Frame, bytes: Uint8Array, at: number): number {
  const part = frame.parts[frame.part] as Uint8Array;
  const count = Math.min(part.length - frame.offset, bytes.length - at);
  const piece = bytes.subarray(at, at + count);
  part.set(piece, frame.offset);
  frame.crc = crc32(piece, frame.crc);
  frame.offset += count;
  skipFilled(frame);
  return count;
}

/** Goes on to the next part that takes bytes. */
function skipFilled(frame: Frame): void {
  while (frame.offset === frame.parts[frame.part]?.length) {
    frame.part += 1;
    frame.offset = 0;
  }
}

function messageOf(
  { kind, holds, round }: Header,
  [session = 0, mixed = 0, closed = 0, unknown = 0]: Uint32Array,
  payload: Payload | undefined,
): Message {
  const settled = { session, mixed, closed, unknown };
  switch (kind) {
    case "values":
      return { kind, round, settled, payload: payload as Payload };
    case "snapshot":
      return { kind, round, payload: payload as Payload };
    case "beat":
      return { kind, round, settled };
    case "have":
      return { kind, round };
    case "want":
      return { kind, round, holds };
    case "fetch":
    case "leave":
      return { kind };
    default:
      return kind satisfies never;
  }
}
