/** How many bytes a message takes as a frame: what the simulator counts and what a wire sends. */

import type { Message, Payload } from "./message.ts";

/** Bytes of a frame's header. */
export const HEADER_BYTES = 40;

/** Bytes of a `Settlement`. */
export const SETTLEMENT_BYTES = 16;

/** Bytes of a payload, its form and lengths included. */
export function payloadBytes(payload: Payload): number {
  switch (payload.form) {
    case "dense":
    case "bf16":
      return payload.values.byteLength;
    case "int8":
      return payload.values.byteLength + payload.scales.byteLength;
    case "sparse":
      return 8 + payload.indices.byteLength + payload.values.byteLength;
    default:
      return payload satisfies never;
  }
}

export function bytesOf(message: Message): number {
  switch (message.kind) {
    case "values":
      return HEADER_BYTES + SETTLEMENT_BYTES + payloadBytes(message.payload);
    case "beat":
      return HEADER_BYTES + SETTLEMENT_BYTES;
    case "snapshot":
      return HEADER_BYTES + payloadBytes(message.payload);
    case "have":
    case "want":
    case "fetch":
    case "leave":
      return HEADER_BYTES;
    default:
      return message satisfies never;
  }
}
