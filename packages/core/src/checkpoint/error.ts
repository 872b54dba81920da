/** What can be wrong with a file of a checkpoint, and how it is said. */

/**
 * - `TOO_SHORT`, `HEADER_LENGTH`: the file ends before its header does, or the header is longer than readers accept
 * - `NOT_JSON`, `TOO_DEEP`, `DUPLICATE_KEY`, `FORBIDDEN_KEY`: the header, or the document in it, as text
 * - `ENTRY`, `DTYPE`, `SHAPE`, `OFFSETS`, `SIZE`, `MISALIGNED`: what the header says of a tensor
 * - `NOT_A_CHECKPOINT`, `VERSION`, `DOCUMENT`, `MISSING_TENSOR`, `EXTRA_TENSOR`, `STATE`: safetensors, but no checkpoint
 * - `NOT_FOUND`: no such step in the directory
 */
export type CheckpointErrorCode =
  | "TOO_SHORT"
  | "HEADER_LENGTH"
  | "NOT_JSON"
  | "TOO_DEEP"
  | "DUPLICATE_KEY"
  | "FORBIDDEN_KEY"
  | "ENTRY"
  | "DTYPE"
  | "SHAPE"
  | "OFFSETS"
  | "SIZE"
  | "MISALIGNED"
  | "NOT_A_CHECKPOINT"
  | "VERSION"
  | "DOCUMENT"
  | "MISSING_TENSOR"
  | "EXTRA_TENSOR"
  | "STATE"
  | "NOT_FOUND";

/** A file is not what it should be; nothing was changed. Callers branch on `code`. */
export class CheckpointError extends Error {
  readonly code: CheckpointErrorCode;

  constructor(code: CheckpointErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CheckpointError";
    this.code = code;
  }
}

/** @throws CheckpointError unless `ok`. */
export function requireFile(
  ok: boolean,
  where: string,
  code: CheckpointErrorCode,
  expected: string,
  got: unknown,
  hint?: string,
): asserts ok {
  if (!ok) {
    throw new CheckpointError(code, sentence(where, expected, got, hint));
  }
}

/** The house form of an error. */
export function sentence(where: string, expected: string, got: unknown, hint?: string): string {
  return `${where}: ${expected}, got ${brief(got)}${hint === undefined ? "" : `; ${hint}`}`;
}

const LONGEST = 80;

/**
 * How a value of a file appears in a message: on one line and short, whatever it is. Nothing in it is called, since a
 * hostile document may hold `toString` or `toJSON`.
 */
export function brief(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}...` : value);
  }
  if (Array.isArray(value)) {
    return value.length <= 8 && value.every((item) => typeof item === "number")
      ? `[${value.join(", ")}]`
      : `an array of ${value.length}`;
  }
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
