/** Errors that callers branch on, and the checks of the public boundary. Messages: `<function>: <expected>, got <value>; <what to do>`. */

export class ShapeMismatchError extends TypeError {
  readonly code = "SHAPE_MISMATCH";
  readonly path: string;

  constructor(where: string, path: string, expected: readonly number[], got: readonly number[]) {
    super(
      `${where}: leaf "${path}" has shape [${expected.join(", ")}], got [${got.join(", ")}]; pass an array of the leaf's shape`,
    );
    this.name = "ShapeMismatchError";
    this.path = path;
  }
}

/** A gradient held NaN or an infinity; parameters and state are as they were before the step. */
export class NonFiniteError extends Error {
  readonly code = "NON_FINITE";
  /** The step that was refused, from 1. */
  readonly step: number;
  readonly path: string;

  constructor(where: string, step: number, path: string) {
    super(
      `${where}: gradient of leaf "${path}" must be finite at step ${step}, got NaN or infinity; lower the learning rate, clip, or pass nonFinite: "skip"`,
    );
    this.name = "NonFiniteError";
    this.step = step;
    this.path = path;
  }
}

/** How a value appears in a message. */
export function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

/** How a value appears that may have many parts: by its kind, and how many. */
export function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) {
    return show(value);
  }
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  return "length" in value ? `${kind} of ${String(value.length)}` : kind;
}

/**
 * Checks written as the negated good case, so that NaN is caught; `Number.isFinite` also refuses text, which compares
 * with numbers.
 */
export function requireThat(
  ok: boolean,
  where: string,
  expected: string,
  value: unknown,
  hint?: string,
): void {
  if (!ok) {
    throw new RangeError(
      `${where}: ${expected}, got ${show(value)}${hint === undefined ? "" : `; ${hint}`}`,
    );
  }
}

/** A decay rate β in [0, 1). */
export function requireDecay(where: string, name: string, value: number): void {
  requireThat(
    Number.isFinite(value) && value >= 0 && value < 1,
    where,
    `\`${name}\` must be in [0, 1)`,
    value,
  );
}

export function requireNonNegative(where: string, name: string, value: number): void {
  requireThat(
    Number.isFinite(value) && value >= 0,
    where,
    `\`${name}\` must be finite and at least 0`,
    value,
  );
}

export function requirePositive(where: string, name: string, value: number): void {
  requireThat(
    Number.isFinite(value) && value > 0,
    where,
    `\`${name}\` must be finite and greater than 0`,
    value,
  );
}

/** A share in [0, 1], or in (0, 1]. */
export function requireShare(
  where: string,
  name: string,
  value: number,
  interval: "[0, 1]" | "(0, 1]" = "[0, 1]",
): void {
  const above = interval === "[0, 1]" ? value >= 0 : value > 0;
  const ok = Number.isFinite(value) && above && value <= 1;
  requireThat(ok, where, `\`${name}\` must be in ${interval}`, value);
}

/** A switch: true or false, and nothing that merely counts as such. */
export function requireFlag(where: string, name: string, value: boolean): void {
  requireThat(typeof value === "boolean", where, `\`${name}\` must be true or false`, value);
}

export function requireCount(where: string, name: string, value: number): void {
  requireThat(
    Number.isSafeInteger(value) && value >= 1,
    where,
    `\`${name}\` must be an integer of at least 1`,
    value,
  );
}

export function requireSeed(where: string, seed: number): void {
  requireThat(
    Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32,
    where,
    "`seed` must be an integer in [0, 4294967296)",
    seed,
  );
}

/** What a gradient that is not finite does. */
export function requireNonFinite(where: string, nonFinite: "propagate" | "skip" | "throw"): void {
  requireOneOf(where, "nonFinite", nonFinite, ["propagate", "skip", "throw"]);
}

export function requireOneOf<T extends string>(
  where: string,
  name: string,
  value: T,
  allowed: readonly T[],
): void {
  requireThat(
    allowed.includes(value),
    where,
    `\`${name}\` must be one of ${allowed.map(show).join(", ")}`,
    value,
  );
}
