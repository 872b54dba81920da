/**
 * Weights written into the bytes of a file, where they lie.
 *
 * Decoding and encoding a model again would drop every field that the schema at hand does not know. A file of the
 * same length with other numbers in the same places keeps all of it. Field numbers are those of onnx.proto.
 */

import { OnnxError } from "./errors.ts";

const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5 };
const NODE = { output: 2, opType: 4, attribute: 5 };
const ATTRIBUTE = { tensor: 5, floats: 7 };
const TENSOR = { floatData: 4, name: 8, rawData: 9, doubleData: 10 };

/** A copy of `bytes` with the numbers of `weights`, by the name of the initializer or of the Constant's output. */
export function withWeights(
  bytes: Uint8Array,
  weights: ReadonlyMap<string, Float32Array>,
): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (const [name, places] of weightPlaces(copy)) {
    const data = weights.get(name);
    if (data === undefined) {
      continue;
    }
    const count = places.reduce((sum, { start, end, width }) => sum + (end - start) / width, 0);
    if (count !== data.length) {
      throw new OnnxError(
        `toOnnx: weights must fit their place in the file, got ${data.length} numbers of "${name}" for ${count}`,
      );
    }
    let next = 0;
    for (const { start, end, width } of places) {
      for (let at = start; at < end; at += width) {
        const value = data[next++] as number;
        if (width === 4) {
          view.setFloat32(at, value, true);
        } else {
          view.setFloat64(at, value, true);
        }
      }
    }
  }
  return copy;
}

/** Little-endian numbers of `width` bytes from `start` up to `end`. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly width: 4 | 8;
}

function* weightPlaces(bytes: Uint8Array): Generator<[name: string, places: Place[]]> {
  for (const graph of fieldsOf(bytes, MODEL_GRAPH, 0, bytes.length)) {
    for (const field of fields(bytes, graph.start, graph.end)) {
      if (field.number === GRAPH.initializer) {
        yield [textOf(bytes, field, TENSOR.name), tensorPlaces(bytes, field)];
      } else if (field.number === GRAPH.node && textOf(bytes, field, NODE.opType) === "Constant") {
        for (const attribute of fieldsOf(bytes, NODE.attribute, field.start, field.end)) {
          yield [textOf(bytes, field, NODE.output), attributePlaces(bytes, attribute)];
        }
      }
    }
  }
}

function attributePlaces(bytes: Uint8Array, { start, end }: Field): Place[] {
  return [...fields(bytes, start, end)].flatMap((field): Place[] => {
    switch (field.number) {
      case ATTRIBUTE.tensor:
        return tensorPlaces(bytes, field);
      case ATTRIBUTE.floats:
        return [{ ...field, width: 4 }];
      default:
        return [];
    }
  });
}

function tensorPlaces(bytes: Uint8Array, { start, end }: Field): Place[] {
  const dataType = 2;
  const all = [...fields(bytes, start, end)];
  const type = all.findLast(({ number }) => number === dataType)?.value;
  return all.flatMap((field): Place[] => {
    switch (field.number) {
      case TENSOR.rawData:
        return [{ ...field, width: type === DOUBLE ? 8 : 4 }];
      case TENSOR.floatData:
        return [{ ...field, width: 4 }];
      case TENSOR.doubleData:
        return [{ ...field, width: 8 }];
      default:
        return [];
    }
  });
}

/** TensorProto.DataType. */
const DOUBLE = 11;

/** One field of a message: its payload from `start` up to `end`, and its value if that is an integer. */
interface Field {
  readonly number: number;
  readonly start: number;
  readonly end: number;
  readonly value?: number;
}

function fieldsOf(bytes: Uint8Array, number: number, start: number, end: number): Field[] {
  return [...fields(bytes, start, end)].filter((field) => field.number === number);
}

/** The fields of the message in [start, end), in the wire format of Protocol Buffers. */
function* fields(bytes: Uint8Array, start: number, end: number): Generator<Field> {
  let at = start;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = at < end ? bytes[at++] : undefined;
      if (byte === undefined || scale > 2 ** 63) {
        throw new OnnxError("toOnnx: bytes must be an ONNX model, got a file that is cut short");
      }
      value += (byte & 127) * scale;
      if (byte < 128) {
        return value;
      }
      scale *= 128;
    }
  };
  while (at < end) {
    const key = varint();
    const [number, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      const from = at;
      yield { number, start: from, value: varint(), end: at };
      continue;
    }
    const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? varint() : Number.NaN;
    if (!(at + length <= end)) {
      throw new OnnxError("toOnnx: bytes must be an ONNX model, got a file that is cut short");
    }
    yield { number, start: at, end: at + length };
    at += length;
  }
}

function textOf(bytes: Uint8Array, { start, end }: Field, number: number): string {
  const field = fieldsOf(bytes, number, start, end)[0];
  return field === undefined
    ? ""
    : new TextDecoder().decode(bytes.subarray(field.start, field.end));
}
