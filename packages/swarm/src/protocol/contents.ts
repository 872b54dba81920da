/** What may be wrong with numbers that arrived as they were sent. */

import type { Payload } from "./message.ts";

/** Why the numbers of a frame that is in order are no message: those of the next one may be. */
export type ContentFault = "notFinite" | "negative" | "code" | "indices";

/** What the numbers of a payload are. */
export interface Contents {
  /** Numbers of one vector, and vectors. */
  readonly parameters: number;
  readonly vectors: number;
  /** For each vector, whether none of its numbers may be below 0. */
  readonly nonNegative: readonly boolean[];
}

/** The first fault found; one pass over the numbers. */
export function contentFault(payload: Payload, contents: Contents): ContentFault | undefined {
  if (payload.form === "sparse") {
    return sparseFault(payload, contents);
  }
  if (payload.form === "int8") {
    const fault = floatFault(payload.scales, 0, payload.scales.length, true);
    if (fault !== undefined) {
      return fault;
    }
  }
  const { parameters, vectors, nonNegative } = contents;
  for (let vector = 0; vector < vectors; vector++) {
    const [start, end] = [vector * parameters, (vector + 1) * parameters];
    const fault = rangeFault(payload, start, end, nonNegative[vector] === true);
    if (fault !== undefined) {
      return fault;
    }
  }
  return undefined;
}

type Full = Exclude<Payload, { readonly form: "sparse" }>;

/** Of the numbers from `start` up to `end`. */
function rangeFault(
  payload: Full,
  start: number,
  end: number,
  nonNegative: boolean,
): ContentFault | undefined {
  switch (payload.form) {
    case "dense":
      return floatFault(payload.values, start, end, nonNegative);
    case "bf16":
      return halfFault(payload.values, start, end, nonNegative);
    case "int8":
      return codeFault(payload.values, start, end, nonNegative);
    default:
      return payload satisfies never;
  }
}

function floatFault(
  values: Float32Array | Float64Array,
  start: number,
  end: number,
  nonNegative: boolean,
): ContentFault | undefined {
  let [rest, least] = [0, 0];
  for (let i = start; i < end; i++) {
    const value = values[i] as number;
    // 0 for finite numbers, NaN for all others; it stays NaN.
    rest += value - value;
    least = value < least ? value : least;
  }
  if (rest !== 0) {
    return "notFinite";
  }
  return nonNegative && least < 0 ? "negative" : undefined;
}

function halfFault(
  values: Uint16Array,
  start: number,
  end: number,
  nonNegative: boolean,
): ContentFault | undefined {
  for (let i = start; i < end; i++) {
    const half = values[i] as number;
    if ((half & 0x7f80) === 0x7f80) {
      return "notFinite";
    }
    if (nonNegative && half > 0x8000) {
      return "negative";
    }
  }
  return undefined;
}

function codeFault(
  values: Int8Array,
  start: number,
  end: number,
  nonNegative: boolean,
): ContentFault | undefined {
  for (let i = start; i < end; i++) {
    const code = values[i] as number;
    if (code === -128) {
      return "code";
    }
    if (nonNegative && code < 0) {
      return "negative";
    }
  }
  return undefined;
}

function sparseFault(
  { length, indices, values }: Extract<Payload, { readonly form: "sparse" }>,
  { parameters, vectors, nonNegative }: Contents,
): ContentFault | undefined {
  if (length !== parameters * vectors) {
    return "indices";
  }
  let before = -1;
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    if (!(index > before && index < length)) {
      return "indices";
    }
    before = index;
    const isBounded = nonNegative[Math.floor(index / parameters)] === true;
    const fault = floatFault(values, i, i + 1, isBounded);
    if (fault !== undefined) {
      return fault;
    }
  }
  return undefined;
}
