/** Errors of the engine that callers branch on. Messages: `<function>: <expected>, got <value>; <what to do>`. */

import { describe, type Origin } from "./trace/origin.ts";

/** A shape as messages show it: `[64, 10]`. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** The runtime of a backend in Node could not be loaded. */
export function missingBinding(backend: string, cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause);
  const [line = message] = message.split("\n");
  return new Error(
    `compile: backend "${backend}" must find onnxruntime-node and its native binding, got "${line}"; npm install onnxruntime-node@1.30.0 (binaries for x64 and arm64 of Linux, macOS and Windows), or pass backend: "wasm"`,
    { cause },
  );
}

/** The traced loss uses a jax-js primitive that the ONNX lowering has no rule for. */
export class UnsupportedOpError extends Error {
  readonly code = "UNSUPPORTED_OP";
  /** Name of the jax-js primitive, such as `"sort"`. */
  readonly primitive: string;

  /** @param options - `cause` if there is a rule, but not for these operands. */
  constructor(primitive: string, options: { readonly cause?: Error } = {}) {
    const detail = options.cause === undefined ? "" : ` (${options.cause.message})`;
    super(
      `compile: backend "cpu" must have a lowering rule for every primitive, got "${primitive}"${detail}; pass backend: "jax" or leave out fallback: false`,
      options,
    );
    this.name = "UnsupportedOpError";
    this.primitive = primitive;
  }
}

/** A batch array differs in shape from the example the graph was compiled for. */
export class BatchShapeError extends TypeError {
  readonly code = "BATCH_SHAPE";
  readonly input: string;

  constructor(input: string, expected: readonly number[], got: readonly number[]) {
    super(
      `run: batch "${input}" must have shape ${showShape(expected)}, got ${showShape(got)}; drop or pad the last batch, or compile for that shape`,
    );
    this.name = "BatchShapeError";
    this.input = input;
  }
}

/** A backend's first results differ from those of the reference it is compared with. */
export class BackendMismatchError extends Error {
  readonly code = "BACKEND_MISMATCH";
  readonly backend: string;

  constructor(
    where: string,
    backend: string,
    reference: string,
    output: number,
    difference: number,
  ) {
    super(
      `${where}: backend "${backend}" must agree with "${reference}" on the first batch, got output ${output} off by ${difference.toExponential(1)} of its largest magnitude; pass another backend`,
    );
    this.name = "BackendMismatchError";
    this.backend = backend;
  }
}

/** Loss or gradient of a step was NaN or infinite; parameters, optimizer and state are as before that step. */
export class DivergedError extends Error {
  readonly code = "DIVERGED";
  /** The step that was refused, from 1. */
  readonly step: number;
  /** Where the first such number came from, and the row of the data where it stood there; undefined if not found. */
  readonly origin: (Origin & { readonly row?: number }) | undefined;

  constructor(
    step: number,
    what: string,
    got: string,
    origin?: Origin & { readonly row?: number },
    cause?: Error,
  ) {
    const row = origin?.row === undefined ? "" : ` (row ${origin.row} of the data)`;
    const found = origin === undefined ? "" : `, ${describe(origin)}${row}`;
    const hint =
      origin?.where === "batch" ? "check the data" : "lower the learning rate or clip gradients";
    super(`fit: ${what} must be finite at step ${step}, got ${got}${found}; ${hint}`, { cause });
    this.name = "DivergedError";
    this.step = step;
    this.origin = origin;
  }
}
