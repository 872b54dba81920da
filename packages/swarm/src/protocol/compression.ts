/**
 * What travels instead of 32 bits a number.
 *
 *     bf16    the upper half of a float32, rounded to nearest      2 bytes, error ≤ 2⁻⁸ of a number
 *     int8    codes by blocks of 256, scale = largest/127          1 byte,  error ≤ 1/254 of the block's largest
 *     topK    what changed most since the other end last mixed     8 bytes a number sent; the rest waits, and is not lost
 *
 * Both ends of an edge mix what the other decoded of them, not what they hold: x̃ = decode(encode(x)) and
 * xᵢ += w (x̃ⱼ − x̃ᵢ) keep the mean of x whatever was lost. With topK x̃ is a copy that each end keeps of the other and of
 * itself, so the error is fed back by itself.
 *
 * @see Koloskova, Stich & Jaggi 2019, Algorithm 1 (CHOCO), https://arxiv.org/abs/1902.00340
 */

import { INT8_BLOCK, type Payload, type Round } from "./message.ts";

/** How values travel: dense, or with less. `topK` is the share of numbers that is sent, in (0, 1]. */
export type Compression = "none" | "bf16" | "int8" | { readonly topK: number };

/** @throws RangeError for what is none. */
export function requireCompression(where: string, compression: Compression): void {
  const isShare = typeof compression === "object" && compression.topK > 0 && compression.topK <= 1;
  if (!isShare && !["none", "bf16", "int8"].includes(compression as string)) {
    throw new RangeError(
      `${where}: \`compression\` must be "none", "bf16", "int8" or { topK } with a share in (0, 1], got ${JSON.stringify(compression)}`,
    );
  }
}

/** Copies both ends hold of the values of one of them, as of the last round of the edge that counted. */
export interface Base {
  readonly round: Round;
  readonly values: Float32Array | Float64Array;
}

/** Encodes values; with topK those that differ most from `base`, or all of them where there is none. */
export function encode(
  values: Float32Array | Float64Array,
  compression: Compression,
  base?: Base,
): Payload {
  if (compression === "none" || (typeof compression === "object" && base === undefined)) {
    return { form: "dense", values };
  }
  if (compression === "bf16") {
    return { form: "bf16", values: toBf16(values) };
  }
  if (compression === "int8") {
    return toInt8(values);
  }
  return sparse(values, Math.max(1, Math.round(compression.topK * values.length)), base as Base);
}

/**
 * The values that a payload stands for: what both ends mix.
 *
 * @param base - of the round that a sparse payload names. @throws RangeError where it is of another.
 */
export function decode(payload: Payload, base?: Base): Float32Array | Float64Array {
  switch (payload.form) {
    case "dense":
      return payload.values;
    case "bf16":
      return fromBf16(payload.values);
    case "int8": {
      const { values, scales } = payload;
      return Float32Array.from(
        values,
        (code, i) => code * (scales[Math.floor(i / INT8_BLOCK)] as number),
      );
    }
    case "sparse": {
      if (
        base === undefined ||
        base.round !== payload.base ||
        base.values.length !== payload.length
      ) {
        throw new RangeError(
          `decode: a sparse payload must change the values of round ${payload.base}, got ${base?.round ?? "none"}; send them all`,
        );
      }
      const values = base.values.slice();
      payload.indices.forEach((index, i) => {
        values[index] = payload.values[i] as number;
      });
      return values;
    }
    default:
      return payload satisfies never;
  }
}

function toBf16(values: Float32Array | Float64Array): Uint16Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  // Round to nearest, ties to even; a carry into the exponent is what rounding up means.
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}

function fromBf16(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

function toInt8(values: Float32Array | Float64Array): Payload {
  const scales = new Float32Array(Math.ceil(values.length / INT8_BLOCK));
  const codes = new Int8Array(values.length);
  scales.forEach((_, block) => {
    const [start, end] = [block * INT8_BLOCK, Math.min((block + 1) * INT8_BLOCK, values.length)];
    let largest = 0;
    for (let i = start; i < end; i++) {
      largest = Math.max(largest, Math.abs(values[i] as number));
    }
    // The scale as it travels: codes are of that one.
    const scale = Math.fround(largest / 127);
    scales[block] = scale;
    for (let i = start; i < end && scale > 0; i++) {
      codes[i] = Math.max(-127, Math.min(127, Math.round((values[i] as number) / scale)));
    }
  });
  return { form: "int8", scales, values: codes };
}

function sparse(
  values: Float32Array | Float64Array,
  count: number,
  { round, values: known }: Base,
): Payload {
  const changes = Float32Array.from(values, (value, i) => Math.abs(value - (known[i] as number)));
  const threshold = Float32Array.from(changes).sort()[changes.length - count] as number;
  const indices = new Uint32Array(count);
  let taken = 0;
  // Those above the threshold first; of those at it, the first.
  let spare = count - changes.reduce((sum, change) => sum + (change > threshold ? 1 : 0), 0);
  for (let i = 0; i < changes.length && taken < count; i++) {
    const change = changes[i] as number;
    if (change > threshold || (change === threshold && spare-- > 0)) {
      indices[taken++] = i;
    }
  }
  return {
    form: "sparse",
    base: round,
    length: values.length,
    indices,
    values: Float32Array.from(indices, (index) => values[index] as number),
  };
}
